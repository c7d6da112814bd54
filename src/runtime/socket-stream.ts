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

/**
 * Where `write` begins to answer false. One write of this size at a time keeps a fast link full,
 * because the system has buffers of its own; what is handed over cannot be overtaken any more.
 */
export const streamBufferBytesMax = 64 * 1024

/**
 * After so many bytes a socket is not read for the rest of the loop's turn: otherwise what the
 * system has of one connection, megabytes at worst, would be handled before the first byte of
 * another. What was taken from the system with them, 64 KiB at most, comes in the next turn.
 */
const readTurnBytesMax = 32 * 1024

/** A connected socket, plain or TLS, as the house sees it. */
export class SocketPipe implements BytePipe {
  readonly #socket: Duplex
  #handlers: StreamHandlers | null = null
  #cause: Error | undefined
  #endedLocally = false
  #endedRemotely = false
  #isFull = false
  #turnBytes = 0
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
    this.#socket.on('data', (chunk: Buffer) => {
      this.#countRead(chunk.length)
      handlers.onData(chunk)
    })
    this.#socket.resume()
  }

  write(chunk: Uint8Array, onReleased?: () => void): boolean {
    if (!this.#socket.writable) return false
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

  /** A resting socket hands out what it had read already and reads on, in the next turn. */
  #countRead(sizeBytes: number): void {
    this.#turnBytes += sizeBytes
    if (this.#turnBytes < readTurnBytesMax) return
    this.#turnBytes = 0
    this.#socket.pause()
    setImmediate(this.#readOn)
  }

  readonly #readOn = (): void => {
    this.#socket.resume()
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
