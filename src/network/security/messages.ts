/** What members say to one another about certificates, revocation and gossip keys. */
import { Priorities } from '../../core/ports/messenger.js'
import {
  bool,
  bytes,
  declareMessage,
  declareRequest,
  list,
  nodeId,
  nullable,
  openStruct,
  struct,
  type TypeOf,
  text,
  u32,
  u64
} from '../../wire/index.js'
import { gossipKeyBytes, gossipKeysMax } from './datagram-keyring.js'

/** Authorities whose lists travel together. */
export const carriedListsMax = 8
/** Of all lists of one message. */
export const carriedListsBytesMax = 768 * 1024
const listBytesMax = 512 * 1024

/** The ring with the keys in it: for members only, inside mutual TLS. */
export const carriedKeyRing = struct({
  version: u64,
  writer: text(63),
  primary: u32,
  rotating: nullable(u32),
  keys: list(bytes(gossipKeyBytes), gossipKeysMax)
})
export type CarriedKeyRing = TypeOf<typeof carriedKeyRing>

const keyRingState = openStruct({
  version: u64,
  primary: u32,
  rotating: nullable(u32),
  keys: list(u32, gossipKeysMax)
})
export type KeyRingState = TypeOf<typeof keyRingState>

export const reloadCertificates = declareRequest({
  number: 0x01c0,
  name: 'ReloadCertificates',
  priority: Priorities.High,
  body: openStruct({}),
  answer: openStruct({ serialNumber: text(40), daysLeft: u32 }),
  about: 'Asks a member to read its certificate files again.'
})

export const tellRevocations = declareRequest({
  number: 0x01c2,
  name: 'TellRevocations',
  priority: Priorities.Critical,
  body: openStruct({ lists: list(bytes(listBytesMax), carriedListsMax) }),
  answer: openStruct({ taken: u32 }),
  about:
    'Revocation lists as their authorities signed them; whoever hears them cuts who is on them.'
})

export const compareSecurity = declareRequest({
  number: 0x01c4,
  name: 'CompareSecurity',
  priority: Priorities.High,
  secret: true,
  body: openStruct({
    lists: list(struct({ authorityId: text(64), number: u64 }), carriedListsMax),
    keyRing: nullable(struct({ version: u64, writer: text(63) }))
  }),
  answer: openStruct({
    /** Those that the asker has not, or has older ones of. */
    lists: list(bytes(listBytesMax), carriedListsMax),
    /** Null: the asker's is as new. */
    keyRing: nullable(carriedKeyRing)
  }),
  about: 'What a member knows of revocations and gossip keys; answered with what is newer.'
})

export const lockKeyRing = declareRequest({
  number: 0x01c6,
  name: 'LockKeyRing',
  priority: Priorities.High,
  body: openStruct({ token: u64, leaseMs: u32 }),
  answer: openStruct({ granted: bool, heldBy: nullable(nodeId), state: keyRingState }),
  about: 'Asks for the right to change the gossip keys, for a time.'
})

export const writeKeyRing = declareRequest({
  number: 0x01c8,
  name: 'WriteKeyRing',
  priority: Priorities.High,
  secret: true,
  body: openStruct({ token: u64, keyRing: carriedKeyRing }),
  answer: keyRingState,
  about: 'The gossip keys from now on; answered when they are durable and in use.'
})

export const unlockKeyRing = declareMessage({
  number: 0x01ca,
  name: 'UnlockKeyRing',
  priority: Priorities.High,
  body: openStruct({ token: u64 }),
  about: 'Gives the right to change the gossip keys back.'
})

export const askKeyRing = declareRequest({
  number: 0x01cc,
  name: 'AskKeyRing',
  priority: Priorities.Normal,
  body: openStruct({}),
  answer: keyRingState,
  about: 'Asks which gossip keys a member has.'
})

export const securityMessages = [
  reloadCertificates,
  tellRevocations,
  compareSecurity,
  lockKeyRing,
  writeKeyRing,
  unlockKeyRing,
  askKeyRing
] as const
