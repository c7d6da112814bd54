import type { RowGuard, RowPlace, Rows } from '../../consensus/index.js'
import { must } from '../../core/assert.js'
import type { LogIndex, TransactionId } from '../../core/ids.js'
import { LockHolders, type Locks } from './lock-holders.js'
import type { LockTable } from './lock-table.js'

/** Of this replica's lock table. */
export interface PlaceKeeper {
  keep(rows: Rows, before: RowPlace | null): RowPlace | null
}

/** Of a branch. */
export interface PreparedRows {
  readonly transaction: TransactionId
  readonly locks: Locks
  /** Of the entry that prepared it. */
  readonly index: LogIndex
}

/**
 * The rows of a group that plain writes and linearizable reads must mind. For writes they are those
 * of the leader's lock table. For reads those of prepared branches, on every replica: a branch is
 * in their way from before its entry is in the engine until after its end is.
 */
export class BranchRows implements RowGuard {
  /** Of this replica, while it leads. */
  locks: LockTable | null = null
  places: PlaceKeeper | null = null
  #prepared = new LockHolders()
  /** Where each prepared branch stands in the log, in that order. */
  #indexes = new Map<TransactionId, LogIndex>()
  #preparedCount = 0
  readonly #handlers: (() => void)[] = []

  get isHeld(): boolean {
    return this.locks !== null && this.locks.holderCount > 0
  }

  blocksWrite(rows: Rows): boolean {
    return this.locks !== null && this.locks.blockersOf(rows).length > 0
  }

  keepPlace(rows: Rows, before: RowPlace | null): RowPlace | null {
    return this.places?.keep(rows, before) ?? null
  }

  get isPrepared(): boolean {
    return this.#prepared.size > 0
  }

  /** Whose branches are prepared, in the order of the log. */
  prepared(): readonly TransactionId[] {
    return [...this.#indexes.keys()]
  }

  isPreparedUpTo(index: LogIndex): boolean {
    const [first] = this.#indexes.values()
    return first !== undefined && first <= index
  }

  blocksRead({ readKeys }: Rows, upTo?: LogIndex): boolean {
    const blockers = this.#prepared.conflictsOf({ readKeys, writeKeys: [] }, null)
    if (upTo === undefined) return blockers.length > 0
    return blockers.some((transaction) => must(this.#indexes.get(transaction), 'index') <= upTo)
  }

  get preparedCount(): number {
    return this.#preparedCount
  }

  onReleased(handler: () => void): void {
    this.#handlers.push(handler)
  }

  handlePrepared({ transaction, locks, index }: PreparedRows): void {
    if (this.#prepared.holds(transaction)) return
    this.#prepared.hold(transaction, locks)
    this.#indexes.set(transaction, index)
    this.#preparedCount++
  }

  handleEnded(transaction: TransactionId): void {
    if (!this.#prepared.holds(transaction)) return
    this.#prepared.release(transaction)
    this.#indexes.delete(transaction)
    this.tellReleased()
  }

  /** Everything is another's now. */
  restore(branches: Iterable<PreparedRows>): void {
    this.#prepared = new LockHolders()
    this.#indexes = new Map()
    this.#preparedCount++
    for (const { transaction, locks, index } of [...branches].sort((a, b) => a.index - b.index)) {
      this.#prepared.hold(transaction, locks)
      this.#indexes.set(transaction, index)
    }
    this.tellReleased()
  }

  tellReleased(): void {
    for (const handler of this.#handlers) handler()
  }
}
