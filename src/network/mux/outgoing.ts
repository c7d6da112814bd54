/** A message on its way out and the request that it may be: each knows the other. */
import type { MonotonicMs } from '../../core/ids.js'
import type { AnyDeclaration } from '../../wire/index.js'
import type { Block } from './block.js'
import type { QueuedFrame } from './streams/mux-stream.js'

/** One encoded message: its frames from `at` (the next one to leave) to `end`. */
export interface Outgoing<Ticket> {
  readonly block: Block
  readonly start: number
  readonly end: number
  at: number
  readonly priority: number
  /** The request that this is, if any; it is told when its first frame leaves. */
  readonly request: PendingRequest<Ticket> | null
  /** The frame of a stream that this is, if any. */
  readonly frame: QueuedFrame | null
  /** Of this connection alone: an answer to what came over it, or a frame of a stream. */
  readonly isBound: boolean
  /** What follows the only frame's header and extension block, where it lies elsewhere. */
  readonly payload: Uint8Array | null
  /** Set when nobody wants it any more; it is skipped. */
  cancelled: boolean
}

/** A request without an answer yet. `Ticket` is the caller's, and comes back with the outcome. */
export interface PendingRequest<Ticket> {
  readonly id: number
  readonly deadline: MonotonicMs
  readonly response: AnyDeclaration
  readonly ticket: Ticket
  /** The first frame has left: the other side may have acted. */
  isSent: boolean
  outgoing: Outgoing<Ticket> | null
}
