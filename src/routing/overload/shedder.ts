/**
 * Which queries an overloaded node turns away: the least important first, early and with a typed
 * answer, instead of all of them late.
 *
 * Two measures, whichever is worse. *Queue delay*, as CoDel (RFC 8289) takes it: the least time
 * that any query waited for its execution within an interval; a queue that was empty once is a
 * good queue, one that never was is standing. It is taken for each priority by itself, because the
 * important overtake the others. *Occupancy*: queries in flight as a share of their bound.
 *
 * | priority | refused from a delay of its own or a higher one of | and from an occupancy of |
 * |---|---|---|
 * | low | 1 × target | 70 % |
 * | normal | 2 × target | 85 % |
 * | high | 4 × target | 95 % |
 * | critical | never | 100 % |
 *
 * 1. Whoever is refused, everybody of a lower priority is refused too.
 * 2. An interval in which none of a priority began to execute has the delay of the one of it that
 *    waits longest.
 */
import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import { Priorities, type Priority } from '../../core/ports/messenger.js'

export interface ShedderOptions {
  readonly queueDelayTargetMs: number
  readonly queueDelayIntervalMs: number
}

export interface Refusal {
  readonly reason: string
  readonly retryAfterMs: number
}

/** How long the one of a priority has waited that waits longest; zero when none does. */
type OldestMs = (priority: Priority) => number

export class Shedder {
  readonly #options: ShedderOptions
  #intervalEndsAt: MonotonicMs
  /** By priority, within the interval under way; null: none began to execute. */
  #leastMs: (number | null)[] = lanes.map(() => null)
  /** By priority, of the last whole interval. */
  #delaysMs: number[] = lanes.map(() => 0)

  constructor(options: ShedderOptions, now: MonotonicMs) {
    this.#options = options
    this.#intervalEndsAt = after(now, options.queueDelayIntervalMs)
  }

  /** A query begins to execute after waiting so long. */
  noteStart(priority: Priority, delayMs: number, oldestMs: OldestMs, now: MonotonicMs): void {
    this.#roll(now, (lane) => (lane === priority ? delayMs : oldestMs(lane)))
    const least = this.#leastMs[priority] ?? null
    if (least === null || delayMs < least) this.#leastMs[priority] = delayMs
  }

  /** @param occupancy queries in flight, as a share of their bound */
  refusalOf(
    priority: Priority,
    occupancy: number,
    oldestMs: OldestMs,
    now: MonotonicMs
  ): Refusal | null {
    this.#roll(now, oldestMs)
    const { queueDelayIntervalMs, queueDelayTargetMs } = this.#options
    const delayMs = Math.max(...this.#delaysMs.slice(0, priority + 1))
    const retryAfterMs = Math.max(queueDelayIntervalMs, Math.ceil(delayMs))
    if (delayMs >= queueDelayTargetMs * delayFactors[priority]) {
      const waited = `queries wait at least ${Math.round(delayMs)} ms for their execution`
      return { reason: waited, retryAfterMs }
    }
    if (occupancy < occupancies[priority]) return null
    const share = `${Math.floor(occupancy * 100)} % of the queries that may be are in flight`
    return { reason: share, retryAfterMs }
  }

  #roll(now: MonotonicMs, otherwiseMs: OldestMs): void {
    if (now < this.#intervalEndsAt) return
    const { queueDelayIntervalMs } = this.#options
    // An interval that passed without a look at all is judged by what waits now.
    const isStale = now >= after(this.#intervalEndsAt, queueDelayIntervalMs)
    this.#delaysMs = lanes.map((lane) =>
      isStale ? otherwiseMs(lane) : (this.#leastMs[lane] ?? otherwiseMs(lane))
    )
    this.#leastMs = lanes.map(() => null)
    this.#intervalEndsAt = after(now, queueDelayIntervalMs)
  }
}

/** The most important first: the order of their numbers. */
const lanes: readonly Priority[] = Object.values(Priorities)

const delayFactors: Readonly<Record<Priority, number>> = {
  [Priorities.Critical]: Number.POSITIVE_INFINITY,
  [Priorities.High]: 4,
  [Priorities.Normal]: 2,
  [Priorities.Low]: 1
}

const occupancies: Readonly<Record<Priority, number>> = {
  [Priorities.Critical]: 1,
  [Priorities.High]: 0.95,
  [Priorities.Normal]: 0.85,
  [Priorities.Low]: 0.7
}
