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

const shape = /^[0-9a-f]{16}$/
const halfDigits = 8

export const storageId: Codec<StorageId> = storageIdCodec()

/** The same few ids come again and again: digits are turned into bytes, and back, once for each. */
function storageIdCodec(): Codec<StorageId> {
  const byText: (KnownId | undefined)[] = new Array(recentIdsMax).fill(undefined)
  const byBytes: (KnownId | undefined)[] = new Array(recentIdsMax).fill(undefined)
  return {
    spec: { kind: 'storageId' },
    write(writer: ByteWriter, value) {
      const slot = (31 * value.charCodeAt(1) + value.charCodeAt(0)) & (recentIdsMax - 1)
      let known = byText[slot]
      if (known === undefined || known.id !== value) {
        known = parse(value)
        byText[slot] = known
      }
      writer.u32Pair(known.high, known.low)
    },
    read(reader: ByteReader) {
      const high = reader.u32()
      const low = reader.u32()
      const slot = (high ^ low) & (recentIdsMax - 1)
      const known = byBytes[slot]
      if (known !== undefined && known.low === low && known.high === high) return known.id
      const id = (digits(high) + digits(low)) as StorageId
      byBytes[slot] = { id, high, low }
      return id
    }
  }
}

function parse(id: StorageId): KnownId {
  if (!shape.test(id)) throw new InvariantError(`storageId of ${id}`)
  const high = Number.parseInt(id.slice(0, halfDigits), 16)
  return { id, high, low: Number.parseInt(id.slice(halfDigits), 16) }
}

const digits = (half: number): string => half.toString(16).padStart(halfDigits, '0')
