/**
 * A leader's view of one other replica.
 *
 * `probe`: where the logs agree is not known; one append at a time. `replicate`: appends are sent
 * ahead of their answers, up to a window. `snapshot`: what it lacks is not in the log any more; it
 * gets no appends, and is offered a snapshot at each heartbeat's answer until it has one (R-S02).
 * Who takes over from a leader at work presumes that the others have all that it has, and begins
 * with `replicate`: a refusal says where they do not.
 *
 * Invariants: `match` never falls; `next` is above `match`. Silence about what is on its way lets
 * nothing more of the log go: perhaps it is only slow.
 */
import { assert } from '../../core/assert.js'
import type { LogIndex, MonotonicMs } from '../../core/ids.js'
import type { LogEntry } from '../../core/ports/log-store.js'
import { AppendsInFlight, type AppendsInFlightLimits } from './appends-in-flight.js'

export type ProgressMode = 'probe' | 'replicate' | 'snapshot'

export class Progress {
  match = 0 as LogIndex
  next: LogIndex
  mode: ProgressMode = 'probe'
  /** In mode `snapshot`: of the one that it was offered last; 0 before. */
  offeredIndex = 0 as LogIndex
  /** When it last answered in this term; the election counts as an answer. */
  heardAt: MonotonicMs
  /** In this term; until it is connected anew, before all times. */
  connectedAt = Number.NEGATIVE_INFINITY as MonotonicMs
  /** It has answered since its connection was lost last, or since the election. */
  isAnswering = false
  /** Its connection broke, and it was not heard since. */
  isLost = false
  /** The highest commit index that it was sent. */
  sentCommit = 0 as LogIndex
  /**
   * `match` when the last heartbeat was answered: without movement, what is on its way may be
   * lost.
   */
  matchAtHeartbeat = 0 as LogIndex
  /** Of a probe or an offer: one message at a time. */
  #isAwaited = false
  readonly #inFlight: AppendsInFlight

  constructor(next: LogIndex, limits: AppendsInFlightLimits, now: MonotonicMs) {
    this.next = next
    this.heardAt = now
    this.#inFlight = new AppendsInFlight(limits)
  }

  hear(now: MonotonicMs): void {
    this.heardAt = now
    this.isAnswering = true
    this.isLost = false
  }

  /** Its connection broke. */
  lose(): void {
    this.isAnswering = false
    this.isLost = true
    this.becomeProbe()
  }

  get isPaused(): boolean {
    return this.mode === 'replicate' ? this.#inFlight.isFull : this.#isAwaited
  }

  /**
   * The next append goes behind what it has acknowledged in this term, and it may not know: a
   * connection was lost since.
   */
  get isAcknowledged(): boolean {
    return this.mode === 'probe' && this.match > 0 && this.next === this.match + 1
  }

  get appendsInFlight(): number {
    return this.#inFlight.length
  }

  get appendBytesInFlight(): number {
    return this.#inFlight.sizeBytes
  }

  noteSent(entries: readonly LogEntry[], commitIndex: LogIndex): void {
    if (commitIndex > this.sentCommit) this.sentCommit = commitIndex
    if (this.mode === 'probe') {
      this.#isAwaited = true
      return
    }
    const lastIndex = entries.at(-1)?.index
    if (lastIndex === undefined) return
    let sizeBytes = 0
    for (const { payload } of entries) sizeBytes += payload.length
    this.#inFlight.push({ lastIndex, sizeBytes })
    this.next = (lastIndex + 1) as LogIndex
  }

  /** The append behind `prevIndex` did not leave; of those before it nothing is known. */
  handleNotSent(prevIndex: LogIndex): void {
    if (this.mode === 'probe') {
      this.#isAwaited = false
    } else if (this.mode === 'replicate' && prevIndex < this.next && prevIndex >= this.match) {
      this.next = (prevIndex + 1) as LogIndex
      this.#inFlight.dropBehind(prevIndex)
    }
  }

  /** A snapshot up to `index` was offered. */
  noteOffered(index: LogIndex): void {
    this.offeredIndex = index
    this.#isAwaited = true
  }

  /** Its log is likely the leader's own, though it has not said so. */
  presumeSame(): void {
    this.mode = 'replicate'
  }

  /** False: nothing new, such as an old answer that was overtaken. */
  handleAccepted(index: LogIndex): boolean {
    this.#inFlight.dropUpTo(index)
    const isNews = index > this.match || (index === this.match && this.mode === 'probe')
    if (!isNews) return false
    this.match = index
    if (this.mode !== 'replicate') {
      this.mode = 'replicate'
      this.next = (index + 1) as LogIndex
    } else if (this.next <= index) {
      this.next = (index + 1) as LogIndex
    }
    return true
  }

  /** `agreed` is the highest index where the logs may agree. False: an old answer. */
  handleRejected(rejected: LogIndex, agreed: LogIndex): boolean {
    if (rejected <= this.match || this.mode === 'snapshot') return false
    if (this.mode === 'probe' && rejected !== this.next - 1) return false
    const isKnown = this.match > 0
    if (this.mode === 'replicate') {
      this.becomeProbe()
      if (isKnown) return true
    }
    this.next = Math.max(Math.min(rejected, agreed + 1), this.match + 1) as LogIndex
    this.#isAwaited = false
    assert(this.next > this.match, 'next is above match')
    return true
  }

  /** Appends on their way may be lost: start again behind what is known. */
  becomeProbe(): void {
    this.mode = 'probe'
    this.next = (this.match + 1) as LogIndex
    this.#inFlight.clear()
    this.#isAwaited = false
  }

  /** The log does not hold what it needs next. */
  becomeSnapshot(): void {
    this.becomeProbe()
    this.mode = 'snapshot'
    this.offeredIndex = 0 as LogIndex
  }

  /** It does not take the snapshot: others may get one until it is heard again. */
  handleSnapshotRefused(): void {
    if (this.mode !== 'snapshot') return
    this.becomeProbe()
    this.#isAwaited = true
  }

  /** A probe or an offer may go again. */
  resume(): void {
    this.#isAwaited = false
  }
}
