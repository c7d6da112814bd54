/**
 * Changes of leaders that were noticed and stand in no record yet. Every node keeps its own and
 * tells whoever coordinates, so that none is lost with a coordinator, with one that goes and comes
 * back, or with one that had not heard of the former leader.
 *
 * 1. An election stays until a record has it, however often the coordinator changes meanwhile. At
 *    the bound the oldest goes.
 * 2. A term has one election: of two that tell of it, the one stands that knows of the later leader
 *    before it.
 *
 * Owner's duties: `settle` with what is recorded before asking for `all`.
 */
import type { MonotonicMs } from '../../core/ids.js'
import type { NoticedElection } from '../rolling-restart/cluster-view.js'
import { type FailoverFacts, isElection } from './failovers-section.js'

/** That a node keeps until they are recorded. */
export const unrecordedElectionsMax = 256

export interface Election extends Omit<NoticedElection, 'agoMs'> {
  readonly at: MonotonicMs
  readonly why: string
}

/** How the action of a move that was asked for ends when it came about. */
export const moveDone = ', and did'

export class UnrecordedElections {
  /** By group and term, in the order in which they were noticed. */
  readonly #elections = new Map<string, Election>()

  get size(): number {
    return this.#elections.size
  }

  /** Oldest first. */
  get all(): readonly Election[] {
    return [...this.#elections.values()]
  }

  note(election: Election): void {
    const key = keyOf(election)
    const known = this.#elections.get(key)
    if (known !== undefined && !knowsMore(election, known)) return
    const at = Math.min(election.at, known?.at ?? election.at) as MonotonicMs
    this.#elections.set(key, { ...election, at })
    const [oldest] = this.#elections.keys()
    if (this.#elections.size > unrecordedElectionsMax && oldest !== undefined) {
      this.#elections.delete(oldest)
    }
  }

  /** It is recorded. */
  forget(election: Election): void {
    this.#elections.delete(keyOf(election))
  }

  /**
   * Forgets those that are recorded.
   * @param since what is older was recorded, and the record dropped; null: none ever was
   */
  settle(records: readonly FailoverFacts[], since: MonotonicMs | null): void {
    for (const [key, election] of this.#elections) {
      const isOld = since !== null && election.at < since
      if (isOld || records.some((record) => tellsOf(record, election))) {
        this.#elections.delete(key)
      }
    }
  }
}

/** Who did not ask for a move hears of an election in the next term. */
function tellsOf(record: FailoverFacts, { group, term, from, to }: Election): boolean {
  if (record.group !== group) return false
  if (isElection(record)) return record.term === term
  const isThere = record.from === from && record.to === to && record.term + 1 === term
  return isThere && record.action.endsWith(moveDone)
}

function knowsMore(one: Election, other: Election): boolean {
  if (one.from === null || other.from === null) return one.from !== null && other.from === null
  return one.ledTerm > other.ledTerm
}

const keyOf = ({ group, term }: Election): string => `${group}/${term}`
