import type { RaftRole } from '../../core/events.js'
import type { MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import type { RaftMessage } from '../messages.js'
import type { HeardAt } from './types.js'

/** What a replica does in one role. Messages arrive with the replica's own term. */
export interface Role {
  readonly name: RaftRole
  receive(message: RaftMessage): void
  handleTimeout(): void
  /** Something became durable. */
  handlePersisted(): void
  handlePeerLost(peer: ReplicaId): void
  nextDeadline(): MonotonicMs
  /** It was not called for a while; the host of others was heard at these times. */
  resume(heardAt: HeardAt): void
  /** Whether a leader is known to be at work, so that nobody may campaign against it. */
  isLeaderAtWork(): boolean
  /** The last call: what only this role could answer is refused. */
  leave(): void
}

/** Why a replica leads that the leader before asked to take over, as its events say it. */
export const leadershipTransferred = 'leadershipTransferred'

/** The only ways from one role to another. */
export interface Transitions {
  becomeFollower(term: Term, leader: ReplicaId | null, reason: string): void
  becomePreCandidate(reason: string): void
  /** `transfer`: on the leader's word, so voters need not wait until it is silent. */
  becomeCandidate(transfer: boolean, reason: string): void
  becomeLeader(reason: string): void
}
