/** Messages between nodes as the facade offers them: what is asked, and what comes back. */
import type { SkeinError } from './errors.js'
import type { NodeId } from './ids.js'
import type { Inbound, Priority } from './ports/messenger.js'
import type { Address } from './ports/stream-network.js'

export const Reliabilities = {
  /** Queued for sending; whether it arrives, nobody tells. */
  None: 'none',
  /** Handled once by the receiver, in any order. */
  Acked: 'acked',
  /** Handled once, and one after the other in the order of sending, of those to the same node. */
  Ordered: 'ordered'
} as const
export type Reliability = (typeof Reliabilities)[keyof typeof Reliabilities]

export interface SendMessageOptions {
  /** Default: the type's. */
  readonly priority?: Priority
  /** Default: `acked`. */
  readonly reliability?: Reliability
  /** A hint where the node may be found; who answers there must prove to be that node. */
  readonly address?: Address
  /** Default `delivery.timeoutMs`; at most 600,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface RequestMessageOptions {
  readonly priority?: Priority
  readonly address?: Address
  /** Default `delivery.timeoutMs`. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export type BroadcastOptions = Omit<SendMessageOptions, 'address'>

export type BroadcastOutcome =
  /** The member's handler has handled it. */
  | { readonly kind: 'delivered'; readonly nodeId: NodeId }
  /** With `reliability: 'none'`: it waits to leave. */
  | { readonly kind: 'queued'; readonly nodeId: NodeId }
  /** `error.code` says whether it may have been handled. */
  | { readonly kind: 'failed'; readonly nodeId: NodeId; readonly error: SkeinError }
  | { readonly kind: 'skipped'; readonly nodeId: NodeId; readonly reason: BroadcastSkip }

export type BroadcastSkip = 'self' | 'dead' | 'left'

/** One outcome for each member, in the order of their ids. */
export interface BroadcastReport {
  readonly outcomes: readonly BroadcastOutcome[]
  /** Everybody who was not skipped got it. */
  readonly complete: boolean
}

export interface ReceivedMessage<Body> extends Inbound<Body> {
  readonly reliability: Reliability
  /** Ordered: so many messages before this one were given up by the sender, and never came. */
  readonly skipped: number
}

/**
 * What it throws is told to a sender that waits. When it answers a promise, the message is handled
 * when that resolves, otherwise when it returns.
 */
export type MessageHandler<Body> = (message: ReceivedMessage<Body>) => unknown
