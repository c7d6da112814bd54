import { must } from '../../core/assert.js'
import { HandshakeRefusedError, PeerIdentityError, type SkeinError } from '../../core/errors.js'
import type { WallMs } from '../../core/ids.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import { commonVersion, epochOfNonce, makeHello, nameOf, refusalOf, toHex } from './handshake.js'
import {
  bindNode,
  Features,
  type Hello,
  handshakeVersion,
  hello,
  type RefusalReason,
  refuse
} from './messages.js'
import type { PeerFacts } from './mux-events.js'
import type { MuxerComponents, MuxerOptions } from './muxer-options.js'
import type { Receiver } from './receiver.js'
import { NodeIndexes, type Sender } from './sender.js'

/** One end's part of the handshake: says Hello, judges the peer's, binds the indexes. */
export class Greeter<Ticket> {
  readonly #components: MuxerComponents
  readonly #options: MuxerOptions
  readonly #sender: Sender<Ticket>
  readonly #receiver: Receiver
  #facts: PeerFacts | null = null
  #helloSequence: number | null = null

  constructor(
    components: MuxerComponents,
    options: MuxerOptions,
    halves: { readonly sender: Sender<Ticket>; readonly receiver: Receiver }
  ) {
    this.#components = components
    this.#options = options
    this.#sender = halves.sender
    this.#receiver = halves.receiver
    // What is queued before the handshake travels to the node that is dialled.
    const source = options.local.kind === 'node' ? NodeIndexes.Self : NodeIndexes.None
    this.#sender.setRoute(handshakeVersion, source, NodeIndexes.Peer)
  }

  /** What the peer said of itself; null before its Hello was accepted. */
  get facts(): PeerFacts | null {
    return this.#facts
  }

  /** Whether this end has said Hello. */
  get hasGreeted(): boolean {
    return this.#helloSequence !== null
  }

  /** The number of this end's Hello; null before it was said. */
  get helloSequence(): number | null {
    return this.#helloSequence
  }

  sayHello(wallNow: WallMs): void {
    const { local, bootNonce, renews, lane, connectionsPerPeerMax } = this.#options
    const clusterId = this.#components.clusterId()
    const sequence = this.#components.nextHelloSequence()
    this.#helloSequence = sequence
    const features = this.#components.packing === undefined ? 0 : Features.RawDeflate
    const optional = { renews, lane, connectionsMax: connectionsPerPeerMax, features }
    const said = makeHello({ local, clusterId }, bootNonce, sequence, optional)
    this.#sender.control(hello, said, wallNow)
  }

  /** Null: the peer is welcome, and can be addressed. Otherwise it was told why not. */
  handleHello(said: Hello, peer: PeerIdentity, wallNow: WallMs): SkeinError | null {
    const { local, isDialer } = this.#options
    const refusal = refusalOf(said, { local, clusterId: this.#components.clusterId(), peer })
    if (refusal !== null) {
      const { reason, message } = refusal
      this.#components.counters.add('handshakes_refused')
      this.#sender.control(refuse, { reason, message: message.slice(0, 170) }, wallNow)
      return refusalError(reason, `refused ${nameOf(peer)}: ${message}`, peer)
    }
    const version = must(commonVersion(said), 'common version')
    const bootNonce = toHex(said.bootNonce)
    const { clusterId, sequence, renews = null, connectionsMax = 1, features = 0 } = said
    const lane = isDialer ? this.#options.lane : (said.lane ?? 0)
    const epoch = epochOfNonce(bootNonce)
    const facts = { clusterId, bootNonce, epoch, sequence, renews, version, lane, connectionsMax }
    this.#facts = facts
    this.#sender.setPacking((features & Features.RawDeflate) !== 0)
    if (!isDialer) this.sayHello(wallNow)
    this.#receiver.setVersion(version)
    this.#bindIndexes(version, peer, wallNow)
    return null
  }

  handleRefuse(reason: RefusalReason, message: string, peer: PeerIdentity): SkeinError {
    this.#components.counters.add('handshakes_refused')
    return refusalError(reason, `${nameOf(peer)} refused: ${message}`, peer)
  }

  #bindIndexes(version: number, peer: PeerIdentity, wallNow: WallMs): void {
    const { local } = this.#options
    const source = local.kind === 'node' ? NodeIndexes.Self : NodeIndexes.None
    const destination = peer.kind === 'node' ? NodeIndexes.Peer : NodeIndexes.None
    this.#sender.setRoute(version, source, destination)
    if (local.kind === 'node') {
      this.#sender.control(bindNode, { index: source, nodeId: local.nodeId }, wallNow)
    }
    if (peer.kind === 'node') {
      this.#sender.control(bindNode, { index: destination, nodeId: peer.nodeId }, wallNow)
    }
  }
}

function refusalError(reason: RefusalReason, message: string, peer: PeerIdentity): SkeinError {
  const options = {
    details: { reason },
    ...(peer.kind === 'node' ? { nodeId: peer.nodeId } : {})
  }
  return reason === 'identity'
    ? new PeerIdentityError(message, options)
    : new HandshakeRefusedError(message, options)
}
