/**
 * State that travels in pieces between nodes: numbers 0x0800 to 0x08FF, append only. Every piece
 * carries its own digest, and a transfer that was cut goes on where it stopped.
 */
import { Priorities } from '../../core/ports/messenger.js'
import {
  bool,
  bytes,
  declareMessage,
  declareRequest,
  groupId,
  list,
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

/** Data of one chunk of a file. */
export const fileChunkBytesMax = 512 * 1024
/** Log records of one message. */
export const replicationBytesMax = 512 * 1024
/** State of one service in one answer; more comes as a file. */
export const serviceStateBytesMax = 512 * 1024
/** Part of a file's map: what lies behind it counts as missing, and at worst is sent again. */
export const chunkBitmapBytesMax = 65_536
/** Of one file: at chunks of 512 KiB it has 8 TiB. */
export const fileChunksMax = 16_777_216
/** Nodes that changed one state. */
export const versionOriginsMax = 64
/** A file's name in UTF-8; `isFileName` says what else it must be. */
export const fileNameBytesMax = 128
/** What a transfer is called, in UTF-8. */
export const transferIdBytesMax = 64
/** Tenants told in one exchange. */
export const tenantsMax = 1_024
/** Services of one tenant, by name. */
export const tenantServicesMax = 64

/** SHA-256. */
export const digestBytes = 32
const digest = bytes(digestBytes)
/** Of a state: whose changes it has in it, and how many of each, sorted by origin. */
const versionVector = list(struct({ origin: nodeId, version: u64 }), versionOriginsMax)

const tenantMetadata = struct({
  tenant: text(63),
  /** Rises with every change; the higher one is kept, of two alike that of the higher origin. */
  version: u64,
  origin: nodeId,
  /** Kept for a while, so that nobody brings it back. */
  removed: bool,
  services: list(text(63), tenantServicesMax),
  clients: u32,
  sizeBytes: u64,
  changedAt: u64
})

export const replicationLog = declareMessage({
  number: 0x0800,
  name: 'ReplicationLog',
  priority: Priorities.Normal,
  body: openStruct({ group: groupId, term, lsn: u64, data: bytes(replicationBytesMax) }),
  about: 'Committed log records for whoever follows a group without being a replica of it.'
})

export const syncService = declareRequest({
  number: 0x0801,
  name: 'SyncServiceRequest',
  answerName: 'SyncServiceResponse',
  priority: Priorities.Normal,
  body: openStruct({
    service: text(63),
    tenant: text(63),
    mode: oneOf(['full', 'incremental']),
    /** What the asker has; empty: nothing. */
    fromVersion: versionVector
  }),
  answer: openStruct({
    service: text(63),
    version: versionVector,
    mode: oneOf(['full', 'incremental', 'unchanged', 'tooLarge']),
    /** By the wall clock of who changed it last. */
    changedAt: u64,
    data: bytes(serviceStateBytesMax),
    sha256: digest,
    /** Where `tooLarge`: what to ask for it as, and what it is then. */
    file: text(fileNameBytesMax),
    fileMode: oneOf(['full', 'incremental'])
  }),
  about: 'Asks for the state of a service, whole or since a version.'
})

export const fileTransfer = declareRequest({
  number: 0x0803,
  name: 'FileTransferRequest',
  answerName: 'FileTransferResponse',
  priority: Priorities.Low,
  body: openStruct({
    transfer: text(transferIdBytesMax),
    file: text(fileNameBytesMax),
    /** What the asker knows the file to be; null: it asks that alone, and nothing is sent. */
    sha256: nullable(digest),
    /** Chunks before this one are there already. */
    firstChunk: u32,
    /** From there on those that are, one bit each, the lowest first. */
    have: bytes(chunkBitmapBytesMax),
    chunkBytes: u32
  }),
  answer: openStruct({ sizeBytes: u64, chunks: u32, chunkBytes: u32, sha256: digest }),
  about:
    'Asks what a file is, then for its chunks but those that are there; of another digest than ' +
    'the one named nothing is sent.'
})

export const fileTransferChunk = declareRequest({
  number: 0x0805,
  name: 'FileTransferChunk',
  answerName: 'FileTransferChunkAck',
  priority: Priorities.Low,
  body: openStruct({
    transfer: text(transferIdBytesMax),
    chunk: u32,
    offset: u64,
    data: bytes(fileChunkBytesMax),
    sha256: digest,
    last: bool
  }),
  answer: openStruct({ accepted: bool }),
  about: 'One chunk with its digest; refused when the digest is another, and sent again.'
})

export const metadataExchange = declareRequest({
  number: 0x0807,
  name: 'MetadataExchange',
  answerName: 'MetadataExchangeAck',
  priority: Priorities.Normal,
  body: openStruct({
    origin: nodeId,
    /** Digest of all that the sender knows: alike, there is nothing to exchange. */
    version: u64,
    /** The tenants are those behind `after`, up to `upTo`, by name; an empty one is no bound. */
    after: text(63),
    upTo: text(63),
    /** The digests are compared, and nothing else is exchanged. */
    digestOnly: bool,
    tenants: list(tenantMetadata, tenantsMax)
  }),
  answer: openStruct({
    version: u64,
    /** Of those between the two, what the answerer knows newer, or alone. */
    newer: list(tenantMetadata, tenantsMax)
  }),
  about: 'Two nodes exchange what they know of tenants; of each the higher version is kept.'
})

export const fileOffer = declareRequest({
  number: 0x0809,
  name: 'FileTransferOffer',
  answerName: 'FileTransferOfferResponse',
  priority: Priorities.Normal,
  body: openStruct({
    /** What the receiver calls the transfer that it makes of it. */
    offer: text(transferIdBytesMax),
    file: text(fileNameBytesMax),
    sizeBytes: u64,
    sha256: digest,
    /** The sender has thought better of it. */
    cancelled: bool
  }),
  answer: openStruct({
    state: oneOf(['refused', 'underway', 'done', 'failed']),
    receivedBytes: u64,
    /** Code and message of what it failed with. */
    code: text(64),
    reason: text(1_024)
  }),
  about: 'Offers a file, which the receiver then asks for; repeated, it asks how far that is.'
})

/** For the catalogue: what nodes speak. */
export const stateTransferMessages = [
  syncService,
  fileTransfer,
  fileTransferChunk,
  metadataExchange,
  fileOffer
] as const

/** Declared, and spoken by nobody yet. */
export const logFollowerMessages = [replicationLog] as const
