/** Messages of the replicated group beside Raft, and of the founding. */
import { MemberChangeKinds } from '../../core/member-changes.js'
import { Priorities } from '../../core/ports/messenger.js'
import {
  bool,
  bytes,
  groupId,
  list,
  logIndex,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  replicaId,
  shortGroupId,
  struct,
  term,
  text,
  u32,
  u64
} from '../../wire/codec.js'
import { declareMessage, declareRequest } from '../../wire/declaration.js'
import { configurationMembersMax } from '../configuration.js'
import { snapshotHashBytes } from '../raft-bodies.js'

/** Of one part of a snapshot; its last part is shorter. */
export const snapshotChunkBytes = 32 * 1024

export const readIndexRequest = declareRequest({
  number: 0x0240,
  name: 'ReadIndexRequest',
  priority: Priorities.High,
  body: openStruct({ group: groupId }),
  answer: openStruct({ index: logIndex }),
  about: 'Asks the leader of a group for an index at or above every acknowledged write.'
})

export const checkReport = declareMessage({
  number: 0x0242,
  name: 'CheckReport',
  priority: Priorities.Low,
  body: openStruct({ group: groupId, replica: replicaId, index: logIndex, hash: text(128) }),
  about: 'Tells the leader the content hash of a replica at a Check entry.'
})

export const checkVerdict = declareMessage({
  number: 0x0243,
  name: 'CheckVerdict',
  priority: Priorities.High,
  body: openStruct({
    group: groupId,
    term,
    index: logIndex,
    diverged: list(replicaId, configurationMembersMax),
    halted: bool
  }),
  about: 'The leader tells who has diverged, or that no majority agrees and the group halts.'
})

export const snapshotChunkRequest = declareRequest({
  number: 0x0244,
  name: 'SnapshotChunkRequest',
  priority: Priorities.Low,
  body: openStruct({ group: groupId, sha256: bytes(snapshotHashBytes), number: u32 }),
  answer: openStruct({ checksum: u32, bytes: bytes(snapshotChunkBytes) }),
  about:
    'Asks whoever offered a snapshot for one part of it, by number; the answer has its CRC-32C.'
})

/** Groups of a founding. */
export const foundedGroupsMax = 4_096
const foundedGroups = list(shortGroupId, foundedGroupsMax)

const startMark = struct({ count: u64, nonce: text(16) })

const hello = openStruct(
  {
    self: replicaId,
    clusterName: text(63),
    pledged: nullable(list(replicaId, configurationMembersMax)),
    founded: bool
  },
  {
    /** That are to be, or are; absent: group 0 alone. */
    groups: [1, foundedGroups],
    /** Of the sender's process; absent: it is judged by none. */
    start: [2, startMark],
    /** In an answer: the highest start that was heard of who asked. */
    heard: [3, startMark]
  }
)

export const replicaHello = declareRequest({
  number: 0x0250,
  name: 'ReplicaHello',
  priority: Priorities.High,
  body: hello,
  answer: hello,
  about:
    'Tells replica id, founding and start, and what was heard of the other, at each connection.'
})

export const replicaInvite = declareRequest({
  number: 0x0252,
  name: 'ReplicaInvite',
  priority: Priorities.High,
  body: openStruct(
    {
      group: groupId,
      clusterName: text(63),
      founders: list(replicaId, configurationMembersMax)
    },
    {
      /** Of the cluster, each of which is hosted from then on; absent: the one named. */
      groups: [1, foundedGroups]
    }
  ),
  answer: openStruct({ self: replicaId }),
  about: 'The leader of a group asks a node to host a replica of every group, empty at first.'
})

/** Replicas of one node may stand side by side while one takes the other's place. */
const votingNodes = list(nodeId, configurationMembersMax)

export const memberChange = declareRequest({
  number: 0x0260,
  name: 'MemberChange',
  priority: Priorities.High,
  body: openStruct({
    group: groupId,
    node: nodeId,
    change: oneOf([MemberChangeKinds.Add, MemberChangeKinds.Remove]),
    dryRun: bool
  }),
  answer: openStruct({
    /** Something changed, or would. */
    changed: bool,
    votersBefore: votingNodes,
    voters: votingNodes,
    /** Voters, and a newcomer, that answer the leader. */
    active: list(nodeId, configurationMembersMax + 1)
  }),
  about: 'Asks the leader of a group to take a node in or out, or what would become of that.'
})

/** Everything this file declares, for the catalogue. */
export const groupMessages = [
  readIndexRequest,
  checkReport,
  checkVerdict,
  snapshotChunkRequest,
  replicaHello,
  replicaInvite,
  memberChange
] as const
