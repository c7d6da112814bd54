/** What a branch is asked to run, and what it answers; opaque to the coordinator's core. */
import { messageSizeBytesMax } from '../../core/limits.js'
import type { StatementFailure } from '../../core/ports/engine.js'
import type { PrepareOutcome } from '../../core/ports/engine-prepare.js'
import type { Statement, StatementResult } from '../../core/sql.js'
import {
  ByteReader,
  ByteWriter,
  list,
  nullable,
  statement,
  statementResult,
  statementsMax,
  struct,
  text,
  u32,
  union
} from '../../wire/index.js'
import { escalate, type Locks } from './lock-holders.js'

const work = struct({ statements: list(statement, statementsMax) })

const answer = union({
  results: [1, struct({ results: list(statementResult, statementsMax) })],
  failed: [
    2,
    struct({ code: text(64), message: text(4_096), statement: u32, engineCode: nullable(text(64)) })
  ]
})

export type BranchAnswer =
  | { readonly kind: 'results'; readonly results: readonly StatementResult[] }
  | { readonly kind: 'failed'; readonly failure: StatementFailure }

/** What a branch's entry may take, with room for what surrounds it. */
export const branchEntryBytesMax = messageSizeBytesMax - 65_536

/** @throws MessageTooLargeError */
export function encodeWork(statements: readonly Statement[]): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  work.write(writer, { statements })
  return writer.take()
}

export const decodeWork = (data: Uint8Array): readonly Statement[] =>
  work.read(new ByteReader(data)).statements

/** @throws MessageTooLargeError */
export function encodeResults(results: readonly StatementResult[]): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  answer.write(writer, { kind: 'results', results })
  return writer.take()
}

export function encodeFailure(failure: StatementFailure): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  const { code, message, statement: at, engineCode = null } = failure
  const told = message.slice(0, 1_024)
  answer.write(writer, { kind: 'failed', code, message: told, statement: at, engineCode })
  return writer.take()
}

export function decodeAnswer(encoded: Uint8Array): BranchAnswer {
  const read = answer.read(new ByteReader(encoded))
  if (read.kind === 'results') return read
  const { code, message, statement: at, engineCode } = read
  const failure = { code, message, statement: at }
  return { kind: 'failed', failure: engineCode === null ? failure : { ...failure, engineCode } }
}

/** Of the whole group where naming every row would take too much of the entry. */
export function locksOf(
  prepared: Extract<PrepareOutcome, { kind: 'prepared' }>,
  roomBytes: number
): Locks {
  const { readKeys, writeKeys } = escalate(prepared)
  if (readKeys !== 'all' && sizeOf(readKeys) + sizeOf(writeKeys) > roomBytes) {
    const isWriting = writeKeys.length > 0
    return { readKeys: 'all', writeKeys: isWriting ? 'all' : [] }
  }
  return { readKeys, writeKeys }
}

/** Characters take up to three bytes. */
const sizeOf = (keys: Locks['readKeys']): number =>
  keys === 'all' ? 0 : keys.reduce((sum, key) => sum + 3 * key.length + 4, 0)
