import type { Duplex } from 'node:stream'
import {
  type Address,
  assert,
  type BytePipe,
  type ByteStream,
  type PeerCertificate,
  type PeerIdentity,
  type StreamEnd,
  StreamEnds,
  type StreamHandlers
} from '../core/index.js'

/** Where `write` begins to answer false: enough to fill a fast link, little enough to overtake. */
export const streamBufferBytesMax = 256 * 1024

/** A connected socket, plain or TLS, as the house sees it. */
export class SocketPipe implements BytePipe {
  readonly #socket: Duplex
  #handlers: StreamHandlers | null = null
  #cause: Error | undefined
  #endedLocally = false
  #endedRemotely = false
  #corked = false
  #isFull = false
  #isClosed = false

  /** @param socket paused */
  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('error', (error) => {
      this.#cause ??= error
    })
    socket.on('end', () => {
      this.#endedRemotely = true
    })
    socket.on('close', () => this.#onClose())
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  attach(handlers: StreamHandlers): void {
    assert(this.#handlers === null, 'a stream is attached once')
    this.#handlers = handlers
    if (this.#isClosed) {
      setImmediate(() => handlers.onClose(this.#reason(), this.#cause))
      return
    }
    this.#socket.on('data', (chunk: Buffer) => handlers.onData(chunk))
    this.#socket.resume()
  }

  write(chunk: Uint8Array, onReleased?: () => void): boolean {
    if (!this.#socket.writable) return false
    this.#cork()
    this.#socket.write(chunk, (error) => {
      // After an error the system may still read from it.
      if (error) return
      onReleased?.()
      this.#onWritten()
    })
    this.#isFull = this.#socket.writableLength >= streamBufferBytesMax
    return !this.#isFull
  }

  /** Everything that was read in one round of the loop; a TLS record is a task of its own. */
  afterTurn(callback: () => void): void {
    setImmediate(callback)
  }

  end(): void {
    this.#endedLocally = true
    this.#socket.end()
    // A reader that never comes must not keep the other side's last bytes, and with them the
    // socket.
    if (this.#handlers === null) this.#socket.resume()
  }

  destroy(): void {
    this.#endedLocally = true
    this.#socket.destroy()
  }

  /** What one turn of the event loop writes leaves in one record and one system call. */
  #cork(): void {
    if (this.#corked) return
    this.#corked = true
    this.#socket.cork()
    process.nextTick(() => {
      this.#corked = false
      this.#socket.uncork()
    })
  }

  /** Asks for more before everything is gone, so that the next record is ready when it is. */
  #onWritten(): void {
    if (!this.#isFull || this.#socket.writableLength > streamBufferBytesMax / 2) return
    this.#isFull = false
    this.#handlers?.onDrain()
  }

  #onClose(): void {
    this.#isClosed = true
    this.#handlers?.onClose(this.#reason(), this.#cause)
  }

  #reason(): StreamEnd {
    if (this.#endedLocally) return StreamEnds.Local
    return this.#endedRemotely && this.#cause === undefined ? StreamEnds.Closed : StreamEnds.Reset
  }
}

/** A connected and authenticated socket. */
export class SocketStream extends SocketPipe implements ByteStream {
  readonly peer: PeerIdentity
  readonly certificate: PeerCertificate | null
  readonly remoteAddress: Address

  /** @param socket paused, with nothing but its preamble read */
  constructor(
    socket: Duplex,
    facts: {
      readonly peer: PeerIdentity
      readonly certificate: PeerCertificate | null
      readonly remoteAddress: Address
    }
  ) {
    super(socket)
    this.peer = facts.peer
    this.certificate = facts.certificate
    this.remoteAddress = facts.remoteAddress
  }
}
