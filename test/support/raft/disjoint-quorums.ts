import { type Configuration, membersOf } from '../../../src/consensus/index.js'
import type { ReplicaId } from '../../../src/core/index.js'

/** Tries every group of replicas: whether one is a quorum of `a` and the rest one of `b`. */
export function haveDisjointQuorums(a: Configuration, b: Configuration): boolean {
  const ids = [...new Set([...membersOf(a), ...membersOf(b)])]
  for (let group = 0; group < 1 << ids.length; group++) {
    const inside = ids.filter((_, i) => (group >> i) & 1)
    const outside = ids.filter((_, i) => !((group >> i) & 1))
    if (isQuorum(inside, a) && isQuorum(outside, b)) return true
  }
  return false
}

function isQuorum(group: readonly ReplicaId[], configuration: Configuration): boolean {
  const { voters, votersOutgoing } = configuration
  const isMajority = (half: readonly ReplicaId[]) =>
    half.length === 0 || half.filter((id) => group.includes(id)).length * 2 > half.length
  return voters.length > 0 && isMajority(voters) && isMajority(votersOutgoing)
}
