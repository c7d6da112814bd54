/**
 * How Raft's messages lie in bytes. `raftShapes` says it; `raftBodies` writes and reads the same
 * with each message's fields spelled out, in order: one shape of object per message, and no list
 * of names to walk, which makes a vote several times quicker. A test holds the two together.
 */
import { messageSizeBytesMax } from '../core/limits.js'
import type { LogEntry } from '../core/ports/log-store.js'
import type { ByteReader } from '../wire/byte-reader.js'
import type { ByteWriter } from '../wire/byte-writer.js'
import {
  bool,
  bytes,
  type Codec,
  laterFieldsOf,
  list,
  logIndex,
  mapped,
  openStruct,
  readCount,
  replicaId,
  shortGroupId,
  skipLaterFields,
  struct,
  type TypeOf,
  term,
  u32,
  u64,
  withKind
} from '../wire/codec.js'
import { storageId } from '../wire/storage-id-codec.js'
import { configurationMembersMax } from './configuration.js'

/** Entries of one append message. */
export const appendEntriesCountMax = 1_024

/** In `preVote` the term is the one that the sender would campaign for. */
const envelope = { group: shortGroupId, from: storageId, to: storageId, term }

const vote = {
  ...envelope,
  lastIndex: logIndex,
  lastTerm: term,
  /** The leader told the sender to campaign: voters need not wait until the leader is silent. */
  transfer: bool
}
const voteResponse = { ...envelope, granted: bool }

const entryPayload = bytes(messageSizeBytesMax)
const wireEntries = list(struct({ term, payload: entryPayload }), appendEntriesCountMax)
const entryAt = (index: number, entryTerm: LogEntry['term'], payload: Uint8Array): LogEntry => ({
  // The index is implied, and the payload outlives the received bytes.
  index: index as LogEntry['index'],
  term: entryTerm,
  payload: payload.slice()
})

/**
 * The receiver has acknowledged, in this term, everything up to `prevIndex`; absent: that is not
 * said.
 */
const appendEntriesLater = { acknowledged: [1, bool] } as const

const wireAppendEntries = openStruct(
  {
    ...envelope,
    prevIndex: logIndex,
    prevTerm: term,
    commitIndex: logIndex,
    entries: wireEntries
  },
  appendEntriesLater
)

const appendEntries = mapped(
  wireAppendEntries,
  (body: Omit<TypeOf<typeof wireAppendEntries>, 'entries'> & { entries: readonly LogEntry[] }) =>
    body,
  (wire) => ({
    ...wire,
    entries: wire.entries.map((entry, i) =>
      entryAt(wire.prevIndex + 1 + i, entry.term, entry.payload)
    )
  })
)

const members = list(replicaId, configurationMembersMax)
const configuration = struct({
  voters: members,
  votersOutgoing: members,
  learners: members,
  learnersNext: members
})
/** SHA-256. */
export const snapshotHashBytes = 32

const installSnapshot = openStruct({
  ...envelope,
  /** Everything up to here is in the snapshot, and was committed. */
  index: logIndex,
  /** Of the entry at `index`. */
  indexTerm: term,
  /** In force at `index`, and where it stands. */
  configuration,
  configurationIndex: logIndex,
  format: u32,
  sizeBytes: u64,
  /** Of the whole; its parts are asked for by it. */
  sha256: bytes(snapshotHashBytes)
})

/** For how long the receiver is asked to vote for nobody else; absent: it is not asked. */
const heartbeatLater = { promiseMs: [1, u32] } as const
/** Of what the receiver is known to have. */
const timeoutNowLater = { commitIndex: [1, logIndex] } as const
/** It votes for nobody else for so long; absent: it makes no promise. */
const heartbeatResponseLater = { promised: [1, bool] } as const

export const raftShapes = {
  preVote: tagged('preVote', openStruct(vote)),
  preVoteResponse: tagged('preVoteResponse', openStruct(voteResponse)),
  vote: tagged('vote', openStruct(vote)),
  voteResponse: tagged('voteResponse', openStruct(voteResponse)),
  appendEntries: tagged('appendEntries', appendEntries),
  appendEntriesResponse: tagged(
    'appendEntriesResponse',
    openStruct({
      ...envelope,
      rejected: bool,
      /**
       * Accepted: the last index known to be the leader's, and durable. Rejected: its
       * `prevIndex`.
       */
      index: logIndex,
      /** Rejected: an index, and its term here, at or below which the logs may agree. */
      hintIndex: logIndex,
      hintTerm: term
    })
  ),
  heartbeat: tagged(
    'heartbeat',
    openStruct({ ...envelope, commitIndex: logIndex, readContext: u64 }, heartbeatLater)
  ),
  heartbeatResponse: tagged(
    'heartbeatResponse',
    openStruct({ ...envelope, readContext: u64 }, heartbeatResponseLater)
  ),
  timeoutNow: tagged('timeoutNow', openStruct(envelope, timeoutNowLater)),
  installSnapshot: tagged('installSnapshot', installSnapshot),
  snapshotRefused: tagged('snapshotRefused', openStruct({ ...envelope, index: logIndex }))
} as const

type Shapes = typeof raftShapes
type Bodies = { readonly [Name in keyof Shapes]: Codec<TypeOf<Shapes[Name]>> }

const laterOfAppendEntries = laterFieldsOf(appendEntriesLater)
const laterOfHeartbeat = laterFieldsOf(heartbeatLater)
const laterOfTimeoutNow = laterFieldsOf(timeoutNowLater)
const laterOfHeartbeatResponse = laterFieldsOf(heartbeatResponseLater)

export const raftBodies: Bodies = {
  preVote: {
    spec: raftShapes.preVote.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      writer.u64(body.lastIndex)
      writer.u64(body.lastTerm)
      bool.write(writer, body.transfer)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        lastIndex: logIndex.read(reader),
        lastTerm: term.read(reader),
        transfer: bool.read(reader),
        kind: 'preVote'
      } as const
      skipLaterFields(reader)
      return body
    }
  },
  preVoteResponse: {
    spec: raftShapes.preVoteResponse.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      bool.write(writer, body.granted)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        granted: bool.read(reader),
        kind: 'preVoteResponse'
      } as const
      skipLaterFields(reader)
      return body
    }
  },
  vote: {
    spec: raftShapes.vote.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      writer.u64(body.lastIndex)
      writer.u64(body.lastTerm)
      bool.write(writer, body.transfer)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        lastIndex: logIndex.read(reader),
        lastTerm: term.read(reader),
        transfer: bool.read(reader),
        kind: 'vote'
      } as const
      skipLaterFields(reader)
      return body
    }
  },
  voteResponse: {
    spec: raftShapes.voteResponse.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      bool.write(writer, body.granted)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        granted: bool.read(reader),
        kind: 'voteResponse'
      } as const
      skipLaterFields(reader)
      return body
    }
  },
  appendEntries: {
    spec: raftShapes.appendEntries.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      writer.u64(body.prevIndex)
      writer.u64(body.prevTerm)
      writer.u64(body.commitIndex)
      wireEntries.write(writer, body.entries)
      laterOfAppendEntries.write(writer, body)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        prevIndex: logIndex.read(reader),
        prevTerm: term.read(reader),
        commitIndex: logIndex.read(reader),
        entries: [] as LogEntry[],
        kind: 'appendEntries'
      } as const
      readEntries(reader, body.prevIndex, body.entries)
      laterOfAppendEntries.read(reader, body)
      return body
    }
  },
  appendEntriesResponse: {
    spec: raftShapes.appendEntriesResponse.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      bool.write(writer, body.rejected)
      writer.u64(body.index)
      writer.u64(body.hintIndex)
      writer.u64(body.hintTerm)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        rejected: bool.read(reader),
        index: logIndex.read(reader),
        hintIndex: logIndex.read(reader),
        hintTerm: term.read(reader),
        kind: 'appendEntriesResponse'
      } as const
      skipLaterFields(reader)
      return body
    }
  },
  heartbeat: {
    spec: raftShapes.heartbeat.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      writer.u64(body.commitIndex)
      writer.u64(body.readContext)
      laterOfHeartbeat.write(writer, body)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        commitIndex: logIndex.read(reader),
        readContext: u64.read(reader),
        kind: 'heartbeat'
      } as const
      laterOfHeartbeat.read(reader, body)
      return body
    }
  },
  heartbeatResponse: {
    spec: raftShapes.heartbeatResponse.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      writer.u64(body.readContext)
      laterOfHeartbeatResponse.write(writer, body)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        readContext: u64.read(reader),
        kind: 'heartbeatResponse'
      } as const
      laterOfHeartbeatResponse.read(reader, body)
      return body
    }
  },
  timeoutNow: {
    spec: raftShapes.timeoutNow.spec,
    write(writer, body) {
      writeEnvelope(writer, body.group, body.from, body.to, body.term)
      laterOfTimeoutNow.write(writer, body)
    },
    read(reader) {
      const body = {
        group: shortGroupId.read(reader),
        from: storageId.read(reader),
        to: storageId.read(reader),
        term: term.read(reader),
        kind: 'timeoutNow'
      } as const
      laterOfTimeoutNow.read(reader, body)
      return body
    }
  },
  // These two are rare.
  installSnapshot: raftShapes.installSnapshot,
  snapshotRefused: raftShapes.snapshotRefused
}

function writeEnvelope(
  writer: ByteWriter,
  group: TypeOf<typeof shortGroupId>,
  from: TypeOf<typeof storageId>,
  to: TypeOf<typeof storageId>,
  ownTerm: number
): void {
  shortGroupId.write(writer, group)
  storageId.write(writer, from)
  storageId.write(writer, to)
  writer.u64(ownTerm)
}

function readEntries(reader: ByteReader, prevIndex: number, into: LogEntry[]): void {
  const count = readCount(reader, appendEntriesCountMax)
  for (let i = 1; i <= count; i++) {
    into.push(entryAt(prevIndex + i, term.read(reader), entryPayload.read(reader)))
  }
}

/** The same bytes; the value says which message it is. */
function tagged<const Kind extends string, Body extends object>(
  kind: Kind,
  body: Codec<Body>
): Codec<{ readonly kind: Kind } & Body> {
  return {
    spec: body.spec,
    write: (writer, value) => body.write(writer, value),
    read: (reader) => withKind(kind, body.read(reader))
  }
}
