/** What the health room needs of others, beside the ports of core. */
import type { NodeId } from '../core/ids.js'
import type { ByteTotals } from './throughput.js'

/** Datagrams to and from members, sealed and opened by whoever owns the socket. */
export interface ProbeDatagrams {
  /** Best effort. False: it was not sent, because the node's address is not known. */
  send(to: NodeId, payload: Uint8Array): boolean
  onDatagram(handle: (from: NodeId, payload: Uint8Array) => void): void
}

/** What travelled between this node and a peer since its connections were made. */
export type Traffic = (nodeId: NodeId) => ByteTotals | null
