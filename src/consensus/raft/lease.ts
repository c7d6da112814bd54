/**
 * A leader's lease: until it ends nobody else has been elected, so what the leader has committed
 * is all that anybody was told of. Source: Raft dissertation 6.4.1.
 *
 * Invariants:
 * 1. It begins when the round of heartbeats was sent that a quorum answered with the promise to
 *    vote for nobody else; each promise begins when the heartbeat came in, so no sooner.
 * 2. It is shorter than the promises by the ratio that clocks are bound to, so it ends first
 *    whoever's clock runs fast.
 * 3. It belongs to the configuration of its round: with the next one it is over.
 * 4. Once a successor was told to campaign there is none for the rest of the term: votes that the
 *    leader itself asked for break promises, however late.
 */
import { after } from '../../core/deadlines.js'
import type { LogIndex, MonotonicMs } from '../../core/ids.js'
import type { RaftOptions } from './options.js'
import type { ConfirmedRound } from './read-index.js'

/** Of the promises that a lease rests on. */
export const leaseMsOf = ({
  electionTimeoutMinMs,
  leaseClockRatioMax
}: Pick<RaftOptions, 'electionTimeoutMinMs' | 'leaseClockRatioMax'>): number =>
  electionTimeoutMinMs / leaseClockRatioMax

export class Lease {
  readonly #lengthMs: number
  #endsAt = Number.NEGATIVE_INFINITY as MonotonicMs
  #configurationIndex = 0 as LogIndex

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs
  }

  begin({ openedAt, configurationIndex }: ConfirmedRound): void {
    this.#endsAt = after(openedAt, this.#lengthMs)
    this.#configurationIndex = configurationIndex
  }

  isHeld(configurationIndex: LogIndex, now: MonotonicMs): boolean {
    return now < this.#endsAt && configurationIndex === this.#configurationIndex
  }

  /** Half of it is over: whoever goes on reading needs another soon. */
  isOld(now: MonotonicMs): boolean {
    return now >= this.#endsAt - this.#lengthMs / 2
  }
}
