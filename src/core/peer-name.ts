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

/** One word for messages and logs. */
export const describePeer = (peer: PeerIdentity): string =>
  peer.kind === 'node' ? `node ${peer.nodeId}` : `client ${peer.name}`
