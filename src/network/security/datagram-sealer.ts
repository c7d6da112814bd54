import { assert } from '../../core/assert.js'
import { MessageTooLargeError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import { datagramSizeBytesMax } from '../../core/limits.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { crc32c } from '../../wire/crc32c.js'
import {
  bootNonceBytes,
  clusterTagOf,
  counterBytes,
  DatagramFormats,
  datagramPayloadBytesMax,
  writeHeader
} from './datagram-header.js'
import { bootKeyOf, DatagramKeyring } from './datagram-keyring.js'

export interface DatagramSecurityOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  /** Newest first, 32 bytes each; null: `insecure`, a checksum instead of encryption. */
  readonly gossipKeys: readonly Uint8Array[] | null
}

/** A boot number told by a peer may lie at most so far ahead: 2^52 ms is beyond any clock. */
const bootNumberCeiling = 2 ** 52

/**
 * Seals what this node sends.
 *
 * Boot number: milliseconds of the wall clock when the process began. A restart takes longer than a
 * millisecond, so it rises by itself; should the clock have been set back between two boots,
 * members answer a join with the boot number they hold (`raiseBootNumber`), so that the node is not
 * mute until its clock has caught up. No other decision reads this number.
 *
 * 1. A key and a nonce never meet twice: each boot number has its own random 128-bit boot nonce and
 *    thereby its own key, and the counter only rises.
 * 2. No datagram is longer than `datagramSizeBytesMax`.
 */
export class DatagramSealer {
  readonly #crypto: Crypto
  readonly #nodeId: NodeId
  readonly #clusterTag: number
  readonly #writer = new ByteWriter(datagramSizeBytesMax)
  readonly #label: Uint8Array
  #keyring: DatagramKeyring | null
  #bootNumber: number
  #bootNonce: Uint8Array
  #bootKey: Uint8Array | null
  #counter = 0

  constructor(crypto: Crypto, options: DatagramSecurityOptions, bootNumber: number) {
    assert(Number.isSafeInteger(bootNumber) && bootNumber >= 0, `boot number ${bootNumber}`)
    this.#crypto = crypto
    this.#nodeId = options.nodeId
    this.#clusterTag = clusterTagOf(crypto, options.clusterName)
    this.#label = labelOf(options.clusterName)
    this.#keyring = options.gossipKeys && new DatagramKeyring(crypto, options.gossipKeys)
    this.#bootNumber = bootNumber
    this.#bootNonce = crypto.randomBytes(bootNonceBytes)
    this.#bootKey = this.#deriveBootKey()
  }

  get bootNumber(): number {
    return this.#bootNumber
  }

  /** @throws MessageTooLargeError payload above `datagramPayloadBytesMax` */
  seal(payload: Uint8Array): Uint8Array {
    if (payload.length > datagramPayloadBytesMax) {
      throw new MessageTooLargeError(
        `datagram payload of ${payload.length} bytes, at most ${datagramPayloadBytesMax}`
      )
    }
    const counter = this.#counter++
    const writer = this.#writer
    writer.reset()
    writeHeader(writer, {
      format: this.#bootKey === null ? DatagramFormats.Plain : DatagramFormats.Sealed,
      clusterTag: this.#clusterTag,
      keyId: this.#keyring?.primary.id ?? 0,
      bootNumber: this.#bootNumber,
      bootNonce: this.#bootNonce,
      counter,
      sender: this.#nodeId
    })
    if (this.#bootKey === null) {
      writer.raw(payload)
      writer.u32(crc32c(writer.peek()))
    } else {
      const aad = authenticatedData(writer.peek(), this.#label)
      writer.raw(this.#crypto.seal(this.#bootKey, nonceOf(counter), aad, payload))
    }
    return writer.take()
  }

  /** Members know a boot of this node up to `seen`: begin another one above it. */
  raiseBootNumber(seen: number): void {
    if (seen <= this.#bootNumber || seen >= bootNumberCeiling) return
    this.#bootNumber = seen + 1
    this.#beginBoot()
  }

  /** The first key seals from now on. */
  setKeys(keys: readonly Uint8Array[]): void {
    assert(this.#keyring !== null, 'keys set on a plain sealer')
    this.#keyring = new DatagramKeyring(this.#crypto, keys)
    this.#bootKey = this.#deriveBootKey()
  }

  #beginBoot(): void {
    this.#bootNonce = this.#crypto.randomBytes(bootNonceBytes)
    this.#bootKey = this.#deriveBootKey()
    this.#counter = 0
  }

  #deriveBootKey(): Uint8Array | null {
    if (this.#keyring === null) return null
    return bootKeyOf(this.#crypto, this.#keyring.primary, this.#nodeId, this.#bootNonce)
  }
}

export const labelOf = (clusterName: string): Uint8Array =>
  new TextEncoder().encode(`skein datagram ${clusterName}`)

/** The header with the cluster's name behind it. */
export function authenticatedData(header: Uint8Array, label: Uint8Array): Uint8Array {
  const aad = new Uint8Array(header.length + label.length)
  aad.set(header)
  aad.set(label, header.length)
  return aad
}

/** 96 bits: the counter, big-endian. */
export function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(counterBytes)
  const view = new DataView(nonce.buffer)
  view.setUint32(4, Math.floor(counter / 0x1_0000_0000))
  view.setUint32(8, counter >>> 0)
  return nonce
}
