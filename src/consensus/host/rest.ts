/** Whether a replica has nothing left to do, by what its core says of itself. */
import { RaftRoles } from '../../core/events.js'
import type { ReplicaId } from '../../core/ids.js'
import { isJoint } from '../configuration.js'
import type { RaftStatus } from '../raft/types.js'
import type { HostBeat } from './host-messages.js'
import type { Rest } from './quiescence.js'

/** Null: not every member has everything, or something is under way. */
export function restOfLeader(status: RaftStatus): Rest | null {
  const { lastIndex, lastTerm, pendingReads, progress, role, term, transferTarget } = status
  if (role !== RaftRoles.Leader || lastTerm !== term || !isSettled(status)) return null
  if (isJoint(status.configuration) || pendingReads > 0 || transferTarget !== null) return null
  const isLevel = progress.every(
    ({ active, isLeaving, matchIndex, mode }) =>
      active && !isLeaving && mode === 'replicate' && matchIndex === lastIndex
  )
  return isLevel ? { term, index: lastIndex } : null
}

/** Null: it has not what the leader has, or follows another. */
export function restOfFollower(
  status: RaftStatus,
  { commitIndex, term }: HostBeat,
  leader: ReplicaId
): Rest | null {
  const isFollower = status.role === RaftRoles.Follower || status.role === RaftRoles.Learner
  if (!isFollower || status.leader !== leader || status.term !== term) return null
  return isSettled(status) && status.lastIndex === commitIndex ? { term, index: commitIndex } : null
}

/** The last entry is durable, committed and handed over. */
const isSettled = ({ commitIndex, durableIndex, emittedIndex, lastIndex }: RaftStatus): boolean =>
  commitIndex === lastIndex && durableIndex === lastIndex && emittedIndex === lastIndex
