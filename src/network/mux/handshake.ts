/**
 * Who may talk to whom. The dialer says Hello; the acceptor checks it and answers Hello or
 * Refuse; the dialer checks in its turn and binds the node indexes, which tells the acceptor
 * that it is open too.
 *
 * A name in a Hello is only a claim: it must be the one that the stream's certificate proved.
 * Equal cluster ids fit, and an unknown one (null) on either side fits everything.
 */
import type { ClusterId } from '../../core/ids.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import {
  bootNonceBytes,
  type Hello,
  newestProtocolVersion,
  oldestProtocolVersion,
  type RefusalReason
} from './messages.js'

export interface HandshakeContext {
  readonly local: PeerIdentity
  readonly clusterId: ClusterId | null
  /** What the stream proved about the other end. */
  readonly peer: PeerIdentity
}

export interface Refusal {
  readonly reason: RefusalReason
  readonly message: string
}

export const nameOf = (identity: PeerIdentity): string =>
  identity.kind === 'node' ? identity.nodeId : identity.name

export interface HelloOptions {
  readonly lane: number
  readonly connectionsMax: number
  readonly features: number
  readonly renews: number | undefined
}

export function makeHello(
  context: Omit<HandshakeContext, 'peer'>,
  bootNonce: Uint8Array,
  sequence: number,
  optional: HelloOptions
): Hello {
  return {
    kind: context.local.kind,
    name: nameOf(context.local),
    clusterName: context.local.clusterName,
    clusterId: context.clusterId,
    versionMin: oldestProtocolVersion,
    versionMax: newestProtocolVersion,
    bootNonce,
    sequence,
    connectionsMax: optional.connectionsMax,
    ...(optional.features === 0 ? {} : { features: optional.features }),
    ...(optional.lane === 0 ? {} : { lane: optional.lane }),
    ...(optional.renews === undefined ? {} : { renews: optional.renews })
  }
}

/** Null: welcome. */
export function refusalOf(hello: Hello, context: HandshakeContext): Refusal | null {
  const { peer, local, clusterId } = context
  if (hello.kind !== peer.kind || hello.name !== nameOf(peer)) {
    const proven = `${peer.kind} ${nameOf(peer)}`
    return refusal('identity', `says ${hello.kind} ${hello.name}, its certificate ${proven}`)
  }
  if (hello.bootNonce.length !== bootNonceBytes) {
    return refusal('identity', `boot nonce of ${hello.bootNonce.length} bytes`)
  }
  if (hello.clusterName !== local.clusterName || peer.clusterName !== local.clusterName) {
    return refusal('clusterName', `cluster ${hello.clusterName}, here ${local.clusterName}`)
  }
  if (clusterId !== null && hello.clusterId !== null && clusterId !== hello.clusterId) {
    return refusal('clusterId', `cluster id ${hello.clusterId}, here ${clusterId}`)
  }
  if (commonVersion(hello) === null) {
    const here = `${oldestProtocolVersion} to ${newestProtocolVersion}`
    return refusal('version', `versions ${hello.versionMin} to ${hello.versionMax}, here ${here}`)
  }
  return null
}

/** The highest version that both speak. */
export function commonVersion(hello: Hello): number | null {
  const version = Math.min(hello.versionMax, newestProtocolVersion)
  return version >= Math.max(hello.versionMin, oldestProtocolVersion) ? version : null
}

/** A process by its boot nonce in hexadecimal: 52 bits of it. */
export const epochOfNonce = (bootNonce: string): number =>
  Number.parseInt(bootNonce.slice(0, 13), 16)

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

const refusal = (reason: RefusalReason, message: string): Refusal => ({ reason, message })
