/** What routing says on the wire: numbers 0x0300 to 0x03FF, append only. */
import { InvalidArgumentError } from '../core/errors.js'
import { messageSizeBytesMax, schemaTextBytesMax } from '../core/limits.js'
import { HealthStatuses, Lifecycles, Livenesses } from '../core/member.js'
import { Priorities, type Priority } from '../core/ports/messenger.js'
import { requestBranchesMax } from '../core/request-branch.js'
import {
  bool,
  clientId,
  clusterId,
  declareMessage,
  declareRequest,
  f64,
  groupId,
  list,
  logIndex,
  mapped,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  serial,
  statement,
  statementResult,
  statementsMax,
  struct,
  type TypeOf,
  term,
  text,
  u8,
  u16,
  u32,
  u64
} from '../wire/index.js'
import { loadKeysMax, loadRowsToldMax } from './hotspots/load-table.js'
import { placedGroupsMax } from './placement-table.js'
import { clientSessionMessages, preparedName, sessionIdLength } from './sessions/messages.js'

/** Replicas of one group that vote. */
export const votersMax = 64

/** What a query is about, and whose session it belongs to. */
export const routeTextLengthMax = 128
/** Characters take up to three bytes. */
const routeText = text(3 * routeTextLengthMax)

const consistencies = oneOf(['linearizable', 'leader', 'local'])
const priority = mapped(u8, (given: Priority) => given, priorityFrom)

const queryBody = openStruct(
  {
    group: groupId,
    kind: oneOf(['read', 'write']),
    consistency: consistencies,
    atLeastIndex: logIndex,
    statements: list(statement, statementsMax),
    client: nullable(struct({ clientId, serial, answeredBelow: serial }))
  },
  {
    /** The term in which the sender chose this node; absent: it did not know one. */
    term: [1, term],
    /** Absent: normal. */
    priority: [2, priority],
    key: [3, routeText],
    session: [4, routeText],
    /** Of a client alone: whose SQL session it is, at whose home it runs. */
    sqlSession: [
      5,
      struct({
        id: text(sessionIdLength),
        /** By the place of the statement that it stands for; empty: all are told by their text. */
        prepared: list(nullable(preparedName), statementsMax)
      })
    ],
    /** The statements are of several groups: one transaction, which the group coordinates. */
    branches: [
      6,
      list(
        struct({ group: groupId, statements: list(u16, statementsMax), reads: bool }),
        requestBranchesMax
      )
    ],
    /** Of a local read; absent: it may be as old as it is. */
    maxStalenessMs: [7, u32]
  }
)
export type QueryBody = TypeOf<typeof queryBody>

const queryAnswer = openStruct(
  {
    results: list(statementResult, statementsMax),
    index: logIndex,
    group: groupId,
    /** Who executed it. */
    node: nodeId,
    /** How much of that node is used, in thousandths: its room for queries, or its main loop. */
    utilisationPermille: u16
  },
  {
    /** Queries being executed or waiting there, anybody's. */
    queueDepth: [1, u16],
    /** Of other groups that a transaction wrote to: what reads there must have seen. */
    seen: [2, list(struct({ group: groupId, index: logIndex }), requestBranchesMax)],
    /** Of a local read: no older is what it saw. Absent: not known. */
    stalenessMs: [3, u32]
  }
)
export type QueryAnswer = TypeOf<typeof queryAnswer>

export const query = declareRequest({
  number: 0x0300,
  name: 'Query',
  priority: Priorities.Normal,
  senders: ['node', 'client'],
  body: queryBody,
  answer: queryAnswer,
  about:
    'Executes statements here; from a client, wherever they belong. Its deadline is the frame’s.'
})

const placedGroup = struct({
  group: groupId,
  term,
  leader: nullable(nodeId),
  voters: list(nodeId, votersMax)
})

/** Tables that may be sharded, and ranges of one. */
export const shardedTablesMax = 256
export const shardRangesMax = 1_024

/** Names of SQL; so many bytes. */
const sqlName = text(128)

const shards = struct({
  /** Rises with every change. */
  version: u64,
  tables: list(
    struct({
      table: sqlName,
      shardKey: sqlName,
      ranges: list(struct({ from: u32, group: groupId }), shardRangesMax)
    }),
    shardedTablesMax
  )
})

export const placement = declareRequest({
  number: 0x0302,
  name: 'Placement',
  priority: Priorities.High,
  senders: ['node', 'client'],
  body: openStruct({}),
  answer: openStruct(
    { groups: list(placedGroup, placedGroupsMax) },
    {
      /** Which tables are sharded; absent: none, as far as the asked node knows. */
      shards: [1, shards]
    }
  ),
  about: 'Asks where groups live: voters, leader and term of every group that the asked node knows.'
})

export const registerClient = declareRequest({
  number: 0x0304,
  name: 'RegisterClient',
  // Once for each client and group; an urgent write may wait for it, on a way round among others.
  priority: Priorities.High,
  senders: ['node', 'client'],
  body: openStruct({ group: groupId, clientId }),
  answer: openStruct({}),
  about: 'Registers a client that numbers its writes; registering twice is harmless.'
})

/** Members that a client is told of, the first by id. */
export const toldMembersMax = 1_024

const toldMember = struct({
  nodeId,
  address: text(255),
  liveness: oneOf(Object.values(Livenesses)),
  lifecycle: oneOf(Object.values(Lifecycles)),
  health: oneOf(Object.values(HealthStatuses)),
  datacenter: text(255),
  rack: text(255)
})

const clusterAnswer = openStruct(
  {
    node: nodeId,
    /** Of this node's view; rises with each change, and from one life of the node to the next. */
    revision: u64,
    clusterId: nullable(clusterId),
    /** Of the answering node's program. */
    version: text(63),
    members: list(toldMember, toldMembersMax),
    groups: list(placedGroup, placedGroupsMax)
  },
  { shards: [1, shards] }
)
export type ClusterAnswer = TypeOf<typeof clusterAnswer>

export const watchCluster = declareRequest({
  number: 0x0306,
  name: 'WatchCluster',
  priority: Priorities.High,
  senders: ['node', 'client'],
  body: openStruct({ revision: u64 }),
  answer: clusterAnswer,
  about:
    'Asks who the members are and where groups live. The answer comes when the view is another ' +
    'than the given revision, or soon before the deadline.'
})

export const routeQuery = declareRequest({
  number: 0x030a,
  name: 'RouteQuery',
  priority: Priorities.Normal,
  senders: ['node', 'client'],
  body: openStruct(
    { statement, consistency: consistencies },
    { priority: [1, priority], key: [2, routeText], session: [3, routeText] }
  ),
  answer: openStruct({
    node: nodeId,
    group: groupId,
    kind: oneOf(['read', 'write']),
    consistency: consistencies,
    term: nullable(term),
    key: nullable(routeText),
    strategy: text(255),
    reason: text(1_023)
  }),
  about: 'Asks which node would execute a statement, and why; nothing is executed.'
})

export type RouteQuestionBody = NonNullable<(typeof routeQuery)['body']>
export type RouteAnswer = NonNullable<(typeof routeQuery)['response']['body']>

const rate = mapped(f64, (given: number) => given, rateFrom)

export const loadReport = declareMessage({
  number: 0x0308,
  name: 'LoadReport',
  priority: Priorities.Normal,
  body: openStruct({
    rows: list(
      struct({
        node: nodeId,
        sequence: u64,
        ageMs: u32,
        burstPerSecond: rate,
        windowPerSecond: rate,
        leaderPerSecond: rate,
        keys: list(
          struct({ key: routeText, burstPerSecond: rate, windowPerSecond: rate }),
          loadKeysMax
        )
      }),
      loadRowsToldMax
    )
  }),
  about:
    'What nodes execute per second, and their busiest keys: the sender, and others it knows of.'
})

const schemaBody = openStruct(
  {
    /** 32 hex digits: the same again is the same change. */
    id: text(32),
    sql: text(schemaTextBytesMax)
  },
  {
    /** Of a SQL session that is at home here. */
    session: [1, text(sessionIdLength)]
  }
)
export type SchemaBody = TypeOf<typeof schemaBody>

export const changeSchema = declareRequest({
  number: 0x0340,
  name: 'ChangeSchema',
  priority: Priorities.Normal,
  senders: ['client'],
  body: schemaBody,
  answer: openStruct({}),
  about: 'Changes the schema of a sharded table in all its groups; answered when that is done.'
})

export const routingMessages = [
  query,
  placement,
  registerClient,
  watchCluster,
  loadReport,
  routeQuery,
  changeSchema,
  ...clientSessionMessages
]

/** A request's values may take so much, which leaves room for everything else in the message. */
export const requestValuesBytesMax = messageSizeBytesMax - 65_536

function rateFrom(wire: number): number {
  if (Number.isFinite(wire) && wire >= 0) return wire
  throw new InvalidArgumentError('rate', `${wire} per second`)
}

function priorityFrom(wire: number): Priority {
  const known = Object.values(Priorities).find((one) => one === wire)
  if (known === undefined) throw new InvalidArgumentError('priority', `no priority ${wire}`)
  return known
}
