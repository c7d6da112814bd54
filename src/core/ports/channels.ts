import type { NodeId } from '../ids.js'
import type { Priority } from './messenger.js'
import type { Address, PeerIdentity } from './stream-network.js'

/**
 * A stream of bytes between two nodes, one of many on their connection, with a window of its own:
 * whoever does not read stops the other's writing and nobody else's. Both directions end apart.
 *
 * Failures of `read` and `write`:
 * - StreamResetError: one end gave it up, or it stood still; `details.reason` says why;
 * - ConnectionLostError: the connection is gone. Either way bytes written may have arrived or not.
 */
export interface ByteChannel extends AsyncIterable<Uint8Array> {
  /** Who is at the other end, as its certificate says. */
  readonly peer: PeerIdentity
  readonly name: string
  readonly priority: Priority
  /**
   * Resolves when all of it is on its way: the peer's window had room. The bytes are the channel's
   * to keep: they must not change any more.
   *
   * @throws BackpressureError 64 writes wait already; not taken
   */
  write(bytes: Uint8Array): Promise<void>
  /** The next bytes, however many; null: the peer has said everything. One `read` at a time. */
  read(): Promise<Uint8Array | null>
  /** Nothing more will be written; what was written still leaves, and `read` goes on. */
  end(): void
  /** Gives up both directions now; the other end gets StreamResetError. */
  reset(message?: string): void
  /**
   * Both ends said everything, or the error that `read` and `write` fail with. Leaving the
   * iteration early resets.
   */
  readonly closed: Promise<void>
}

export interface OpenChannelOptions {
  /** Of its frames among all others to that node, and of its opening. Default: normal. */
  readonly priority?: Priority
  /** How long to wait for a connection and for one's turn on it. Default: 5,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** A hint where the node may be found when this one does not know. */
  readonly address?: Address
}

export interface AcceptChannelOptions {
  /** Let clients of the cluster open it, too. Default: nodes alone. */
  readonly fromClients?: boolean
}

/** Byte channels by node and name. */
export interface Channels {
  /**
   * On an open connection without a round trip. Channels of priority normal and low have
   * connections of their own, so that messages do not wait behind their bytes: the first one, and
   * the first for which none has room, waits until another is dialled, up to
   * `transport.connectionsPerPeerMax`. Where there is no room it waits for its turn, the more
   * urgent first.
   *
   * @throws NotSentError the node cannot be reached, or no turn came in time; it knows of nothing
   * @throws BackpressureError too many wait; @throws CancelledError
   */
  open(to: NodeId, name: string, options?: OpenChannelOptions): Promise<ByteChannel>
  /** At most 63 bytes of name. The handler reads the channel or resets it. */
  accept(name: string, handle: (channel: ByteChannel) => void, options?: AcceptChannelOptions): void
}
