/**
 * Read-index requests of one replica, gathered into rounds. A round asks once, for everybody who
 * came before it began; whoever comes while one is under way waits for the next, because an answer
 * says nothing about writes acknowledged after its question (R-Q03).
 *
 * Owner's duties: `begin` asks and hands the answer to `handleReady` or `handleRefused` with the
 * same number, each at most once; a late answer of an abandoned round changes nothing.
 */
import type { LogIndex, MonotonicMs } from '../../core/ids.js'
import type { Waiter } from './waiters.js'

export class ReadRounds {
  readonly lengthMax: number
  readonly #begin: (round: number, deadline: MonotonicMs) => void
  #round = 0
  #asking: Waiter<LogIndex>[] = []
  #waiting: Waiter<LogIndex>[] = []

  constructor(lengthMax: number, begin: (round: number, deadline: MonotonicMs) => void) {
    this.lengthMax = lengthMax
    this.#begin = begin
  }

  get length(): number {
    return this.#asking.length + this.#waiting.length
  }

  /** False at the bound. */
  join(waiter: Waiter<LogIndex>): boolean {
    if (this.length >= this.lengthMax) return false
    this.#waiting.push(waiter)
    this.#maybeBegin()
    return true
  }

  handleReady(round: number, index: LogIndex): void {
    for (const waiter of this.#finish(round)) waiter.resolve(index)
    this.#maybeBegin()
  }

  handleRefused(round: number, makeError: () => Error): void {
    for (const waiter of this.#finish(round)) waiter.reject(makeError())
    this.#maybeBegin()
  }

  /**
   * Another one leads now, and who was asked may never answer: the round is abandoned, and asked
   * anew for everybody.
   */
  askAgain(): void {
    if (this.#asking.length === 0) return
    this.#waiting = [...this.#asking, ...this.#waiting]
    this.#asking = []
    this.#maybeBegin()
  }

  /** A round that nobody waits for any more is abandoned. */
  sweep(now: MonotonicMs, makeError: () => Error): void {
    const isLate = ({ deadline }: Waiter<LogIndex>) => deadline <= now
    const late = [...this.#asking.filter(isLate), ...this.#waiting.filter(isLate)]
    this.#asking = this.#asking.filter((waiter) => !isLate(waiter))
    this.#waiting = this.#waiting.filter((waiter) => !isLate(waiter))
    for (const waiter of late) waiter.reject(makeError())
    this.#maybeBegin()
  }

  rejectAll(makeError: () => Error): void {
    const all = [...this.#asking, ...this.#waiting]
    this.#asking = []
    this.#waiting = []
    for (const waiter of all) waiter.reject(makeError())
  }

  #finish(round: number): Waiter<LogIndex>[] {
    if (round !== this.#round) return []
    const finished = this.#asking
    this.#asking = []
    return finished
  }

  #maybeBegin(): void {
    if (this.#asking.length > 0 || this.#waiting.length === 0) return
    this.#round++
    this.#asking = this.#waiting
    this.#waiting = []
    const deadline = Math.max(...this.#asking.map((waiter) => waiter.deadline)) as MonotonicMs
    this.#begin(this.#round, deadline)
  }
}
