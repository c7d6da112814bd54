/**
 * What a group remembers of distributed transactions, and how it lies in the engine's system keys:
 * `transaction/branch/<id>`, `transaction/end/<id>`, `transaction/decision/<id>`,
 * `transaction/dropped/<coordinator>`; and `transaction/lost`, of `loss-mark.ts`.
 */
import type { GroupId, TransactionId } from '../../core/ids.js'
import { keptResultSizeBytesMax, messageSizeBytesMax } from '../../core/limits.js'
import type { SystemWrite } from '../../core/ports/engine.js'
import { toTransactionId } from '../../core/transaction-id.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import {
  bytes,
  type Codec,
  groupId,
  list,
  logIndex,
  nullable,
  oneOf,
  struct,
  type TypeOf,
  term,
  text,
  u64
} from '../../wire/index.js'
import { branchCommand, locks, reasonBytesMax } from './changes.js'
import { transactionGroupsMax } from './messages.js'

const groups = list(groupId, transactionGroupsMax)

/** A prepared branch: it can be committed, whatever happens, and never decides by itself. */
const branch = struct({
  epoch: term,
  sequence: u64,
  coordinator: groupId,
  groups,
  /** Log time. */
  preparedAt: u64,
  index: logIndex,
  locks,
  command: nullable(branchCommand),
  kept: nullable(bytes(keptResultSizeBytesMax))
})
export type Branch = TypeOf<typeof branch> & { readonly transaction: TransactionId }

/** How an operator's decision stands to the coordinator's. Append only. */
export const heuristicStates = ['none', 'unverified', 'agreed', 'mixed'] as const

/** What became of a transaction here, or would have: an abort may come before its branch. */
const end = struct({
  outcome: oneOf(['committed', 'aborted']),
  /** Log time. */
  since: u64,
  /** Null: this group heard of an abort alone. */
  coordinator: nullable(groupId),
  /** Of the branch; 0: there was none. */
  epoch: term,
  sequence: u64,
  /** Index of the decision in the coordinator's log; 0: none is known. */
  decidedAt: logIndex,
  /** `mixed`: the coordinator decided otherwise, or `mixedGroups` did the opposite of it. */
  heuristic: oneOf(heuristicStates),
  mixedGroups: groups,
  reason: text(reasonBytesMax)
})
export type End = TypeOf<typeof end> & { readonly transaction: TransactionId }

/** A commit decided here that is not yet acknowledged everywhere. */
const decision = struct({
  epoch: term,
  index: logIndex,
  /** Log time. */
  decidedAt: u64,
  groups,
  pending: groups,
  mixed: groups
})
export type Decision = TypeOf<typeof decision> & { readonly transaction: TransactionId }

/** Every key of a group's transactions begins with it. */
export const transactionKeyPrefix = 'transaction/'

class RecordKind<T extends object> {
  readonly #prefix: string
  readonly #codec: Codec<T>

  constructor(name: string, codec: Codec<T>) {
    this.#prefix = `${transactionKeyPrefix}${name}/`
    this.#codec = codec
  }

  keyOf(transaction: TransactionId): string {
    return this.#prefix + transaction
  }

  put(record: T & { readonly transaction: TransactionId }): SystemWrite {
    const writer = new ByteWriter(messageSizeBytesMax)
    this.#codec.write(writer, record)
    return { key: this.keyOf(record.transaction), value: writer.take() }
  }

  drop(transaction: TransactionId): SystemWrite {
    return { key: this.keyOf(transaction), value: null }
  }

  /** Null: another kind's. The record owns its bytes. */
  read({ key, value }: SystemWrite): (T & { readonly transaction: TransactionId }) | null {
    if (value === null || !key.startsWith(this.#prefix)) return null
    const transaction = toTransactionId(key.slice(this.#prefix.length))
    return { ...this.#codec.read(new ByteReader(value)), transaction }
  }
}

export const branchRecord = new RecordKind('branch', branch)
export const endRecord = new RecordKind('end', end)
export const decisionRecord = new RecordKind('decision', decision)

const droppedPrefix = `${transactionKeyPrefix}dropped/`

/** Of one coordinator's transactions whose ends were dropped here, the newest by each measure. */
const dropped = struct({ decidedAt: logIndex, epoch: term, sequence: u64 })
export type Dropped = TypeOf<typeof dropped>

export function putDropped(coordinator: GroupId, value: Dropped): SystemWrite {
  const writer = new ByteWriter(24)
  dropped.write(writer, value)
  return { key: droppedPrefix + coordinator, value: writer.take() }
}

export function readDropped({ key, value }: SystemWrite): [GroupId, Dropped] | null {
  if (value === null || !key.startsWith(droppedPrefix)) return null
  const coordinator = Number(key.slice(droppedPrefix.length)) as GroupId
  return [coordinator, dropped.read(new ByteReader(value))]
}
