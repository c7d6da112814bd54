import { EngineFailedError, NotLeaderError, SkeinError } from '../../core/errors.js'
import { nodeOf, type ReplicaId } from '../../core/ids.js'
import { factsOf } from '../../core/remote-error.js'

export const notLeader = (leader: ReplicaId | null): SkeinError =>
  elsewhere('this node does not lead the group', leader)

/** Who has left the group serves nothing of it. */
export const notMember = (leader: ReplicaId | null): SkeinError =>
  elsewhere('this node has left the group', leader)

/** Whatever was thrown, as the reason why a replica stops. */
export function asFailure(error: unknown, message: string): SkeinError {
  if (error instanceof SkeinError) return error
  return new EngineFailedError(`${message}: ${factsOf(error).message}`, { cause: error })
}

const elsewhere = (message: string, leader: ReplicaId | null): SkeinError =>
  new NotLeaderError(message, leader === null ? {} : { leaderHint: nodeOf(leader) })
