/**
 * Decisions on their way to one group, told again until it acknowledges them. The back-off is the
 * group's, not a transaction's: a group that is away is asked a few times a second at most, however
 * many decisions wait for it, and gets all of them at once when it is back.
 *
 * 1. A commit stays until it is acknowledged. Of aborts at most `abortsWaitingMax` wait: further
 * ones are not told, and a branch that is in doubt asks.
 * 2. At most `inFlightMax` are on the way.
 */
import { after, NEVER } from '../../core/deadlines.js'
import type { LogIndex, MonotonicMs, Term, TransactionId } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'

/** Aborts that wait for one group. */
export const abortsWaitingMax = 4_096

export interface OutboxOptions {
  readonly inFlightMax: number
  /** What was not acknowledged by then is told again. */
  readonly answerTimeoutMs: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** A group that owes an acknowledgement for so long is an alarm. */
  readonly unreachableAlarmMs: number
}

export type Told = { readonly transaction: TransactionId } & (
  | { readonly kind: 'commit'; readonly epoch: Term; readonly decidedAt: LogIndex }
  | { readonly kind: 'abort'; readonly reason: string }
)

export class DecisionOutbox {
  readonly #options: OutboxOptions
  readonly #random: Random
  readonly #waiting = new Map<TransactionId, Told>()
  /** In the order in which they left. */
  readonly #inFlight = new Map<
    TransactionId,
    { readonly told: Told; readonly until: MonotonicMs }
  >()
  #aborts = 0
  #pauseMs = 0
  #pausedUntil: MonotonicMs | null = null
  /** Since when something is owed and nothing came. */
  #silentSince: MonotonicMs | null = null
  #hasAlarmed = false

  constructor(options: OutboxOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  get size(): number {
    return this.#waiting.size + this.#inFlight.size
  }

  /** Null: nothing is owed for longer than an answer takes. */
  get silentSince(): MonotonicMs | null {
    return this.#silentSince
  }

  has(transaction: TransactionId): boolean {
    return this.#waiting.has(transaction) || this.#inFlight.has(transaction)
  }

  add(told: Told): void {
    if (this.has(told.transaction)) return
    if (told.kind === 'abort' && this.#aborts >= abortsWaitingMax) return
    if (told.kind === 'abort') this.#aborts++
    this.#waiting.set(told.transaction, told)
  }

  /** What leaves now. */
  take(now: MonotonicMs): Told[] {
    if (this.#pausedUntil !== null && now < this.#pausedUntil) return []
    this.#pausedUntil = null
    const taken: Told[] = []
    const until = after(now, this.#options.answerTimeoutMs)
    for (const told of this.#waiting.values()) {
      if (this.#inFlight.size >= this.#options.inFlightMax) break
      this.#waiting.delete(told.transaction)
      this.#inFlight.set(told.transaction, { told, until })
      taken.push(told)
    }
    return taken
  }

  /** The group is there: the back-off begins anew. False: nothing of the kind was owed. */
  handleAnswered(transaction: TransactionId): boolean {
    this.#silentSince = null
    this.#hasAlarmed = false
    this.#pauseMs = 0
    this.#pausedUntil = null
    return this.remove(transaction)
  }

  /** It answered that it cannot say: told again after a pause, without calling the group silent. */
  handleUnsettled(transaction: TransactionId, now: MonotonicMs): void {
    const sent = this.#inFlight.get(transaction)
    if (sent === undefined) return
    this.#inFlight.delete(transaction)
    this.#waiting.set(transaction, sent.told)
    this.#pause(now)
  }

  remove(transaction: TransactionId): boolean {
    const told = this.#waiting.get(transaction) ?? this.#inFlight.get(transaction)?.told
    if (told === undefined) return false
    if (told.kind === 'abort') this.#aborts--
    this.#waiting.delete(transaction)
    this.#inFlight.delete(transaction)
    return true
  }

  /** Whether the group has become an alarm by now. */
  handleTimeout(now: MonotonicMs): boolean {
    let isLate = false
    for (const [transaction, { told, until }] of this.#inFlight) {
      if (until > now) break
      isLate = true
      this.#inFlight.delete(transaction)
      this.#waiting.set(transaction, told)
    }
    if (isLate) {
      this.#silentSince ??= now
      this.#pause(now)
    }
    if (this.#silentSince === null || this.#hasAlarmed) return false
    this.#hasAlarmed = now - this.#silentSince >= this.#options.unreachableAlarmMs
    return this.#hasAlarmed
  }

  nextDeadline(): MonotonicMs {
    if (this.#waiting.size > 0 && this.#inFlight.size < this.#options.inFlightMax) {
      return this.#pausedUntil ?? (0 as MonotonicMs)
    }
    const [first] = this.#inFlight.values()
    return first?.until ?? NEVER
  }

  #pause(now: MonotonicMs): void {
    const { retryMinMs, retryMaxMs } = this.#options
    this.#pauseMs = Math.min(retryMaxMs, Math.max(retryMinMs, this.#pauseMs * 2))
    const jittered = this.#pauseMs * (0.75 + this.#random.nextFloat() / 2)
    this.#pausedUntil = after(now, jittered)
  }
}
