/**
 * The locks of a group at its leader: who holds rows, who waits for them, who may not wait.
 * Strict two-phase locking with wait-die (Rosenkrantz, Stearns, Lewis 1978): an older transaction
 * waits for a younger one, a younger one that meets an older one dies and is tried again under its
 * old stamp. So whoever waits is older than whom it waits for, in every group at once, and no
 * circle can close across groups, which no table of one group could see.
 *
 * Invariants:
 * 1. Holders do not conflict with one another.
 * 2. A waiter is older than every holder that it conflicts with. When an older one comes to hold
 * what a waiter wants, or is all that it would wait for, the waiter dies.
 * 3. Nobody comes to hold what an older waiter wants, or has a place for: a stream of young ones
 * starves nobody.
 * 4. Nobody waits for who has a place, so no circle goes through it: it holds nothing, and may wait
 * for whomever it likes.
 * 5. At most `waitersMax` wait, and as many have places.
 *
 * Owner's duties: hold again what is prepared when it begins to lead; `release` when a branch is
 * decided or gives up, or who has a place goes, and let those that it answers go on. Who is not a
 * transaction (a plain write, a read) holds nothing here: it looks with `blockersOf`, and again
 * after each release; a plain write keeps a place with `keepPlace` meanwhile.
 */
import { assert } from '../../core/assert.js'
import type { TransactionId } from '../../core/ids.js'
import { compareAge } from '../../core/transaction-id.js'
import { escalate, LockHolders, type Locks } from './lock-holders.js'

/** Transactions that wait for rows of one group; and plain writes that have a place. */
export const lockWaitersMax = 1_024

export type Acquired =
  /** `others`: who waited, and does not any more. */
  | { readonly kind: 'held'; readonly others: Released }
  /** `by`: who is in the way, oldest first. */
  | { readonly kind: 'waits'; readonly by: readonly TransactionId[] }
  | { readonly kind: 'dies'; readonly by: TransactionId }
  /** As many wait as may. */
  | { readonly kind: 'full' }

/** Waiters whose waiting is over. */
export interface Released {
  readonly held: readonly TransactionId[]
  /** An older one came to hold their rows. */
  readonly died: readonly TransactionId[]
}

interface Waiter {
  readonly transaction: TransactionId
  readonly locks: Locks
  /** It only keeps a place. */
  readonly isPlain: boolean
}

export interface LockWait {
  readonly transaction: TransactionId
  readonly by: readonly TransactionId[]
}

export class LockTable {
  readonly #waitersMax: number
  readonly #holders = new LockHolders()
  /** Oldest first. */
  #waiters: Waiter[] = []

  constructor(waitersMax = lockWaitersMax) {
    this.#waitersMax = waitersMax
  }

  get holderCount(): number {
    return this.#holders.size
  }

  get waiterCount(): number {
    return this.#countOf(false)
  }

  get placeCount(): number {
    return this.#countOf(true)
  }

  get keyCount(): number {
    return this.#holders.keyCount
  }

  holds(transaction: TransactionId): boolean {
    return this.#holders.holds(transaction)
  }

  /** Of a prepared branch: what it holds was asked for before, by an earlier leader perhaps. */
  hold(transaction: TransactionId, locks: Locks): void {
    const claim = escalate(locks)
    const conflicts = this.#holders.conflictsOf(claim, transaction)
    assert(conflicts.length === 0, `${transaction} holds rows of ${conflicts[0]}`)
    this.#removeWaiter(transaction)
    this.#holders.hold(transaction, claim)
  }

  /** Asked again by one that waits, with other rows perhaps: the new claim takes its place. */
  acquire(transaction: TransactionId, locks: Locks): Acquired {
    this.#removeWaiter(transaction)
    const claim = escalate(locks)
    const by = this.#holders.conflictsOf(claim, transaction)
    const ahead = this.#olderInTheWay(transaction, claim)
    const oldest = by[0]
    if (ahead !== null) return { kind: 'dies', by: ahead }
    if (oldest === undefined) {
      this.#holders.hold(transaction, claim)
      return { kind: 'held', others: this.#grant() }
    }
    if (compareAge(oldest, transaction) < 0) return { kind: 'dies', by: oldest }
    if (this.waiterCount >= this.#waitersMax) return { kind: 'full' }
    this.#enqueue({ transaction, locks: claim, isPlain: false })
    return { kind: 'waits', by }
  }

  /**
   * Of a plain write as old as the id says, until `release`. Asked again, the new claim takes its
   * place. False: as many have one as may.
   */
  keepPlace(id: TransactionId, locks: Locks): boolean {
    this.#removeWaiter(id)
    if (this.placeCount >= this.#waitersMax) return false
    this.#enqueue({ transaction: id, locks: escalate(locks), isPlain: true })
    return true
  }

  /** Of who held, waited or had a place. */
  release(transaction: TransactionId): Released {
    this.#removeWaiter(transaction)
    this.#holders.release(transaction)
    return this.#grant()
  }

  /** Who is in the way of somebody without a transaction; oldest first. */
  blockersOf(locks: Locks): TransactionId[] {
    return this.#holders.conflictsOf(escalate(locks), null)
  }

  /** Who waits for whom now, oldest first. */
  waits(): LockWait[] {
    return this.#waiters
      .filter(({ isPlain }) => !isPlain)
      .map(({ transaction, locks }) => ({
        transaction,
        by: this.#holders.conflictsOf(locks, transaction)
      }))
  }

  clear(): void {
    this.#holders.clear()
    this.#waiters = []
  }

  #grant(): Released {
    const held: TransactionId[] = []
    const died: TransactionId[] = []
    const left: Waiter[] = []
    const ahead = new LockHolders()
    for (const waiter of this.#waiters) {
      const { transaction, locks, isPlain } = waiter
      const [oldest] = this.#holders.conflictsOf(locks, transaction)
      const isLate = ahead.conflictsOf(locks, transaction).length > 0
      const isYounger = oldest === undefined ? isLate : compareAge(oldest, transaction) < 0
      if (isPlain || (oldest !== undefined && !isYounger)) {
        ahead.hold(transaction, locks)
        left.push(waiter)
      } else if (isYounger) {
        died.push(transaction)
      } else {
        this.#holders.hold(transaction, locks)
        held.push(transaction)
      }
    }
    this.#waiters = left
    return { held, died }
  }

  #olderInTheWay(transaction: TransactionId, claim: Locks): TransactionId | null {
    const ahead = new LockHolders()
    for (const waiter of this.#waiters) {
      if (compareAge(waiter.transaction, transaction) > 0) break
      ahead.hold(waiter.transaction, waiter.locks)
    }
    return ahead.conflictsOf(claim, transaction)[0] ?? null
  }

  #enqueue(waiter: Waiter): void {
    this.#waiters.push(waiter)
    this.#waiters.sort((a, b) => compareAge(a.transaction, b.transaction))
  }

  #countOf(plain: boolean): number {
    return this.#waiters.reduce((count, { isPlain }) => count + Number(isPlain === plain), 0)
  }

  #removeWaiter(transaction: TransactionId): void {
    this.#waiters = this.#waiters.filter((waiter) => waiter.transaction !== transaction)
  }
}
