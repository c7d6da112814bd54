/**
 * Who holds which rows. Two granularities: the rows of a group by their keys, and the group as a
 * whole, which stands for every row that is there or could be (range reads, DDL).
 *
 * Invariants:
 * 1. What two owners hold does not conflict when each asked `conflictsOf` before it held.
 * 2. An owner's locks grow until `release` takes all of them: strict two-phase locking.
 */

import type { TransactionId } from '../../core/ids.js'
import { compareAge } from '../../core/transaction-id.js'

/** `table` and primary key, as the engine names them; equal texts are the same row. */
export type LockKey = string
/** `all`: the group. */
export type LockKeys = readonly LockKey[] | 'all'

export interface Locks {
  /** Shared: held by any number at once. `all` shuts every writer of the group out. */
  readonly readKeys: LockKeys
  /** Exclusive. `all` shuts everybody out. */
  readonly writeKeys: LockKeys
}

/** Keys of one branch; beyond it the group's lock stands for them. */
export const lockKeysMax = 4_096

/** Of a claim that names too many rows, the whole group. */
export function escalate(locks: Locks): Locks {
  const readCount = locks.readKeys === 'all' ? 0 : locks.readKeys.length
  const writeCount = locks.writeKeys === 'all' ? 0 : locks.writeKeys.length
  if (readCount + writeCount <= lockKeysMax) return locks
  if (writeCount === 0) return { ...locks, readKeys: 'all' }
  return writeCount <= lockKeysMax / 2
    ? { ...locks, readKeys: 'all' }
    : { readKeys: 'all', writeKeys: 'all' }
}

interface KeyLock {
  readonly readers: Set<TransactionId>
  readonly writers: Set<TransactionId>
}

interface Held {
  readonly readKeys: Set<LockKey>
  readonly writeKeys: Set<LockKey>
}

export class LockHolders {
  readonly #held = new Map<TransactionId, Held>()
  readonly #keys = new Map<LockKey, KeyLock>()
  readonly #groupReaders = new Set<TransactionId>()
  readonly #groupWriters = new Set<TransactionId>()
  /** Who holds a row of its own exclusively. */
  readonly #rowWriters = new Set<TransactionId>()

  get size(): number {
    return this.#held.size
  }

  get keyCount(): number {
    return this.#keys.size
  }

  holds(owner: TransactionId): boolean {
    return this.#held.has(owner)
  }

  owners(): Iterable<TransactionId> {
    return this.#held.keys()
  }

  /** Whose locks `owner` would have to wait for, oldest first. Null: nobody's that it could be. */
  conflictsOf({ readKeys, writeKeys }: Locks, owner: TransactionId | null): TransactionId[] {
    if (readKeys.length + writeKeys.length === 0) return []
    const found = new Set<TransactionId>(this.#groupWriters)
    if (writeKeys === 'all') for (const other of this.#held.keys()) found.add(other)
    else if (writeKeys.length > 0) {
      for (const other of this.#groupReaders) found.add(other)
      for (const key of writeKeys) this.#addHolders(key, found)
    }
    if (readKeys === 'all') for (const other of this.#rowWriters) found.add(other)
    else for (const key of readKeys) for (const o of this.#writersOf(key)) found.add(o)
    if (owner !== null) found.delete(owner)
    return [...found].sort(compareAge)
  }

  /** Adds to what the owner has. */
  hold(owner: TransactionId, { readKeys, writeKeys }: Locks): void {
    const held = this.#held.get(owner) ?? { readKeys: new Set(), writeKeys: new Set() }
    this.#held.set(owner, held)
    if (readKeys === 'all') this.#groupReaders.add(owner)
    else {
      for (const key of readKeys) {
        held.readKeys.add(key)
        this.#lockOf(key).readers.add(owner)
      }
    }
    if (writeKeys === 'all') this.#groupWriters.add(owner)
    else {
      for (const key of writeKeys) {
        held.writeKeys.add(key)
        this.#lockOf(key).writers.add(owner)
        this.#rowWriters.add(owner)
      }
    }
  }

  release(owner: TransactionId): void {
    const held = this.#held.get(owner)
    if (held === undefined) return
    this.#held.delete(owner)
    this.#groupReaders.delete(owner)
    this.#groupWriters.delete(owner)
    this.#rowWriters.delete(owner)
    for (const key of held.readKeys) this.#drop(key, owner)
    for (const key of held.writeKeys) this.#drop(key, owner)
  }

  clear(): void {
    this.#held.clear()
    this.#keys.clear()
    this.#groupReaders.clear()
    this.#groupWriters.clear()
    this.#rowWriters.clear()
  }

  #lockOf(key: LockKey): KeyLock {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const lock: KeyLock = { readers: new Set(), writers: new Set() }
    this.#keys.set(key, lock)
    return lock
  }

  #writersOf(key: LockKey): Iterable<TransactionId> {
    return this.#keys.get(key)?.writers ?? []
  }

  #addHolders(key: LockKey, found: Set<TransactionId>): void {
    const lock = this.#keys.get(key)
    if (lock === undefined) return
    for (const reader of lock.readers) found.add(reader)
    for (const writer of lock.writers) found.add(writer)
  }

  #drop(key: LockKey, owner: TransactionId): void {
    const lock = this.#keys.get(key)
    if (lock === undefined) return
    lock.readers.delete(owner)
    lock.writers.delete(owner)
    if (lock.readers.size + lock.writers.size === 0) this.#keys.delete(key)
  }
}
