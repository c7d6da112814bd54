/**
 * Planned work on nodes: what a node says of itself to whoever plans, and what it is asked to do.
 * Numbers 0x0640 to 0x067F, append only.
 */

import { RaftRoles } from '../../core/events.js'
import { latencyBucketsLength } from '../../core/latency-counts.js'
import { Lifecycles } from '../../core/member.js'
import { Priorities } from '../../core/ports/messenger.js'
import { drainPhases } from '../../core/rolling-restart.js'
import {
  bool,
  declareRequest,
  groupId,
  list,
  logIndex,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  struct,
  term,
  text,
  u32,
  u64
} from '../../wire/index.js'

/** Groups of one node that a status tells of. */
export const groupsToldMax = 4_096
/** Voters of one group. */
const votersMax = 64
/** Members that a status may call draining. */
export const drainingToldMax = 1_024

/** Elections that no record has, and that a status tells of: the newest. */
export const electionsToldMax = 64

/** Append only: the position is the number on the wire. */
const lifecycles = [
  Lifecycles.Joining,
  Lifecycles.WeaklyUp,
  Lifecycles.Up,
  Lifecycles.Draining,
  Lifecycles.Leaving,
  Lifecycles.Left
] as const
/** Append only: the position is the number on the wire. */
const roles = [
  RaftRoles.Follower,
  RaftRoles.PreCandidate,
  RaftRoles.Candidate,
  RaftRoles.Leader,
  RaftRoles.Learner
] as const

const boot = text(16)
const nodes = list(nodeId, votersMax)

/**
 * By whose plan something is asked, and of which process. A node obeys no older one than it has
 * seen, and none for another process.
 */
const fence = struct({ plan: text(64), epoch: term, revision: u64, boot })

const move = struct({ group: groupId, target: nodeId })

export const nodeStatus = declareRequest({
  number: 0x0640,
  name: 'NodeStatus',
  priority: Priorities.High,
  body: openStruct({}),
  answer: openStruct(
    {
      boot,
      lifecycle: oneOf(lifecycles),
      ready: bool,
      canRestart: bool,
      isRestarting: bool,
      draining: list(nodeId, drainingToldMax),
      sessions: u32,
      sessionsMoved: u32,
      sessionsRefused: u32,
      inFlight: u32,
      queries: u64,
      failures: u64,
      groups: list(
        struct({
          group: groupId,
          role: oneOf(roles),
          term,
          leader: nullable(nodeId),
          voters: nodes,
          votersOutgoing: nodes,
          commitIndex: logIndex,
          appliedIndex: logIndex,
          failed: bool,
          active: nodes
        }),
        groupsToldMax
      )
    },
    {
      /** `LatencyCounts` of its queries since its process began. */
      latencies: [1, list(u64, latencyBucketsLength)],
      /** Of the groups that it leads, those whose leader before handed over to it. */
      handedOver: [2, list(groupId, groupsToldMax)],
      /** Changes of leaders that it noticed and that no record has. */
      elections: [
        3,
        list(
          struct({
            group: groupId,
            term,
            to: nodeId,
            from: nullable(nodeId),
            ledTerm: term,
            agoMs: u64
          }),
          electionsToldMax
        )
      ]
    }
  ),
  about: 'Asks a node how it is: its process, its replicas, and what a drain would have to move.'
})

export const nodeDrain = declareRequest({
  number: 0x0642,
  name: 'NodeDrain',
  priority: Priorities.High,
  body: openStruct({
    /** Null: by an operator. */
    fence: nullable(fence),
    phase: oneOf(drainPhases),
    /** Where to give leaderships; for groups that are not named their leader chooses. */
    moves: list(move, groupsToldMax),
    timeoutMs: u32
  }),
  answer: openStruct({}),
  about: 'Asks a node to begin a phase of its drain, as far as it has not.'
})

export const nodeUndrain = declareRequest({
  number: 0x0644,
  name: 'NodeUndrain',
  priority: Priorities.High,
  body: openStruct({
    /** Null: by an operator. */
    fence: nullable(fence)
  }),
  answer: openStruct({}),
  about: 'Asks a node that drains to take work again.'
})

export const nodeRestart = declareRequest({
  number: 0x0646,
  name: 'NodeRestart',
  priority: Priorities.High,
  body: openStruct({ fence }),
  answer: openStruct({}),
  about: 'Asks a drained node to have its process replaced.'
})

export const leadershipMove = declareRequest({
  number: 0x0648,
  name: 'LeadershipMove',
  priority: Priorities.High,
  body: openStruct({
    group: groupId,
    /** Null: the leader chooses. */
    target: nullable(nodeId)
  }),
  answer: openStruct({ leader: nullable(nodeId) }),
  about: 'Asks the leader of a group to give its leadership away; it passes nothing on.'
})

export const leadershipKeep = declareRequest({
  number: 0x064a,
  name: 'LeadershipKeep',
  priority: Priorities.High,
  body: openStruct({ group: groupId, forMs: u32 }),
  answer: openStruct({}),
  about: 'Asks a node to keep the leadership of a group that was put there on purpose.'
})

/** Everything this file declares, for the catalogue. */
export const drainMessages = [
  nodeStatus,
  nodeDrain,
  nodeUndrain,
  nodeRestart,
  leadershipMove,
  leadershipKeep
] as const
