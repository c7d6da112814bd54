/**
 * The format of a command: its parts in order, each a set of rows of one table, a statement of the
 * list, or a counter of AUTOINCREMENT. Rows are stated, not differences: what a key stands for
 * after the command, so that applying one twice changes nothing more.
 *
 *   command = u8 version, list of part
 *   part    = u8 1 rows { text table, u16 values per row, list of key (gone), list of row (there) }
 *           | u8 2 ddl { text sql } | u8 3 sequence { text table, nullable i64 }
 * A key is the rowid, or the primary key's columns in order. A row is its rowid where no column
 * shows it, then every column that is not generated, in order.
 */
import { CommandTooLargeError, MessageTooLargeError, ProtocolError } from '../../core/errors.js'
import { commandSizeBytesMax, sqlTextBytesMax } from '../../core/limits.js'
import type { Command } from '../../core/ports/engine.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import {
  type Codec,
  i64,
  list,
  nullable,
  struct,
  type TypeOf,
  text,
  u16,
  union
} from '../../wire/codec.js'
import { columnsMax } from '../../wire/sql-values.js'
import { type StoredValue, storedValue } from './stored-value.js'

export const commandVersion = 1

/** A statement's text, and a trigger's guard. */
const ddlTextBytesMax = sqlTextBytesMax + 1024

const row = list(storedValue, columnsMax + 1)
const part = union({
  rows: [
    1,
    struct({
      table: text(sqlTextBytesMax),
      valuesPerRow: u16,
      gone: list(row, commandSizeBytesMax),
      there: list(row, commandSizeBytesMax)
    })
  ],
  ddl: [2, struct({ sql: text(ddlTextBytesMax) })],
  sequence: [3, struct({ table: text(sqlTextBytesMax), value: nullable(i64) })]
})
const parts: Codec<readonly ChangePart[]> = list(part, commandSizeBytesMax)

export type ChangePart = TypeOf<typeof part>
export type RowsPart = Extract<ChangePart, { kind: 'rows' }>
export type StoredRow = readonly StoredValue[]

/** @throws CommandTooLargeError */
export function encodeCommand(changes: readonly ChangePart[]): Command {
  const writer = new ByteWriter(commandSizeBytesMax)
  try {
    writer.u8(commandVersion)
    parts.write(writer, changes)
  } catch (cause) {
    if (!(cause instanceof MessageTooLargeError)) throw cause
    throw new CommandTooLargeError(
      `the changes of the request take more than ${commandSizeBytesMax} bytes`,
      { cause }
    )
  }
  const tag = changes.some(({ kind }) => kind === 'ddl') ? 'ddl' : 'rows'
  return { tag, bytes: writer.take() }
}

/** @throws ProtocolError when it is not a command of this version */
export function decodeCommand({ tag, bytes }: Command): readonly ChangePart[] {
  if (tag !== 'rows' && tag !== 'ddl') throw new ProtocolError(`no command has tag ${tag}`)
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== commandVersion) throw new ProtocolError(`command of version ${version}`)
  const changes = parts.read(reader)
  reader.expectEnd()
  return changes
}
