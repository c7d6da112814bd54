/**
 * What a group's log says of distributed transactions. An entry is a list of changes, applied in
 * order at one index; numbers are append-only. Everything that applying depends on is in here or in
 * what earlier entries left: no clock, no configuration of a replica.
 *
 *   entry  = list of change          change = u8 kind, its struct
 *   1 prepare  a branch of this group: its write set, its rows, its answer
 *   2 decide   this group coordinates, every other branch is prepared: commit
 *   3 commit   the decision as the coordinator told it        4 abort
 *   5 settle   groups that acknowledged decisions made here
 *   6 resolve  an operator decides without the coordinator    7 forget   and has read of it
 *   8 recover  the group goes on without its majority: what was decided may be lost
 */

import type { TransactionId } from '../../core/ids.js'
import {
  commandSizeBytesMax,
  keptResultSizeBytesMax,
  messageSizeBytesMax
} from '../../core/limits.js'
import { rowKeyBytesMax } from '../../core/ports/engine-prepare.js'
import { toTransactionId } from '../../core/transaction-id.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import {
  bytes,
  type Codec,
  clientId,
  groupId,
  list,
  logIndex,
  mapped,
  nullable,
  oneOf,
  serial,
  struct,
  type TypeOf,
  term,
  text,
  u64,
  union
} from '../../wire/index.js'
import { type LockKeys, lockKeysMax } from './lock-holders.js'
import { transactionGroupsMax } from './messages.js'

/** Changes of one entry. */
export const changesMax = 1_024
/** Why somebody did what he did, in his own words or ours. */
export const reasonBytesMax = 512

export const transactionId: Codec<TransactionId> = mapped(
  text(64),
  (id: TransactionId) => id,
  toTransactionId
)
const groups = list(groupId, transactionGroupsMax)
const keys = list(text(rowKeyBytesMax), lockKeysMax)
/** Null on the wire: the whole group. */
const lockKeys: Codec<LockKeys> = mapped(
  nullable(keys),
  (value: LockKeys) => (value === 'all' ? null : value),
  (wire) => wire ?? 'all'
)
export const locks = struct({ readKeys: lockKeys, writeKeys: lockKeys })
export const branchCommand = struct({ tag: text(32), bytes: bytes(commandSizeBytesMax) })

export const heuristicOutcomes = ['commit', 'abort'] as const

const change = union({
  prepare: [
    1,
    struct({
      transaction: transactionId,
      /** Of the coordinating group: which of its leaders asked. */
      epoch: term,
      /** Counts that leader's transactions. */
      sequence: u64,
      coordinator: groupId,
      groups,
      /** By this group's log time: applied later, it is a vote against. */
      expiresAt: u64,
      locks,
      /** Null: it only reads, and its rows stay locked. */
      command: nullable(branchCommand),
      /** Its results, for a coordinator that asks again. Null: too large to keep. */
      kept: nullable(bytes(keptResultSizeBytesMax))
    })
  ],
  decide: [
    2,
    struct({
      transaction: transactionId,
      epoch: term,
      /** By this group's log time: applied later, the decision is abort. */
      expiresAt: u64,
      /** The other groups with a prepared branch. */
      groups,
      /** Whose command it is, executed with the decision; null: nobody who numbers them. */
      client: nullable(struct({ clientId, serial, answeredBelow: serial })),
      /** Its answer. Null: too large to keep. */
      result: nullable(bytes(keptResultSizeBytesMax))
    })
  ],
  commit: [
    3,
    struct({
      transaction: transactionId,
      epoch: term,
      coordinator: groupId,
      /** Of the decision, in the coordinator's log. */
      decidedAt: logIndex
    })
  ],
  abort: [4, struct({ transaction: transactionId, reason: text(reasonBytesMax) })],
  settle: [
    5,
    struct({
      transaction: transactionId,
      groups,
      /** Of them, those that had done the opposite. */
      mixed: groups
    })
  ],
  resolve: [
    6,
    struct({
      transaction: transactionId,
      outcome: oneOf(heuristicOutcomes),
      by: text(128),
      reason: text(reasonBytesMax)
    })
  ],
  forget: [7, struct({ transaction: transactionId })],
  /** Written by an operator's recovery alone. Epochs up to this one may have lost decisions. */
  recover: [8, struct({ epoch: term })]
})
export const loggedChanges: Codec<readonly LoggedChange[]> = list(change, changesMax)

export type LoggedChange = TypeOf<typeof change>
/** Of one transaction: what a leader proposes. */
export type Change = Exclude<LoggedChange, { readonly kind: 'recover' }>
export type ChangeOf<Kind extends Change['kind']> = Extract<Change, { kind: Kind }>

/** @throws MessageTooLargeError */
export function encodeChanges(value: readonly LoggedChange[]): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  loggedChanges.write(writer, value)
  return writer.take()
}

/** @throws ProtocolError an entry of a later version: the replica must stop, not skip it */
export function decodeChanges(encoded: Uint8Array): readonly LoggedChange[] {
  const reader = new ByteReader(encoded)
  const value = loggedChanges.read(reader)
  reader.expectEnd()
  return value
}
