/**
 * What became of transactions, for as long as somebody may still ask or tell. Part of the
 * replicated state: what is dropped, and when, follows from log time and the order of ends alone.
 *
 * 1. An end stays for its retention and is then dropped, oldest first, a bounded number with each
 * entry. At the bound of the table the oldest goes early.
 * 2. What an operator must see stays until he has: decisions of his that the coordinator has not
 * confirmed, and outcomes that differ.
 * 3. Of each coordinator a mark is kept of what was dropped: the newest decision, so that an old
 * one that is told again is known from a commit of what never was prepared; the newest branch, so
 * that nothing up to it is prepared a second time. Log time may leap by hours with a leader's
 * clock: no retention keeps a late prepare from a group that has forgotten its end, the mark does.
 */
import {
  compareText,
  type GroupId,
  type LogIndex,
  type Term,
  type TransactionId
} from '../../core/ids.js'
import type { SystemWrite } from '../../core/ports/engine.js'
import {
  type Dropped,
  type End,
  endRecord,
  putDropped,
  readDropped
} from './transaction-records.js'

/** Ends that one group keeps, prepared branches counted as ends to come. */
export const endsMax = 65_536
/** How long an end is kept, by log time: longer than a message can be late. */
export const endRetentionMs = 60_000
/** Ends dropped with one entry. */
export const droppedPerEntryMax = 1_024

export interface EndLimits {
  readonly endsMax: number
  readonly endRetentionMs: number
}

export class Ends {
  /** Of prepared branches: places that their ends will take. */
  reserved = 0
  readonly #limits: EndLimits
  readonly #ends = new Map<TransactionId, End>()
  /** Those that may be dropped, in the order of (since, id). */
  #droppable = new Set<TransactionId>()
  /** Of the entry that is being applied: they follow the others in the order of their ids. */
  #fresh = new Set<TransactionId>()
  readonly #dropped = new Map<GroupId, Dropped>()

  constructor(limits: EndLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#ends.size
  }

  get(transaction: TransactionId): End | null {
    return this.#ends.get(transaction) ?? null
  }

  values(): IterableIterator<End> {
    return this.#ends.values()
  }

  /** Whether what must stay leaves room for `reserved` ends. */
  hasRoomFor(reserved: number): boolean {
    const kept = this.#ends.size - this.#droppable.size - this.#fresh.size
    return kept + reserved <= this.#limits.endsMax
  }

  /** A commit that was told, acknowledged and dropped; or older than such a one. */
  isDecisionDropped(coordinator: GroupId, decidedAt: LogIndex): boolean {
    return decidedAt <= (this.#dropped.get(coordinator)?.decidedAt ?? 0)
  }

  /** The end of a branch as new as this one was dropped already. */
  isBranchDropped(coordinator: GroupId, epoch: Term, sequence: number): boolean {
    const mark = this.#dropped.get(coordinator)
    return mark !== undefined && !isNewer({ epoch, sequence }, mark)
  }

  put(end: End): SystemWrite {
    const { transaction } = end
    this.#ends.set(transaction, end)
    this.#droppable.delete(transaction)
    this.#fresh.delete(transaction)
    if (isDroppable(end)) this.#fresh.add(transaction)
    return endRecord.put(end)
  }

  /** The entry is applied: drops what is over, and answers what to write. */
  finish(now: number): SystemWrite[] {
    for (const transaction of [...this.#fresh].sort(compareText)) this.#droppable.add(transaction)
    this.#fresh = new Set()
    const writes = new Map<string, SystemWrite>()
    let count = 0
    for (const transaction of this.#droppable) {
      const end = this.#ends.get(transaction) as End
      const isOver = end.since + this.#limits.endRetentionMs <= now
      const isCrowded = this.#ends.size + this.reserved > this.#limits.endsMax
      if (count >= droppedPerEntryMax || !(isOver || isCrowded)) break
      count++
      for (const write of this.#drop(end)) writes.set(write.key, write)
    }
    return [...writes.values()]
  }

  load(end: End): void {
    this.#ends.set(end.transaction, end)
  }

  loadDropped(write: SystemWrite): void {
    const dropped = readDropped(write)
    if (dropped !== null) this.#dropped.set(...dropped)
  }

  /** All is loaded. */
  sort(): void {
    const droppable = [...this.#ends.values()]
      .filter(isDroppable)
      .sort((a, b) => a.since - b.since || compareText(a.transaction, b.transaction))
    this.#droppable = new Set(droppable.map(({ transaction }) => transaction))
  }

  #drop({ transaction, coordinator, decidedAt, epoch, sequence }: End): SystemWrite[] {
    this.#ends.delete(transaction)
    this.#droppable.delete(transaction)
    const writes = [endRecord.drop(transaction)]
    if (coordinator === null) return writes
    const mark = this.#dropped.get(coordinator) ?? noMark
    const newest = isNewer({ epoch, sequence }, mark) ? { epoch, sequence } : mark
    const { epoch: newestEpoch, sequence: newestSequence } = newest
    const next: Dropped = {
      decidedAt: decidedAt > mark.decidedAt ? decidedAt : mark.decidedAt,
      epoch: newestEpoch,
      sequence: newestSequence
    }
    this.#dropped.set(coordinator, next)
    writes.push(putDropped(coordinator, next))
    return writes
  }
}

const noMark: Dropped = { decidedAt: 0 as LogIndex, epoch: 0 as Term, sequence: 0 }

type Age = Pick<Dropped, 'epoch' | 'sequence'>
const isNewer = (a: Age, b: Age): boolean =>
  a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence)

const isDroppable = ({ heuristic }: End): boolean => heuristic === 'none' || heuristic === 'agreed'
