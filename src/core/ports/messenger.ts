import type { MonotonicMs, NodeId } from '../ids.js'
import type { Address, PeerIdentity } from './stream-network.js'

export const Priorities = { Critical: 0, High: 1, Normal: 2, Low: 3 } as const
export type Priority = (typeof Priorities)[keyof typeof Priorities]

/** What the messenger needs of a message's declaration; `src/wire` makes them. */
export interface MessageType<Body> {
  readonly number: number
  readonly name: string
  readonly priority: Priority
  /** Carries the type of the body; never set. */
  readonly body?: Body
}

/** A request's declaration names its response's. */
export interface RequestType<Body, Answer> extends MessageType<Body> {
  readonly response: MessageType<Answer>
}

export interface SendOptions {
  readonly priority?: Priority
  /** A hint where the node may be found when the messenger does not know. */
  readonly address?: Address
  /** Never by way of another node: for whoever measures the path itself. */
  readonly direct?: boolean
  /** Group the message belongs to; travels in the extension block. */
  readonly group?: number
}

export interface RequestOptions extends SendOptions {
  readonly deadline: MonotonicMs
  readonly signal?: AbortSignal
}

export interface Inbound<Body> {
  /** A client has no node id: it stands as `client:NAME`, which no node can be called. */
  readonly from: NodeId
  readonly peer: PeerIdentity
  readonly body: Body
  /** Set when the sender gave one: after it nobody waits for the answer. */
  readonly deadline: MonotonicMs | null
  readonly signal: AbortSignal
}

/**
 * Messages by node id. Implemented by the network's pool, used by every other room.
 *
 * Outcome of `request`: an answer, or
 * - NotSentError: it never left this node, so it was not executed for certain;
 * - RequestTimeoutError, ConnectionLostError: it may have been executed;
 * - the coded error that the remote handler threw.
 */
export interface Messenger {
  /** False: not queued (unknown address, queue full, stopped). True promises nothing. */
  send<Body>(to: NodeId, type: MessageType<Body>, body: Body, options?: SendOptions): boolean
  request<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    options: RequestOptions
  ): Promise<Answer>
  onMessage<Body>(type: MessageType<Body>, handle: (inbound: Inbound<Body>) => void): void
  /** What the handler throws travels back as its code and facts. */
  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void
  /** The connection to a peer was lost, or made. */
  onPeer(handle: (change: { nodeId: NodeId; connected: boolean }) => void): void
  isConnected(to: NodeId): boolean
}
