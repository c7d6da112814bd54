import type { MonotonicMs, NodeId, WallMs } from '../ids.js'

/** `host:port`; an IPv6 host stands in brackets. */
export type Address = string

/** Why a stream ended, as far as this side can tell. */
export const StreamEnds = {
  Closed: 'closed',
  Reset: 'reset',
  Refused: 'refused',
  Unauthenticated: 'unauthenticated',
  Local: 'local'
} as const
export type StreamEnd = (typeof StreamEnds)[keyof typeof StreamEnds]

export interface StreamHandlers {
  /** The chunk is the callee's to keep. */
  onData(chunk: Uint8Array): void
  /** `write` answered false before; now it may be called again. */
  onDrain(): void
  /** Once, last. Nothing is delivered afterwards. */
  onClose(end: StreamEnd, cause?: Error): void
}

/** An ordered, reliable stream of bytes to and from somebody; it may break at any byte. */
export interface BytePipe {
  /** Called once, before any data is delivered. */
  attach(handlers: StreamHandlers): void
  /**
   * The chunk is the stream's to keep, until it calls `onReleased`, if it ever does: then nobody
   * looks at it any more. False: the buffer is above its watermark, wait for `onDrain`.
   */
  write(chunk: Uint8Array, onReleased?: () => void): boolean
  /**
   * Calls back once, when what the present turn of the event loop brought has been handled.
   * Absent: the end of the present task is as good.
   */
  afterTurn?(callback: () => void): void
  /** Sends what is buffered, then closes. */
  end(): void
  /** Closes now; buffered bytes may be lost. */
  destroy(): void
  /** Bytes accepted by `write` and not yet handed to the operating system. */
  readonly bufferedBytes: number
}

/** A pipe whose other end has proved who it is. */
export interface ByteStream extends BytePipe {
  /** Taken from the peer's certificate, the only name that is believed. */
  readonly peer: PeerIdentity
  /** What proved the peer's name; null where names are believed without proof. */
  readonly certificate: PeerCertificate | null
  readonly remoteAddress: Address
}

/** Who stands at the other end: a member node, or a client of the cluster. */
export type PeerIdentity =
  | { readonly kind: 'node'; readonly nodeId: NodeId; readonly clusterName: string }
  | { readonly kind: 'client'; readonly name: string; readonly clusterName: string }

/** The facts of a peer's certificate that outlive its handshake. */
export interface PeerCertificate {
  /** Lower-case hex, without leading zeros. */
  readonly serialNumber: string
  readonly notBefore: WallMs
  readonly notAfter: WallMs
}

export interface DialOptions {
  /** Null only for a seed address, whose node is not known yet. */
  readonly expectedNodeId: NodeId | null
  readonly deadline: MonotonicMs
  /** The bytes travel here instead of over a connection of their own; it is this dial's to end. */
  readonly through?: BytePipe
}

export interface StreamListener {
  /** The address that was bound, with the port that was given. */
  readonly address: Address
  close(): Promise<void>
}

export interface StreamNetwork {
  /** Who was let in and who was not, by reason; absent where nobody is ever refused. */
  readonly counters?: { snapshot(): Readonly<Record<string, number>> }
  listen(address: Address, onStream: (stream: ByteStream) => void): Promise<StreamListener>
  /**
   * @throws DialFailedError unreachable, refused, or the deadline passed
   * @throws PeerIdentityError the certificate is not the expected node's, or of another cluster
   */
  dial(address: Address, options: DialOptions): Promise<ByteStream>
  /**
   * A way to whoever listens there, who is not asked who it is: for passing on the bytes of others,
   * who prove themselves to one another end to end.
   *
   * @throws DialFailedError
   */
  pipe(address: Address, deadline: MonotonicMs): Promise<BytePipe>
}
