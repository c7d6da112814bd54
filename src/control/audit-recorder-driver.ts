/**
 * Takes what is to be recorded without making anybody wait, and writes it in order, each once,
 * however long the control group cannot be reached. At the bound of the queue the newest is not
 * taken, and counted: the node's own log has it.
 */
import { BoundedQueue } from '../core/bounded-queue.js'
import type { AuditedAction } from '../core/cluster-control.js'
import { NEVER } from '../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { TellQueue } from '../core/tell-queue.js'
import { auditChangeOf } from './audit-change.js'
import type { Control } from './control.js'
import { PausesDriver } from './pauses-driver.js'
import { type AuditChange, auditSection } from './sections/audit.js'

export const auditQueueLengthMax = 256

export class AuditRecorder {
  readonly #clock: Clock
  readonly #control: Control
  readonly #logger: Logger
  readonly #nodeId: NodeId
  readonly #queue = new BoundedQueue<AuditChange>(auditQueueLengthMax)
  readonly #settling: PausesDriver
  #dropped = 0
  #isWriting = false

  constructor(
    components: { readonly clock: Clock; readonly control: Control; readonly logger: Logger },
    options: { readonly nodeId: NodeId }
  ) {
    this.#clock = components.clock
    this.#settling = new PausesDriver(components.clock)
    this.#control = components.control
    this.#logger = components.logger
    this.#nodeId = options.nodeId
  }

  /** Records that found no room, or of which it is not known whether they were written. */
  get dropped(): number {
    return this.#dropped
  }

  record(action: AuditedAction): void {
    const change = auditChangeOf(this.#nodeId, action)
    if (!this.#queue.push(change)) {
      this.#dropped++
      return
    }
    if (this.#isWriting) return
    this.#isWriting = true
    void this.#write()
  }

  /** Everything that was taken is written; false: the deadline came first. */
  async settled(deadline: MonotonicMs): Promise<boolean> {
    while (this.#isWriting && this.#clock.now() < deadline) await this.#settling.until(deadline)
    return !this.#isWriting
  }

  tellQueues(tell: TellQueue): void {
    tell('auditQueueLengthMax', this.#queue.length, auditQueueLengthMax)
  }

  /** Ends when the queue is empty, or when the control group's driver stops. */
  async #write(): Promise<void> {
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      try {
        await this.#control.change(auditSection, next, { deadline: NEVER })
      } catch (error) {
        this.#dropped++
        this.#logger.warn({ ...next, error }, 'an action is not recorded in the control group')
      }
      this.#queue.shift()
    }
    this.#isWriting = false
    this.#settling.wakeAll()
  }
}
