import type { RowGuard, Rows } from '../../consensus/index.js'
import type { TransactionId } from '../../core/ids.js'
import { LockHolders, type Locks } from './lock-holders.js'
import type { LockTable } from './lock-table.js'

/**
 * The rows of a group that plain writes and linearizable reads must mind. For writes they are those
 * of the leader's lock table. For reads those of prepared branches, on every replica: a branch is
 * in their way from before its entry is in the engine until after its end is.
 */
export class BranchRows implements RowGuard {
  /** Of this replica, while it leads. */
  locks: LockTable | null = null
  #prepared = new LockHolders()
  #preparedCount = 0
  readonly #handlers: (() => void)[] = []

  get isHeld(): boolean {
    return this.locks !== null && this.locks.holderCount > 0
  }

  blocksWrite(rows: Rows): boolean {
    return this.locks !== null && this.locks.blockersOf(rows).length > 0
  }

  get isPrepared(): boolean {
    return this.#prepared.size > 0
  }

  blocksRead({ readKeys }: Rows): boolean {
    return this.#prepared.conflictsOf({ readKeys, writeKeys: [] }, null).length > 0
  }

  get preparedCount(): number {
    return this.#preparedCount
  }

  onReleased(handler: () => void): void {
    this.#handlers.push(handler)
  }

  handlePrepared(transaction: TransactionId, locks: Locks): void {
    if (this.#prepared.holds(transaction)) return
    this.#prepared.hold(transaction, locks)
    this.#preparedCount++
  }

  handleEnded(transaction: TransactionId): void {
    if (!this.#prepared.holds(transaction)) return
    this.#prepared.release(transaction)
    this.tellReleased()
  }

  /** Everything is another's now. */
  restore(
    branches: Iterable<{ readonly transaction: TransactionId; readonly locks: Locks }>
  ): void {
    this.#prepared = new LockHolders()
    this.#preparedCount++
    for (const { transaction, locks } of branches) this.#prepared.hold(transaction, locks)
    this.tellReleased()
  }

  tellReleased(): void {
    for (const handler of this.#handlers) handler()
  }
}
