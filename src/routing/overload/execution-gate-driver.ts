/**
 * How many queries this node's own replicas execute at a time; the others wait here, by priority,
 * where they can still be cancelled and time out without an effect, instead of inside the engine.
 *
 * The bound is fixed, not learned from latencies: point reads, scans and writes that wait for a
 * quorum have no common latency, and a limit that follows the mean would punish the quick ones for
 * the slow. What the bound costs is seen as queue delay, and that is what the shedder goes by.
 *
 * 1. Never more than `executionsMax` are inside.
 * 2. Whoever leaves lets the first of the queue in.
 */
import { RequestTimeoutError } from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Clock, Timer } from '../../core/ports/clock.js'
import type { Priority } from '../../core/ports/messenger.js'
import { cancellable } from '../waiting-driver.js'
import { PriorityQueue, type Queued } from './priority-queue.js'
import type { Shedder } from './shedder.js'

export interface GateQuery {
  readonly priority: Priority
  readonly deadline: MonotonicMs
  readonly signal: AbortSignal | undefined
}

interface Waiting extends Queued {
  readonly since: MonotonicMs
  enter(): void
}

export class ExecutionGate {
  readonly #clock: Clock
  readonly #shedder: Shedder
  readonly #executionsMax: number
  readonly #queue = new PriorityQueue<Waiting>()
  #inside = 0
  #order = 0

  constructor(
    components: { readonly clock: Clock; readonly shedder: Shedder },
    options: { readonly executionsMax: number }
  ) {
    this.#clock = components.clock
    this.#shedder = components.shedder
    this.#executionsMax = options.executionsMax
  }

  get inside(): number {
    return this.#inside
  }

  get queued(): number {
    return this.#queue.length
  }

  /** How long the one of a priority has waited that waits longest. */
  oldestMs(priority: Priority, now: MonotonicMs): number {
    const first = this.#queue.firstOf(priority)
    return first === null ? 0 : now - first.since
  }

  /**
   * Runs `execute` inside.
   * @throws RequestTimeoutError the deadline passed in the queue; nothing was done
   * @throws CancelledError
   */
  async through<T>(query: GateQuery, execute: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#executionsMax) this.#begin(query.priority, 0)
    else await this.#wait(query)
    try {
      return await execute()
    } finally {
      this.#leave()
    }
  }

  /** A turn that was given to somebody who had gone is given back. */
  async #wait({ priority, deadline, signal }: GateQuery): Promise<void> {
    const since = this.#clock.now()
    const waiting = { priority, order: this.#order++, since, isInside: false, enter: () => {} }
    let timer: Timer | null = null
    const entered = new Promise<void>((resolve, reject) => {
      const late = 'the deadline passed before the execution began'
      timer = this.#clock.schedule(deadline, () => reject(new RequestTimeoutError(late)))
      waiting.enter = () => {
        waiting.isInside = true
        resolve()
      }
    })
    this.#queue.add(waiting)
    try {
      await cancellable(entered, signal)
    } catch (thrown) {
      this.#queue.remove(waiting)
      if (waiting.isInside) this.#leave()
      throw thrown
    } finally {
      ;(timer as Timer | null)?.cancel()
    }
  }

  #leave(): void {
    this.#inside--
    this.#letIn()
  }

  #letIn(): void {
    if (this.#inside >= this.#executionsMax) return
    const next = this.#queue.shift()
    if (next === null) return
    this.#begin(next.priority, this.#clock.now() - next.since)
    next.enter()
  }

  #begin(priority: Priority, delayMs: number): void {
    this.#inside++
    const now = this.#clock.now()
    this.#shedder.noteStart(priority, delayMs, (lane) => this.oldestMs(lane, now), now)
  }
}
