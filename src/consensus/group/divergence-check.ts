/**
 * Compares the content hashes that the replicas of a group report for one `Check` entry.
 *
 * 1. A hash that a majority of the voters reported is the right one; who reported another has
 *    diverged.
 * 2. When no hash can reach a majority any more, nobody knows which is right: the group halts.
 * 3. A silent replica is neither.
 */
import { compareText, type LogIndex, type ReplicaId } from '../../core/ids.js'

export interface CheckVerdict {
  readonly index: LogIndex
  /** Sorted; told once each. */
  readonly diverged: readonly ReplicaId[]
  readonly halted: boolean
}

/** Checks under way; the oldest is forgotten at the bound. */
export const checksMax = 8

interface Check {
  readonly hashes: Map<ReplicaId, string>
  readonly told: Set<ReplicaId>
}

export class DivergenceCheck {
  readonly #checks = new Map<LogIndex, Check>()

  /** Null: nothing to tell (yet). */
  report(
    index: LogIndex,
    replica: ReplicaId,
    hash: string,
    voters: readonly ReplicaId[]
  ): CheckVerdict | null {
    if (!voters.includes(replica)) return null
    const check = this.#checkAt(index)
    if (check === null) return null
    check.hashes.set(replica, hash)
    const right = majorityHash(check.hashes, voters)
    if (right === 'impossible') {
      this.#checks.delete(index)
      return { index, diverged: [], halted: true }
    }
    if (right === null) return null
    const diverged = [...check.hashes]
      .filter(([other, reported]) => reported !== right.hash && !check.told.has(other))
      .map(([other]) => other)
      .sort(compareText)
    for (const other of diverged) check.told.add(other)
    return diverged.length === 0 ? null : { index, diverged, halted: false }
  }

  /** Leadership ended: another leader judges. */
  clear(): void {
    this.#checks.clear()
  }

  #checkAt(index: LogIndex): Check | null {
    const known = this.#checks.get(index)
    if (known !== undefined) return known
    const oldest = this.#checks.keys().next().value
    if (this.#checks.size >= checksMax && oldest !== undefined) {
      if (index < oldest) return null
      this.#checks.delete(oldest)
    }
    const check: Check = { hashes: new Map(), told: new Set() }
    this.#checks.set(index, check)
    return check
  }
}

function majorityHash(
  hashes: ReadonlyMap<ReplicaId, string>,
  voters: readonly ReplicaId[]
): { hash: string } | 'impossible' | null {
  const counts = new Map<string, number>()
  for (const hash of hashes.values()) counts.set(hash, (counts.get(hash) ?? 0) + 1)
  const majority = Math.floor(voters.length / 2) + 1
  let largest = 0
  for (const [hash, count] of counts) {
    if (count >= majority) return { hash }
    largest = Math.max(largest, count)
  }
  return largest + voters.length - hashes.size < majority ? 'impossible' : null
}
