/** A storage id on the wire: 8 bytes, the number that its 16 digits write down. */
import { InvariantError } from '../core/assert.js'
import type { StorageId } from '../core/ids.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { Codec } from './codec.js'

/** Ids recognised, by text and by bytes; a new one takes the place of the one in its slot. */
const recentIdsMax = 64

interface KnownId {
  readonly id: StorageId
  readonly high: number
  readonly low: number
}

/** Of no id: a half is at most 2^32-1. */
const nobody: KnownId = { id: '' as StorageId, high: -1, low: -1 }

const shape = /^[0-9a-f]{16}$/
const idDigits = 16
const halfDigits = 8

export const storageId: Codec<StorageId> = storageIdCodec()

/** The same few ids come again and again: digits are turned into bytes, and back, once for each. */
function storageIdCodec(): Codec<StorageId> {
  const byText = new Array<KnownId>(recentIdsMax).fill(nobody)
  const byBytes = new Array<KnownId>(recentIdsMax).fill(nobody)
  return {
    spec: { kind: 'storageId' },
    write(writer: ByteWriter, value) {
      if (value.length !== idDigits) refuse(value)
      const slot = slotOf(value.charCodeAt(0), value.charCodeAt(idDigits - 1))
      let known = byText[slot] as KnownId
      if (known.id !== value) known = byText[slot ^ 1] as KnownId
      if (known.id !== value) {
        known = parse(value)
        keep(byText, slot, known)
      }
      writer.u32Pair(known.high, known.low)
    },
    read(reader: ByteReader) {
      const high = reader.u32()
      const low = reader.u32()
      const slot = slotOf(high, low)
      const first = byBytes[slot] as KnownId
      if (first.low === low && first.high === high) return first.id
      const second = byBytes[slot ^ 1] as KnownId
      if (second.low === low && second.high === high) return second.id
      const id = (digits(high) + digits(low)) as StorageId
      keep(byBytes, slot, { id, high, low })
      return id
    }
  }
}

const slotOf = (a: number, b: number): number => Math.imul(Math.imul(a, 31) + b, 0x9e3779b1) >>> 26

/** Two that share a slot stay beside one another. */
function keep(recent: KnownId[], slot: number, known: KnownId): void {
  recent[slot ^ 1] = recent[slot] as KnownId
  recent[slot] = known
}

function parse(id: StorageId): KnownId {
  if (!shape.test(id)) refuse(id)
  const high = Number.parseInt(id.slice(0, halfDigits), 16)
  return { id, high, low: Number.parseInt(id.slice(halfDigits), 16) }
}

const digits = (half: number): string => half.toString(16).padStart(halfDigits, '0')

function refuse(id: string): never {
  throw new InvariantError(`storageId of ${id}`)
}
