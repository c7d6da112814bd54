/** What routing says on the wire: numbers 0x0300 to 0x03FF, append only. */
import { messageSizeBytesMax } from '../core/limits.js'
import { Priorities } from '../core/ports/messenger.js'
import {
  clientId,
  declareRequest,
  groupId,
  list,
  logIndex,
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
  u16
} from '../wire/index.js'
import { placedGroupsMax } from './placement-table.js'

/** Replicas of one group that vote. */
export const votersMax = 64

const queryBody = openStruct({
  group: groupId,
  kind: oneOf(['read', 'write']),
  consistency: oneOf(['linearizable', 'leader', 'local']),
  atLeastIndex: logIndex,
  statements: list(statement, statementsMax),
  client: nullable(struct({ clientId, serial, answeredBelow: serial }))
})
export type QueryBody = TypeOf<typeof queryBody>

const queryAnswer = openStruct({
  results: list(statementResult, statementsMax),
  index: logIndex,
  group: groupId,
  /** Who executed it. */
  node: nodeId,
  /** Queries in flight there, in thousandths of its bound. */
  utilisationPermille: u16
})
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

export const placement = declareRequest({
  number: 0x0302,
  name: 'Placement',
  priority: Priorities.High,
  senders: ['node', 'client'],
  body: openStruct({}),
  answer: openStruct({
    groups: list(
      struct({ group: groupId, term, leader: nullable(nodeId), voters: list(nodeId, votersMax) }),
      placedGroupsMax
    )
  }),
  about: 'Asks where groups live: voters, leader and term of every group that the asked node knows.'
})

export const registerClient = declareRequest({
  number: 0x0304,
  name: 'RegisterClient',
  priority: Priorities.Normal,
  senders: ['node', 'client'],
  body: openStruct({ group: groupId, clientId }),
  answer: openStruct({}),
  about: 'Registers a client that numbers its writes; registering twice is harmless.'
})

export const routingMessages = [query, placement, registerClient]

/** A request's values may take so much, which leaves room for everything else in the message. */
export const requestValuesBytesMax = messageSizeBytesMax - 65_536
