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
/** Chunks of one file, as bits of the map that a resumed transfer begins with. */
export const chunkBitmapBytesMax = 65_536
/** Tenants told in one exchange. */
export const tenantsMax = 1_024
/** Services of one tenant, by name. */
export const tenantServicesMax = 64

/** SHA-256. */
const digest = bytes(32)

const tenantMetadata = struct({
  tenant: text(63),
  /** Rises with every change; the higher one is kept. */
  version: u64,
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
    /** What the asker has; 0: nothing. */
    fromVersion: u64
  }),
  answer: openStruct({
    service: text(63),
    version: u64,
    mode: oneOf(['full', 'incremental', 'unchanged', 'tooLarge']),
    data: bytes(serviceStateBytesMax),
    sha256: digest
  }),
  about: 'Asks for the state of a service, whole or since a version.'
})

export const fileTransfer = declareRequest({
  number: 0x0803,
  name: 'FileTransferRequest',
  answerName: 'FileTransferResponse',
  priority: Priorities.Low,
  body: openStruct({
    transfer: text(64),
    file: text(255),
    /** Chunks that the asker has already, one bit each, the lowest first. */
    have: bytes(chunkBitmapBytesMax),
    chunkBytes: u32
  }),
  answer: openStruct({ sizeBytes: u64, chunks: u32, chunkBytes: u32, sha256: digest }),
  about: 'Asks for a file in chunks; a resumed transfer names those that it has.'
})

export const fileTransferChunk = declareRequest({
  number: 0x0805,
  name: 'FileTransferChunk',
  answerName: 'FileTransferChunkAck',
  priority: Priorities.Low,
  body: openStruct({
    transfer: text(64),
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
    version: u64,
    tenants: list(tenantMetadata, tenantsMax)
  }),
  answer: openStruct({
    version: u64,
    /** Tenants of which the answerer knows a newer version. */
    newer: list(tenantMetadata, tenantsMax)
  }),
  about: 'Two nodes exchange what they know of tenants; of each the higher version is kept.'
})

/** Everything this file declares, for the catalogue. */
export const stateTransferMessages = [
  replicationLog,
  syncService,
  fileTransfer,
  fileTransferChunk,
  metadataExchange
] as const
