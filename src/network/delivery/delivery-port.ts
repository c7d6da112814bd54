/** What delivery needs of the transport, and what the transport tells it. */
import type { SkeinError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Address, PeerIdentity } from '../../core/ports/stream-network.js'
import type { AnyDeclaration, DeliveryTag, MessageDeclaration } from '../../wire/index.js'

/** A received message that is to be acknowledged. */
export interface TaggedArrival {
  readonly from: NodeId
  readonly peer: PeerIdentity
  /** The process that sent it. */
  readonly epoch: number
  readonly tag: DeliveryTag
  readonly declaration: AnyDeclaration
  readonly body: unknown
  readonly sizeBytes: number
}

export interface DeliveryHooks {
  /** A connection to this process of the node is open. */
  onOpened(nodeId: NodeId, epoch: number): void
  /** An open connection ended; whether another one is open. */
  onLost(nodeId: NodeId, isConnected: boolean): void
  onArrival(arrival: TaggedArrival): void
  /** A message of unknown type, without permission, or with a body that cannot be read. */
  onUndeliverable(at: Pick<TaggedArrival, 'from' | 'epoch' | 'tag'>, error: SkeinError): void
}

export interface DeliveryTransport
  extends Pick<Messenger, 'send' | 'onMessage' | 'onRequest' | 'request' | 'isConnected'> {
  /** This process, as peers know it from its Hello. */
  readonly epoch: number
  /** The rooms of this node still register what they handle. */
  readonly isStarting: boolean
  /** Of the process at the other end of an open connection. */
  epochOf(nodeId: NodeId): number | null
  /** Begins to connect, if need be and the pause after a failed dial is over. */
  dial(nodeId: NodeId, hint?: Address): void
  /** False: not queued, because no open connection to that process has room. */
  sendTagged<Body>(
    to: NodeId,
    declaration: MessageDeclaration<Body>,
    body: Body,
    dispatch: { readonly priority: number; readonly delivery: DeliveryTag }
  ): boolean
  setDelivery(hooks: DeliveryHooks): void
}
