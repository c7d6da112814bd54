import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Inbound } from '../../core/ports/messenger.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'

/**
 * The sender of a message as a node id. A client has none: it stands as `client:NAME`, which no
 * node can be called, so that a handler that looks at `from` alone never takes a client for a
 * node.
 */
export const senderOf = (peer: PeerIdentity): NodeId =>
  peer.kind === 'node' ? peer.nodeId : (`client:${peer.name}` as NodeId)

/** A received message as its handler sees it; the signal is made only for those who ask. */
export class InboundView<Body> implements Inbound<Body> {
  readonly from: NodeId
  readonly peer: PeerIdentity
  readonly body: Body
  readonly deadline: MonotonicMs | null
  #controller: AbortController | null = null
  #isAborted = false

  constructor(peer: PeerIdentity, body: Body, deadline: MonotonicMs | null) {
    this.from = senderOf(peer)
    this.peer = peer
    this.body = body
    this.deadline = deadline
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#isAborted) this.#controller.abort()
    }
    return this.#controller.signal
  }

  abort(): void {
    this.#isAborted = true
    this.#controller?.abort()
  }
}
