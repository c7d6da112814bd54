import type { SkeinError } from '../../core/errors.js'
import type { ClusterId, MonotonicMs } from '../../core/ids.js'
import type { AnyDeclaration, DeliveryTag, RequestDeclaration } from '../../wire/index.js'
import type { GoAwayReason } from './messages.js'
import type { MuxStream } from './streams/mux-stream.js'

/** What the peer said of itself in the handshake. */
export interface PeerFacts {
  readonly clusterId: ClusterId | null
  /** Hexadecimal; another one means that the peer's process is another. */
  readonly bootNonce: string
  /** 52 bits of it, which are a safe integer. */
  readonly epoch: number
  /** Counts the peer's hellos since its boot. */
  readonly sequence: number
  /** Which of the peer's Hellos began the connection that this one replaces; null: none. */
  readonly renews: number | null
  readonly version: number
  /** 0: the connection for messages; others carry streams alone. */
  readonly lane: number
  /** How many connections of this end the peer takes. */
  readonly connectionsMax: number
}

export type MuxEvent<Ticket> =
  | { readonly kind: 'opened'; readonly facts: PeerFacts }
  | {
      readonly kind: 'message'
      readonly id: number
      readonly declaration: AnyDeclaration
      readonly body: unknown
      readonly group: number | null
      /** Set when it is to be acknowledged. */
      readonly delivery: DeliveryTag | null
      readonly sizeBytes: number
      /** Trace context that came along, as a view on the received bytes. */
      readonly trace: Uint8Array | null
    }
  /** A message that is to be acknowledged, and cannot be taken. */
  | { readonly kind: 'undeliverable'; readonly delivery: DeliveryTag; readonly error: SkeinError }
  | {
      readonly kind: 'request'
      readonly id: number
      readonly declaration: RequestDeclaration<unknown, unknown>
      readonly body: unknown
      readonly deadline: MonotonicMs | null
      readonly group: number | null
      /** Trace context that came along, as a view on the received bytes. */
      readonly trace: Uint8Array | null
    }
  | { readonly kind: 'answered'; readonly ticket: Ticket; readonly body: unknown }
  | { readonly kind: 'failed'; readonly ticket: Ticket; readonly error: SkeinError }
  /** The peer does not wait for the answer any more; an answer must be given all the same. */
  | { readonly kind: 'cancelled'; readonly id: number }
  /** The peer sent what it may not; `isLast`: the connection ends for it. */
  | {
      readonly kind: 'unauthorized'
      readonly message: string
      readonly reason: string
      readonly isLast: boolean
    }
  /** A one-way message of ours was not accepted. */
  | { readonly kind: 'rejected'; readonly error: SkeinError }
  /** The peer opened a stream: read it, or reset it. */
  | { readonly kind: 'streamOpened'; readonly stream: MuxStream }
  /** There are bytes to read, or the peer has said everything. */
  | { readonly kind: 'streamReadable'; readonly stream: MuxStream }
  /** Everything that was written has been taken. */
  | { readonly kind: 'streamDrained'; readonly stream: MuxStream }
  /** Once, last of a stream: `error` says why; what was received can still be read. */
  | { readonly kind: 'streamClosed'; readonly stream: MuxStream }
  /** The peer starts nothing new here, and nothing new may be started. */
  | { readonly kind: 'goAway'; readonly reason: GoAwayReason; readonly message: string }
  /** Nothing more happens: send what `pull` still gives, then close. Null: in peace. */
  | { readonly kind: 'done'; readonly error: SkeinError | null }
