/**
 * The hash that spreads the rows of a table. It is part of the cluster's data: what it says of a
 * value never changes.
 *
 * 1. Values that SQLite finds equal under any affinity of the column have one hash: 5, 5.0, '5' and
 *    ' +5.00 ' do. (Under BINARY collation: a column that ignores case is no shard key.)
 * 2. Text is hashed by its UTF-16 units, so that no encoder is needed.
 *
 * Source: FNV-1a (draft-eastlake-fnv) over the canonical value, finished by the last mixing of
 * MurmurHash3, without which neighbouring integers would fall into neighbouring ranges.
 */
import type { SqlValue } from '../../core/sql.js'

const offsetBasis = 0x811c9dc5
const prime = 0x01000193

const tags = { number: 1, text: 2, blob: 3 } as const

const numeric = /^[ \t\n\v\f\r]*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[ \t\n\v\f\r]*$/

/** 0…2^32-1; null for NULL, which belongs to no row that can be found by its key. */
export function shardHashOf(value: SqlValue): number | null {
  if (value === null) return null
  if (value instanceof Uint8Array) return hashOfBytes(value)
  const number = typeof value === 'string' ? numberIn(value) : Number(value)
  // A column of reals has no integers beyond 2^53 but those that are reals too.
  return number === null
    ? hashOfText(tags.text, value as string)
    : hashOfText(tags.number, String(number))
}

/** What a column of numeric affinity would make of it; null: it stays text. */
const numberIn = (text: string): number | null => (numeric.test(text) ? Number(text.trim()) : null)

function hashOfText(tag: number, text: string): number {
  let hash = stepped(offsetBasis, tag)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = stepped(stepped(hash, unit & 0xff), unit >> 8)
  }
  return mixed(hash)
}

function hashOfBytes(bytes: Uint8Array): number {
  let hash = stepped(offsetBasis, tags.blob)
  for (let i = 0; i < bytes.length; i++) hash = stepped(hash, bytes[i] as number)
  return mixed(hash)
}

const stepped = (hash: number, byte: number): number => Math.imul(hash ^ byte, prime)

function mixed(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
