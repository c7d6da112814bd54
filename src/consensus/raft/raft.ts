import type { Effects } from '../../core/effects.js'
import type { LogIndex, MonotonicMs, ReplicaId } from '../../core/ids.js'
import type { RaftMessage } from '../messages.js'
import type {
  ElectionRecord,
  ProposeOutcome,
  RaftEvent,
  RaftInit,
  RaftPersist,
  RaftStatus
} from './types.js'

/** The Raft core of one replica. */
export declare class Raft {
  constructor(init: RaftInit)
  receive(message: RaftMessage, now: MonotonicMs): void
  handleTimeout(now: MonotonicMs): void
  /** Every persist request up to `sequence` is durable. */
  handlePersisted(sequence: number, now: MonotonicMs): void
  /** The connection to `peer` broke: if it leads, it has probably died. */
  handlePeerLost(peer: ReplicaId, now: MonotonicMs): void
  /** A message to `peer` was not taken by the transport. */
  handlePeerUnreachable(peer: ReplicaId, now: MonotonicMs): void
  handlePeerConnected(peer: ReplicaId, now: MonotonicMs): void
  /** `payload` is an encoded EntryPayload of kind `batch`. */
  propose(payload: Uint8Array, now: MonotonicMs): ProposeOutcome
  requestReadIndex(requestId: number, now: MonotonicMs): void
  transferLeadership(target: ReplicaId | null, now: MonotonicMs): void
  stepDown(reason: string, now: MonotonicMs): void
  /** A replica that is about to stop does not campaign, whoever asks; true at the start. */
  setCandidacy(allowed: boolean): void
  drain(): Effects<RaftMessage, RaftPersist, RaftEvent>
  nextDeadline(): MonotonicMs
  status(): RaftStatus
  /** Kinds of the entry at `index`; undefined when the log does not reach it. */
  termAt(index: LogIndex): number | undefined
  explainElection(): readonly ElectionRecord[]
}
