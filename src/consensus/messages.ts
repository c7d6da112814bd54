/**
 * Raft's messages, and how they lie on the wire. Each names its group, and the storages of its
 * sender and its receiver, so that a message for another storage of the same node is recognised.
 * The nodes are those of the connection: a peer cannot speak for a replica of another. Votes and
 * heartbeats have a priority of their own: they never queue behind appends.
 */
import type { ReplicaId, StorageId } from '../core/ids.js'
import { Priorities } from '../core/ports/messenger.js'
import { declareMessage, type MessageDeclaration } from '../wire/declaration.js'
import { raftBodies } from './raft-bodies.js'

export const preVoteMessage = declareMessage({
  number: 0x0200,
  name: 'preVote',
  priority: Priorities.Critical,
  body: raftBodies.preVote,
  about: 'Asks whether a vote in the named term would be granted; changes nothing at the receiver.'
})
export const preVoteResponseMessage = declareMessage({
  number: 0x0201,
  name: 'preVoteResponse',
  priority: Priorities.Critical,
  body: raftBodies.preVoteResponse,
  about: 'Answers preVote: the asked term when granted, the own term when refused.'
})
export const voteMessage = declareMessage({
  number: 0x0202,
  name: 'vote',
  priority: Priorities.Critical,
  body: raftBodies.vote,
  about: 'Asks for a vote.'
})
export const voteResponseMessage = declareMessage({
  number: 0x0203,
  name: 'voteResponse',
  priority: Priorities.Critical,
  body: raftBodies.voteResponse,
  about: 'Answers vote; sent when the vote is durable.'
})
export const appendEntriesMessage = declareMessage({
  number: 0x0204,
  name: 'appendEntries',
  priority: Priorities.High,
  body: raftBodies.appendEntries,
  about:
    'Entries behind a point that leader and follower must have in common, and the commit index.'
})
export const appendEntriesResponseMessage = declareMessage({
  number: 0x0205,
  name: 'appendEntriesResponse',
  priority: Priorities.High,
  body: raftBodies.appendEntriesResponse,
  about: 'Answers appendEntries; an acceptance is sent when the entries are durable.'
})
export const heartbeatMessage = declareMessage({
  number: 0x0206,
  name: 'heartbeat',
  priority: Priorities.Critical,
  body: raftBodies.heartbeat,
  about:
    'Keeps followers from campaigning; carries a commit index that the receiver is known to hold.'
})
export const heartbeatResponseMessage = declareMessage({
  number: 0x0207,
  name: 'heartbeatResponse',
  priority: Priorities.Critical,
  body: raftBodies.heartbeatResponse,
  about: 'Answers heartbeat with its read context, or tells a lagging leader the term.'
})
export const timeoutNowMessage = declareMessage({
  number: 0x0208,
  name: 'timeoutNow',
  priority: Priorities.Critical,
  body: raftBodies.timeoutNow,
  about: 'The leader hands over: its receiver campaigns at once.'
})

export const installSnapshotMessage = declareMessage({
  number: 0x0209,
  name: 'installSnapshot',
  priority: Priorities.High,
  body: raftBodies.installSnapshot,
  about:
    'Offers a snapshot to who lacks what the log does not hold any more; its parts are asked for.'
})
export const snapshotRefusedMessage = declareMessage({
  number: 0x020a,
  name: 'snapshotRefused',
  priority: Priorities.High,
  body: raftBodies.snapshotRefused,
  about: 'Answers installSnapshot when the sender could not take the snapshot in.'
})

export type PreVote = Named<BodyOf<typeof preVoteMessage>>
export type PreVoteResponse = Named<BodyOf<typeof preVoteResponseMessage>>
export type Vote = Named<BodyOf<typeof voteMessage>>
export type VoteResponse = Named<BodyOf<typeof voteResponseMessage>>
export type AppendEntries = Named<BodyOf<typeof appendEntriesMessage>>
export type AppendEntriesResponse = Named<BodyOf<typeof appendEntriesResponseMessage>>
export type Heartbeat = Named<BodyOf<typeof heartbeatMessage>>
export type HeartbeatResponse = Named<BodyOf<typeof heartbeatResponseMessage>>
export type TimeoutNow = Named<BodyOf<typeof timeoutNowMessage>>
export type InstallSnapshot = Named<BodyOf<typeof installSnapshotMessage>>
export type SnapshotRefused = Named<BodyOf<typeof snapshotRefusedMessage>>

export type RaftMessage =
  | PreVote
  | PreVoteResponse
  | Vote
  | VoteResponse
  | AppendEntries
  | AppendEntriesResponse
  | Heartbeat
  | HeartbeatResponse
  | TimeoutNow
  | InstallSnapshot
  | SnapshotRefused

/** A message between two storages, whose nodes the connection tells. */
export type WireMessage = {
  [Name in keyof typeof raftDeclarations]: BodyOf<(typeof raftDeclarations)[Name]>
}[keyof typeof raftDeclarations]

/** What goes to the wire for it. */
export const toWire = (message: RaftMessage, from: StorageId, to: StorageId): WireMessage =>
  ({ ...message, from, to }) as WireMessage

/** What came from the wire, with both ends named in full. */
export const fromWire = (wire: WireMessage, from: ReplicaId, to: ReplicaId): RaftMessage =>
  ({ ...wire, from, to }) as RaftMessage

/** The declaration of each kind of message; `send` with `raftDeclarations[message.kind]`. */
export const raftDeclarations = {
  preVote: preVoteMessage,
  preVoteResponse: preVoteResponseMessage,
  vote: voteMessage,
  voteResponse: voteResponseMessage,
  appendEntries: appendEntriesMessage,
  appendEntriesResponse: appendEntriesResponseMessage,
  heartbeat: heartbeatMessage,
  heartbeatResponse: heartbeatResponseMessage,
  timeoutNow: timeoutNowMessage,
  installSnapshot: installSnapshotMessage,
  snapshotRefused: snapshotRefusedMessage
} as const

/** The same with replicas for ends. */
type Named<Body> = Omit<Body, 'from' | 'to'> & { readonly from: ReplicaId; readonly to: ReplicaId }

type BodyOf<D> = D extends MessageDeclaration<infer Body> ? Body : never
