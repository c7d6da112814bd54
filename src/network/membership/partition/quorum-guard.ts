/**
 * Whether enough of those who count are in reach for operations that need them: a majority of the
 * last committed voters. It foresees what Raft would answer and names who is missing; it never
 * allows what Raft refuses.
 *
 * 1. Loss and return are told in turn, and a loss only after there was a quorum once.
 * 2. Without known voters there is no verdict, and nothing is held up.
 */
import { compareText, type NodeId } from '../../../core/ids.js'

export interface Quorum {
  readonly isPresent: boolean
  readonly needed: number
  readonly present: readonly NodeId[]
  readonly missing: readonly NodeId[]
}

export type QuorumChange = 'lost' | 'regained'

export class QuorumGuard {
  #voters: readonly NodeId[] = []
  #quorum: Quorum = { isPresent: true, needed: 0, present: [], missing: [] }
  #wasPresent = false

  get quorum(): Quorum {
    return this.#quorum
  }

  get voters(): readonly NodeId[] {
    return this.#voters
  }

  setVoters(voters: readonly NodeId[]): void {
    this.#voters = [...new Set(voters)].sort(compareText)
  }

  /** What changed, judged by who is in reach now. */
  judge(isReachable: (nodeId: NodeId) => boolean): QuorumChange | null {
    const before = this.#quorum
    this.#quorum = quorumOf(this.#voters, isReachable)
    if (this.#voters.length === 0) return null
    const { isPresent } = this.#quorum
    const isChange = this.#wasPresent && isPresent !== before.isPresent
    this.#wasPresent ||= isPresent
    if (!isChange) return null
    return isPresent ? 'regained' : 'lost'
  }
}

function quorumOf(voters: readonly NodeId[], isReachable: (nodeId: NodeId) => boolean): Quorum {
  const present = voters.filter(isReachable)
  const missing = voters.filter((nodeId) => !present.includes(nodeId))
  const needed = voters.length === 0 ? 0 : Math.floor(voters.length / 2) + 1
  return { isPresent: present.length >= needed, needed, present, missing }
}
