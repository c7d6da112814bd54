/**
 * What of a replica's state is durable. Requests are numbered, and a request remembers how much
 * of the log *as it stands now* it covers: truncation lowers the mark of every request on its
 * way. A late confirmation of bytes that were overwritten meanwhile therefore confirms nothing,
 * even when the same index and term were appended again (R-P05).
 *
 * A base is durable before it is noted: its owner asks for it when the engine holds for good what
 * it stands for.
 */
import { assert } from '../../core/assert.js'
import type { GroupId, LogIndex, MonotonicMs } from '../../core/ids.js'
import type { BaseChange, HardState } from '../../core/ports/log-store.js'
import type { RaftLog } from './raft-log.js'
import type { RaftPersist } from './types.js'

interface Request {
  readonly sequence: number
  readonly hasHardState: boolean
  readonly since: MonotonicMs
  upTo: LogIndex
}

export class PersistTracker {
  #durableIndex: LogIndex
  #requests: Request[] = []
  #sequence = 0
  #isHardStateDirty = false
  #dirtyFrom: LogIndex | null = null
  #dirtyBase: BaseChange | null = null

  constructor(durableIndex: LogIndex) {
    this.#durableIndex = durableIndex
  }

  /** Entries up to here, as the log has them now, survive a crash. */
  get durableIndex(): LogIndex {
    return this.#durableIndex
  }

  get isHardStateDurable(): boolean {
    return !this.#isHardStateDirty && !this.#requests.some((request) => request.hasHardState)
  }

  /** When the oldest request on its way was made. */
  get waitingSince(): MonotonicMs | null {
    return this.#requests[0]?.since ?? null
  }

  noteHardState(): void {
    this.#isHardStateDirty = true
  }

  noteAppended(from: LogIndex): void {
    this.#dirtyFrom = Math.min(this.#dirtyFrom ?? from, from) as LogIndex
  }

  noteTruncated(from: LogIndex): void {
    const kept = (from - 1) as LogIndex
    if (this.#durableIndex > kept) this.#durableIndex = kept
    for (const request of this.#requests) if (request.upTo > kept) request.upTo = kept
  }

  /** The log has another base, and perhaps nothing else. */
  noteBase({ base, replacesLog }: BaseChange): void {
    const { index } = base
    if (replacesLog) {
      this.noteTruncated((index + 1) as LogIndex)
      this.#dirtyFrom = null
    } else if (this.#dirtyFrom !== null && this.#dirtyFrom <= index) {
      this.#dirtyFrom = (index + 1) as LogIndex
    }
    if (this.#durableIndex < index) this.#durableIndex = index
    const replaces = replacesLog || (this.#dirtyBase?.replacesLog ?? false)
    this.#dirtyBase = { base, replacesLog: replaces }
  }

  /** The request for everything noted since the last one. */
  take(group: GroupId, hardState: HardState, log: RaftLog, now: MonotonicMs): RaftPersist | null {
    const base = this.#dirtyBase
    if (!this.#isHardStateDirty && this.#dirtyFrom === null && base === null) return null
    const entries = this.#dirtyFrom === null ? [] : log.between(this.#dirtyFrom, log.lastIndex)
    const sequence = ++this.#sequence
    const hasHardState = this.#isHardStateDirty
    this.#requests.push({ sequence, hasHardState, since: now, upTo: log.lastIndex })
    this.#isHardStateDirty = false
    this.#dirtyFrom = null
    this.#dirtyBase = null
    return { group, sequence, hardState: hasHardState ? hardState : null, base, entries }
  }

  confirm(sequence: number): void {
    assert(sequence <= this.#sequence, `persist request ${sequence} was never made`)
    let confirmed = 0
    for (const request of this.#requests) {
      if (request.sequence > sequence) break
      confirmed++
      if (request.upTo > this.#durableIndex) this.#durableIndex = request.upTo
    }
    this.#requests.splice(0, confirmed)
  }
}
