import { PeerIdentityError, type SkeinError } from '../../core/errors.js'
import type { TransportEvent } from '../../core/events.js'
import type { NodeId } from '../../core/ids.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Address } from '../../core/ports/stream-network.js'
import type { TransportCounters } from '../mux/transport-counters.js'
import type { PeerHandlers } from './peer-driver.js'

type PeerHandler = (change: { nodeId: NodeId; connected: boolean }) => void

/** What the transport tells of its peers: to handlers, in the log, by counters. */
export class TransportTells {
  readonly #logger: Logger
  readonly #counters: TransportCounters
  readonly #sameIdentity: 'newest' | 'oldest'
  readonly #peerHandlers: PeerHandler[] = []
  readonly #eventHandlers: ((event: TransportEvent) => void)[] = []

  constructor(
    logger: Logger,
    counters: TransportCounters,
    sameIdentity: 'newest' | 'oldest' = 'newest'
  ) {
    this.#logger = logger
    this.#counters = counters
    this.#sameIdentity = sameIdentity
  }

  onPeer(handle: PeerHandler): void {
    this.#peerHandlers.push(handle)
  }

  onEvent(handle: (event: TransportEvent) => void): void {
    this.#eventHandlers.push(handle)
  }

  readonly handlersOfPeers: PeerHandlers = {
    onConnected: (peer, connection) => {
      this.#counters.add('active_connections')
      const address = connection.remoteAddress
      this.#logger.info({ peer: peer.nodeId, address }, 'peer connected')
      this.tell({ type: 'PeerConnected', nodeId: peer.nodeId, address })
      this.#tellPeer(peer.nodeId, true)
    },
    onDisconnected: (peer, reason) => {
      this.#counters.add('active_connections', -1)
      this.#logger.info({ peer: peer.nodeId, reason }, 'peer disconnected')
      this.tell({ type: 'PeerDisconnected', nodeId: peer.nodeId, reason })
      this.#tellPeer(peer.nodeId, false)
    },
    onDuplicate: (peer, older, newer) => {
      const { nodeId } = peer
      const addresses = [older.remoteAddress, newer.remoteAddress]
      const kept = this.#sameIdentity
      this.#counters.add('duplicate_identities')
      this.#logger.warn({ peer: nodeId, addresses, kept }, 'two processes of one name')
      this.tell({ type: 'DuplicateIdentity', nodeId, addresses, kept })
    },
    onDialFailed: (peer, address, error) => {
      const facts = { peer: peer.nodeId, address, code: error.code, reason: error.message }
      this.#logger.debug(facts, 'dial failed')
      if (error instanceof PeerIdentityError) this.tellRefused(address, error)
    }
  }

  tellRefused(address: Address, error: SkeinError | null): void {
    if (error === null) return
    this.#logger.warn({ address, code: error.code }, error.message)
    this.tell({ type: 'PeerRefused', address, code: error.code, reason: error.message })
  }

  tell(event: TransportEvent): void {
    for (const handle of this.#eventHandlers) handle(event)
  }

  #tellPeer(nodeId: NodeId, connected: boolean): void {
    for (const handle of this.#peerHandlers) handle({ nodeId, connected })
  }
}
