/**
 * The control family: frames by which two muxers run their connection. They travel before
 * everything else, streams' own bytes apart, and no room above the muxer sees them.
 */
import { Priorities } from '../../core/ports/messenger.js'
import {
  bytes,
  clusterId,
  declareMessage,
  errorFacts,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  type TypeOf,
  text,
  u8,
  u32,
  u64
} from '../../wire/index.js'
import { streamMessages } from './streams/messages.js'

/** Protocol versions that this build speaks. */
export const oldestProtocolVersion = 1
export const newestProtocolVersion = 1
/** Every frame up to the acceptor's Hello, and every Refuse, has this version. */
export const handshakeVersion = 1
export const bootNonceBytes = 16

/** Append only. */
export const Features = { RawDeflate: 1 } as const

const helloBody = openStruct(
  {
    kind: oneOf(['node', 'client']),
    name: text(255),
    clusterName: text(63),
    clusterId: nullable(clusterId),
    versionMin: u8,
    versionMax: u8,
    bootNonce: bytes(bootNonceBytes),
    sequence: u64
  },
  {
    /** This connection takes the place of the one that the sender's Hello of this number began. */
    renews: [1, u64],
    /** Which of this end's connections it is: 0, and where it is absent, the one for messages. */
    lane: [2, u8],
    /** How many connections of one peer this end takes; absent: one. */
    connectionsMax: [3, u8],
    /** What the sender can read, one bit each; see `Features`. */
    features: [4, u32]
  }
)
export type Hello = TypeOf<typeof helloBody>

export const hello = declareMessage({
  number: 0x0000,
  name: 'Hello',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: helloBody,
  about: 'Says who speaks; the first frame in each direction.'
})

/** Append only. */
export const refusalReasons = ['clusterName', 'clusterId', 'version', 'identity', 'busy'] as const
export type RefusalReason = (typeof refusalReasons)[number]

export const refuse = declareMessage({
  number: 0x0001,
  name: 'Refuse',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: openStruct({ reason: oneOf(refusalReasons), message: text(512) }),
  about: 'Answers a Hello that is not accepted; the connection is closed behind it.'
})

export const bindNode = declareMessage({
  number: 0x0002,
  name: 'BindNode',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: openStruct({ index: u32, nodeId }),
  about: 'Binds a node index of this direction of this connection to a node id.'
})

export const ping = declareMessage({
  number: 0x0003,
  name: 'Ping',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: openStruct({ token: u32 }),
  about: 'Asks for a Pong after a time without traffic.'
})

export const pong = declareMessage({
  number: 0x0004,
  name: 'Pong',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: openStruct({ token: u32 }),
  about: 'Answers Ping with its token.'
})

export const cancel = declareMessage({
  number: 0x0005,
  name: 'Cancel',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: openStruct({ request: u64 }),
  about: 'Nobody waits for the answer to this request any more.'
})

/** Append only. */
export const goAwayReasons = ['stopping', 'replaced', 'failed', 'idle'] as const
export type GoAwayReason = (typeof goAwayReasons)[number]

export const goAway = declareMessage({
  number: 0x0006,
  name: 'GoAway',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: openStruct({ reason: oneOf(goAwayReasons), message: text(512) }),
  about: 'The sender starts nothing new on this connection; answers under way still follow.'
})

export const errorAnswer = declareMessage({
  number: 0x0007,
  name: 'ErrorAnswer',
  priority: Priorities.Critical,
  senders: ['node', 'client'],
  receivers: ['node', 'client'],
  body: errorFacts,
  about: 'Answers a request that failed, or a message that is unknown or not allowed.'
})

export const controlMessages = [
  hello,
  refuse,
  bindNode,
  ping,
  pong,
  cancel,
  goAway,
  errorAnswer,
  ...streamMessages
] as const
