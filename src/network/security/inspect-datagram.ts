import { SkeinError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { type Packet, readPacket } from '../membership/messages.js'
import { clusterTagOf, DatagramFormats, readHeader } from './datagram-header.js'
import { DatagramOpener } from './datagram-opener.js'

/** A gossip datagram for human eyes. */
export interface DatagramInspection {
  readonly sizeBytes: number
  readonly format: 'sealed' | 'plain'
  readonly sender: NodeId
  readonly clusterTag: number
  /** Whether the tag is the named cluster's. */
  readonly isOurCluster: boolean
  readonly keyId: number
  readonly bootNumber: number
  readonly bootNonceHex: string
  readonly counter: number
  /** Null when it could not be opened, or was no packet. */
  readonly packet: Packet | null
  /** Why there is no packet. */
  readonly fault: string | null
}

export interface InspectDatagramOptions {
  readonly crypto: Crypto
  readonly clusterName: string
  /** Null: none is at hand; the header of a sealed datagram can be read all the same. */
  readonly gossipKeys: readonly Uint8Array[] | null
}

/** In nobody's datagram: an id that no node can have. */
const nobody = '' as NodeId

/** Null: not even a datagram's header. Never throws, believes nothing, remembers nothing. */
export function inspectDatagram(
  bytes: Uint8Array,
  { crypto, clusterName, gossipKeys }: InspectDatagramOptions
): DatagramInspection | null {
  const outcome = readHeader(bytes)
  if (outcome.kind !== 'read') return null
  const { header } = outcome
  const isSealed = header.format === DatagramFormats.Sealed
  const known = {
    sizeBytes: bytes.length,
    format: isSealed ? ('sealed' as const) : ('plain' as const),
    sender: header.sender,
    clusterTag: header.clusterTag,
    isOurCluster: header.clusterTag === clusterTagOf(crypto, clusterName),
    keyId: header.keyId,
    bootNumber: header.bootNumber,
    bootNonceHex: toHex(header.bootNonce),
    counter: header.counter
  }
  if (isSealed && gossipKeys === null) return { ...known, packet: null, fault: 'no key given' }
  const keys = isSealed ? gossipKeys : null
  const security = { nodeId: nobody, clusterName, gossipKeys: keys, peersMax: 1 }
  const opened = new DatagramOpener(crypto, security).open(bytes)
  if (opened.kind === 'refused') return { ...known, packet: null, fault: opened.reason }
  try {
    return { ...known, packet: readPacket(opened.payload), fault: null }
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    return { ...known, packet: null, fault: error.message }
  }
}

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
