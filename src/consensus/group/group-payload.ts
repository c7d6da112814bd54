/**
 * What a group's entries say, inside of what Raft replicates. Everything that `apply` depends on
 * is in here, time and limits included: a replica's own clock and configuration must not matter.
 *
 * payload = u8 kind, its struct
 * 1 batch     commands planned together, applied in one engine transaction
 * 2 register  clients that want exactly-once execution
 * 3 check     every replica hashes its content at this index
 * 4 system    an entry of a section (`group-section.ts`)
 */
import {
  commandSizeBytesMax,
  keptResultSizeBytesMax,
  messageSizeBytesMax
} from '../../core/limits.js'
import { requestBranchesMax } from '../../core/request-branch.js'
import type { StatementResult } from '../../core/sql.js'
import type { SeenIndex } from '../../core/sql-sessions.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import {
  bytes,
  type Codec,
  clientId,
  groupId,
  list,
  logIndex,
  nullable,
  serial,
  struct,
  type TypeOf,
  text,
  u32,
  u64,
  union
} from '../../wire/codec.js'
import { statementResult, statementsMax } from '../../wire/sql-values.js'

/** A batch is proposed when its commands have reached this size. */
export const batchTargetBytes = 128 * 1024
/** Clients of one registration entry. */
export const registrationsMax = 256
/** The schema's bound of commands in a batch; the configuration's is `batchCommandsMax`. */
const payloadCommandsMax = 4_096

const clientTag = struct({ clientId, serial, answeredBelow: serial })

const batchCommand = struct({
  client: nullable(clientTag),
  tag: text(32),
  bytes: bytes(commandSizeBytesMax),
  /** The encoded answer, for a retry of the client. */
  kept: nullable(bytes(keptResultSizeBytesMax))
})

const limits = struct({ clientsMax: u32, clientIdleTimeoutMs: u64 })

export const groupPayload = union({
  batch: [1, struct({ logTime: u64, limits, commands: list(batchCommand, payloadCommandsMax) })],
  register: [2, struct({ logTime: u64, limits, clients: list(clientId, registrationsMax) })],
  check: [3, struct({})],
  system: [
    4,
    struct({ logTime: u64, limits, section: text(32), bytes: bytes(messageSizeBytesMax) })
  ]
})

export type GroupPayload = TypeOf<typeof groupPayload>
export type SystemPayload = Extract<GroupPayload, { kind: 'system' }>
export type BatchPayload = Extract<GroupPayload, { kind: 'batch' }>
export type BatchCommand = BatchPayload['commands'][number]

const seenIndexes = list(struct({ group: groupId, index: logIndex }), requestBranchesMax)
const results: Codec<readonly StatementResult[]> = list(statementResult, statementsMax)

/** @throws MessageTooLargeError */
export function encodePayload(value: GroupPayload): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  groupPayload.write(writer, value)
  return writer.take()
}

/** @throws ProtocolError an entry of a later version: the replica must stop, not skip it */
export function decodePayload(encoded: Uint8Array): GroupPayload {
  const reader = new ByteReader(encoded)
  const value = groupPayload.read(reader)
  reader.expectEnd()
  return value
}

/** `seen`: of other groups that the command wrote to. Null: larger than what is kept. */
export function encodeKeptResult(
  value: readonly StatementResult[],
  seen: readonly SeenIndex[] = []
): Uint8Array | null {
  const writer = new ByteWriter(messageSizeBytesMax)
  results.write(writer, value)
  if (seen.length > 0) seenIndexes.write(writer, seen)
  return writer.length <= keptResultSizeBytesMax ? writer.take() : null
}

export function decodeKeptResult(encoded: Uint8Array): {
  readonly results: readonly StatementResult[]
  readonly seen: readonly SeenIndex[]
} {
  const reader = new ByteReader(encoded)
  const value = results.read(reader)
  return { results: value, seen: reader.remaining > 0 ? seenIndexes.read(reader) : [] }
}

/** What a command takes of an entry, at most. */
export const entrySizeOf = (command: BatchCommand): number =>
  command.bytes.length + (command.kept?.length ?? 0) + command.tag.length + 128
