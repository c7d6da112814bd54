/** What a replica tells of itself. */
import { type GroupId, groupName, type LogIndex, nodeOf, type ReplicaId } from '../../core/ids.js'
import type { GroupStatus, Leadership, ReplicaSight } from '../../core/ports/replicated-group.js'
import type { Configuration } from '../configuration.js'
import type { RaftStatus } from '../raft/types.js'
import type { RaftDriver } from './raft-driver.js'

export function statusOf(
  raft: RaftStatus,
  own: {
    readonly group: GroupId
    readonly self: ReplicaId
    readonly appliedIndex: LogIndex
    readonly failed: string | null
    readonly handedOver: boolean
  }
): GroupStatus {
  const { group, appliedIndex, failed, handedOver } = own
  const leader = {
    nodeId: nodeOf(own.self),
    matchIndex: raft.durableIndex,
    active: true,
    getsSnapshot: false
  }
  const others = raft.progress
    .filter(({ isVoter }) => isVoter)
    .map(({ replica, matchIndex, active, mode }) => ({
      nodeId: nodeOf(replica),
      matchIndex,
      active,
      getsSnapshot: mode === 'snapshot'
    }))
  return {
    group,
    name: groupName(group),
    role: raft.role,
    term: raft.term,
    leader: raft.leader === null ? null : nodeOf(raft.leader),
    handedOver,
    voters: raft.configuration.voters.map(nodeOf),
    learners: raft.configuration.learners.map(nodeOf),
    commitIndex: raft.commitIndex,
    appliedIndex,
    firstIndex: (raft.baseIndex + 1) as LogIndex,
    lastIndex: raft.lastIndex,
    failed,
    progress: raft.role === 'leader' ? [leader, ...others] : []
  }
}

/** Always as of now. */
export function sightOf(
  group: GroupId,
  replica: {
    readonly core: () => RaftDriver['core']
    readonly appliedIndex: () => LogIndex
    readonly failed: () => string | null
  }
): ReplicaSight {
  return {
    group,
    get role() {
      return replica.core().role
    },
    get term() {
      return replica.core().term
    },
    get commitIndex() {
      return replica.core().commitIndex
    },
    get appliedIndex() {
      return replica.appliedIndex()
    },
    get failed() {
      return replica.failed()
    }
  }
}

/** The same value until one of it changes. */
export class LeadershipView {
  #known: { by: Configuration; from: ReplicaId | null; is: Leadership } | null = null

  of({ role, term, leader, configuration }: RaftDriver['core']): Leadership {
    const known = this.#known
    if (
      known !== null &&
      known.by === configuration &&
      known.from === leader &&
      known.is.role === role &&
      known.is.term === term
    ) {
      return known.is
    }
    const voters = configuration.voters.map(nodeOf)
    const is = { role, term, leader: leader === null ? null : nodeOf(leader), voters }
    this.#known = { by: configuration, from: leader, is }
    return is
  }
}
