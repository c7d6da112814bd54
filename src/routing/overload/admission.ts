/**
 * Whether a query is taken at all: within the bound of queries in flight, and unless the shedder
 * turns its priority away.
 */
import { BackpressureError, OverloadedError } from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import { Priorities, type Priority } from '../../core/ports/messenger.js'
import type { ExecutionGate } from './execution-gate-driver.js'
import type { Shedder } from './shedder.js'

const priorityNames: Readonly<Record<Priority, string>> = {
  [Priorities.Critical]: 'critical',
  [Priorities.High]: 'high',
  [Priorities.Normal]: 'normal',
  [Priorities.Low]: 'low'
}

export class Admission {
  /** Those beyond it when it is lowered end as they would. */
  inFlightMax: number
  readonly #shedder: Shedder
  readonly #gate: ExecutionGate
  #inFlight = 0

  constructor(
    components: { readonly shedder: Shedder; readonly gate: ExecutionGate },
    options: { readonly queriesInFlightMax: number }
  ) {
    this.#shedder = components.shedder
    this.#gate = components.gate
    this.inFlightMax = options.queriesInFlightMax
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** 0 idle … 1 at the bound. */
  get occupancy(): number {
    return Math.min(1, this.#inFlight / this.inFlightMax)
  }

  /** @throws BackpressureError, OverloadedError: nothing was done */
  enter(priority: Priority, now: MonotonicMs): void {
    if (this.#inFlight >= this.inFlightMax) {
      throw new BackpressureError(`${this.#inFlight} queries are in flight`)
    }
    const oldestMs = (lane: Priority) => this.#gate.oldestMs(lane, now)
    const refusal = this.#shedder.refusalOf(priority, this.occupancy, oldestMs, now)
    if (refusal !== null) {
      const { reason, retryAfterMs } = refusal
      throw new OverloadedError(`no ${priorityNames[priority]} query is taken now: ${reason}`, {
        details: { retryAfterMs, priority: priorityNames[priority] }
      })
    }
    this.#inFlight++
  }

  leave(): void {
    this.#inFlight--
  }
}
