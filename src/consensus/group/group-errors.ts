import { EngineFailedError, NotLeaderError, SkeinError } from '../../core/errors.js'
import { nodeOf, type ReplicaId } from '../../core/ids.js'
import { factsOf } from '../../core/remote-error.js'

export const notLeader = (leader: ReplicaId | null): SkeinError =>
  leader === null
    ? new NotLeaderError('this node does not lead the group')
    : new NotLeaderError('this node does not lead the group', { leaderHint: nodeOf(leader) })

/** Who has left the group serves nothing of it. */
export const notMember = (leader: ReplicaId | null): SkeinError => {
  const message = 'this node has left the group'
  return leader === null
    ? new NotLeaderError(message)
    : new NotLeaderError(message, { leaderHint: nodeOf(leader) })
}

/** Whatever was thrown, as the reason why a replica stops. */
export function asFailure(error: unknown, message: string): SkeinError {
  if (error instanceof SkeinError) return error
  return new EngineFailedError(`${message}: ${factsOf(error).message}`, { cause: error })
}
