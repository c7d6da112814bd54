import { isNodeId } from './ids.js'
import type { PeerIdentity } from './ports/stream-network.js'

/**
 * The names that certificates carry, in the form of SPIFFE ids:
 * `spiffe://<clusterName>/node/<nodeId>` and `spiffe://<clusterName>/client/<name>`.
 */
const peerNameLengthMax = 2_048
const CLUSTER_NAME = /^[a-z0-9.-]{1,63}$/
const PEER_NAME = /^spiffe:\/\/([^/]+)\/(node|client)\/([^/]+)$/

export function peerNameOf(peer: PeerIdentity): string {
  const path = peer.kind === 'node' ? `node/${peer.nodeId}` : `client/${peer.name}`
  return `spiffe://${peer.clusterName}/${path}`
}

/** Null for every other text: no port, no escape, no empty or further segment is tolerated. */
export function parsePeerName(text: string): PeerIdentity | null {
  if (text.length > peerNameLengthMax) return null
  const [, clusterName = '', kind, id = ''] = PEER_NAME.exec(text) ?? []
  if (kind === undefined || !CLUSTER_NAME.test(clusterName) || !isNodeId(id)) return null
  return kind === 'node'
    ? { kind: 'node', nodeId: id, clusterName }
    : { kind: 'client', name: id, clusterName }
}

export interface AlternativeName {
  /** `URI`, `DNS`, `IP Address` and the like. */
  readonly kind: string
  readonly value: string
}

/**
 * The names of a certificate, as Node tells them: `URI:…, DNS:…`. A value with a comma, quote or
 * control character is quoted: it cannot pass for another name.
 */
export function alternativeNamesIn(text: string): AlternativeName[] {
  const names: AlternativeName[] = []
  for (let at = 0; at < text.length; ) {
    const colon = text.indexOf(':', at)
    if (colon < 0) break
    const end = endOfName(text, colon + 1)
    names.push({ kind: text.slice(at, colon), value: text.slice(colon + 1, end) })
    at = end + separator.length
  }
  return names
}

export const uriNamesIn = (text: string): string[] =>
  alternativeNamesIn(text).flatMap(({ kind, value }) => (kind === 'URI' ? [value] : []))

const separator = ', '

function endOfName(text: string, from: number): number {
  let at = from
  if (text.charAt(at) === '"') {
    at++
    while (at < text.length && text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1
  }
  const end = text.indexOf(separator, at)
  return end < 0 ? text.length : end
}

/** One word for messages and logs. */
export const describePeer = (peer: PeerIdentity): string =>
  peer.kind === 'node' ? `node ${peer.nodeId}` : `client ${peer.name}`
