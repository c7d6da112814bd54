/**
 * Decides which received datagrams are believed, and whose they are.
 *
 * 1. Nothing changes before a datagram is authenticated: a forger fills no table.
 * 2. A datagram is opened at most once, and none of an older boot after one of a newer boot.
 * 3. Whatever the bytes, the answer is a value, in time linear in their number.
 * 4. A plain datagram is never believed where keys are set, nor a sealed one without keys.
 *
 * Owner's duties: count each refusal by its reason; answer none of them.
 *
 * The group key proves membership, not identity: a member that was taken over can send in any name.
 */
import { assert } from '../../core/assert.js'
import type { NodeId } from '../../core/ids.js'
import { datagramSizeBytesMax } from '../../core/limits.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { crc32c } from '../../wire/crc32c.js'
import {
  checksumBytes,
  clusterTagOf,
  DatagramFormats,
  type DatagramHeader,
  readHeader
} from './datagram-header.js'
import { bootKeyOf, DatagramKeyring } from './datagram-keyring.js'
import { ReplayWindow } from './datagram-replay-window.js'
import {
  authenticatedData,
  type DatagramSecurityOptions,
  labelOf,
  nonceOf
} from './datagram-sealer.js'

export const datagramRefusals = [
  'oversized',
  'truncated',
  'unknownVersion',
  'foreignCluster',
  'wrongKey',
  'forged',
  'oldBoot',
  'replayed',
  'reflected'
] as const
export type DatagramRefusal = (typeof datagramRefusals)[number]

export type OpenOutcome =
  | { readonly kind: 'opened'; readonly sender: NodeId; readonly payload: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: DatagramRefusal }

export interface DatagramOpenerOptions extends DatagramSecurityOptions {
  /** Senders remembered; at the bound the one unheard longest is forgotten. */
  readonly peersMax: number
}

/** One boot of one sender. */
interface PeerBoot {
  readonly bootNumber: number
  readonly bootNonce: Uint8Array
  readonly window: ReplayWindow
  keyId: number
  key: Uint8Array | null
}

export class DatagramOpener {
  readonly #crypto: Crypto
  readonly #nodeId: NodeId
  readonly #clusterTag: number
  readonly #label: Uint8Array
  readonly #peersMax: number
  /** In the order in which they were last heard. */
  readonly #peers = new Map<NodeId, PeerBoot>()
  #keyring: DatagramKeyring | null

  constructor(crypto: Crypto, options: DatagramOpenerOptions) {
    assert(options.peersMax > 0, 'peersMax must be positive')
    this.#crypto = crypto
    this.#nodeId = options.nodeId
    this.#clusterTag = clusterTagOf(crypto, options.clusterName)
    this.#label = labelOf(options.clusterName)
    this.#peersMax = options.peersMax
    this.#keyring = options.gossipKeys && new DatagramKeyring(crypto, options.gossipKeys)
  }

  /** Senders remembered now. */
  get peerCount(): number {
    return this.#peers.size
  }

  open(bytes: Uint8Array): OpenOutcome {
    if (bytes.length > datagramSizeBytesMax) return refused('oversized')
    const outcome = readHeader(bytes)
    if (outcome.kind !== 'read') return refused(outcome.kind)
    const { header } = outcome
    const expected = this.#keyring === null ? DatagramFormats.Plain : DatagramFormats.Sealed
    if (header.format !== expected) return refused('wrongKey')
    if (header.clusterTag !== this.#clusterTag) return refused('foreignCluster')
    if (header.sender === this.#nodeId) return refused('reflected')
    return this.#openFrom(header, bytes)
  }

  /** The newest boot number of a sender that was believed; null when it was never heard. */
  bootNumberOf(sender: NodeId): number | null {
    return this.#peers.get(sender)?.bootNumber ?? null
  }

  /** All of them open from now on, and no other. */
  setKeys(keys: readonly Uint8Array[]): void {
    assert(this.#keyring !== null, 'keys set on a plain opener')
    this.#keyring = new DatagramKeyring(this.#crypto, keys)
  }

  #openFrom(header: DatagramHeader, bytes: Uint8Array): OpenOutcome {
    const known = this.#peers.get(header.sender)
    const isNewBoot = known === undefined || header.bootNumber > known.bootNumber
    if (!isNewBoot && !isSameBoot(known, header)) return refused('oldBoot')
    if (!isNewBoot && !known.window.isFresh(header.counter)) return refused('replayed')

    const group = this.#keyring?.byId(header.keyId)
    if (this.#keyring !== null && group === undefined) return refused('wrongKey')
    const held = !isNewBoot && known.keyId === header.keyId ? known.key : null
    const key = group && (held ?? bootKeyOf(this.#crypto, group, header.sender, header.bootNonce))
    const payload = key ? this.#unseal(key, header, bytes) : checked(header, bytes)
    if (payload === null) return refused('forged')

    const peer = isNewBoot ? newBoot(header) : known
    peer.keyId = header.keyId
    peer.key = key ?? null
    const accepted = peer.window.accept(header.counter)
    assert(accepted, 'a fresh counter was refused')
    this.#remember(header.sender, peer)
    return { kind: 'opened', sender: header.sender, payload }
  }

  #unseal(key: Uint8Array, header: DatagramHeader, bytes: Uint8Array): Uint8Array | null {
    const aad = authenticatedData(bytes.subarray(0, header.lengthBytes), this.#label)
    const sealed = bytes.subarray(header.lengthBytes)
    return this.#crypto.open(key, nonceOf(header.counter), aad, sealed)
  }

  #remember(sender: NodeId, peer: PeerBoot): void {
    this.#peers.delete(sender)
    this.#peers.set(sender, peer)
    if (this.#peers.size <= this.#peersMax) return
    const [unheardLongest] = this.#peers.keys()
    if (unheardLongest !== undefined) this.#peers.delete(unheardLongest)
  }
}

const refused = (reason: DatagramRefusal): OpenOutcome => ({ kind: 'refused', reason })

const newBoot = (header: DatagramHeader): PeerBoot => ({
  bootNumber: header.bootNumber,
  bootNonce: header.bootNonce.slice(),
  window: new ReplayWindow(),
  keyId: header.keyId,
  key: null
})

const isSameBoot = (peer: PeerBoot, header: DatagramHeader): boolean =>
  peer.bootNumber === header.bootNumber &&
  peer.bootNonce.every((byte, i) => byte === header.bootNonce[i])

function checked(header: DatagramHeader, bytes: Uint8Array): Uint8Array | null {
  const end = bytes.length - checksumBytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (crc32c(bytes, 0, end) !== view.getUint32(end)) return null
  return bytes.subarray(header.lengthBytes, end)
}
