import { assert, must } from '../../core/assert.js'
import { BackpressureError, InvalidArgumentError, type SkeinError } from '../../core/errors.js'
import type { ByteChannel } from '../../core/ports/channels.js'
import type { Priority } from '../../core/ports/messenger.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import { type MuxStream, SendStates, type StreamSink } from '../mux/streams/mux-stream.js'
import { streamWritesPendingMax } from '../mux/streams/streams.js'
import type { Connection } from './connection-driver.js'

interface Waiter<Value> {
  resolve(value: Value): void
  reject(error: SkeinError): void
}

/** A stream of a connection, as its user has it. */
export class Channel implements ByteChannel, StreamSink {
  readonly closed: Promise<void>
  readonly #connection: Connection
  readonly #stream: MuxStream
  #reader: Waiter<Uint8Array | null> | null = null
  #writers: Waiter<void>[] = []
  #onClosed: Waiter<void> | null = null

  constructor(connection: Connection, stream: MuxStream) {
    this.#connection = connection
    this.#stream = stream
    this.closed = new Promise((resolve, reject) => {
      this.#onClosed = { resolve, reject }
    })
    // Whoever does not ask hears of a failure by reading or writing.
    this.closed.catch(() => {})
    stream.sink = this
    if (stream.isClosed) this.onClosed(stream.error)
  }

  get peer(): PeerIdentity {
    return must(this.#connection.peer, 'peer of an open connection')
  }

  get name(): string {
    return this.#stream.name
  }

  get priority(): Priority {
    return this.#stream.priority
  }

  write(bytes: Uint8Array): Promise<void> {
    const stream = this.#stream
    if (stream.error !== null) return Promise.reject(stream.error)
    if (stream.sendState !== SendStates.Open) {
      return Promise.reject(new InvalidArgumentError('bytes', 'written after the end'))
    }
    if (stream.pendingWrites >= streamWritesPendingMax) {
      const message = `${streamWritesPendingMax} writes wait`
      return Promise.reject(new BackpressureError(message))
    }
    if (this.#connection.writeStream(stream, bytes)) return Promise.resolve()
    return new Promise((resolve, reject) => this.#writers.push({ resolve, reject }))
  }

  read(): Promise<Uint8Array | null> {
    assert(this.#reader === null, 'one read at a time')
    const bytes = this.#connection.readStream(this.#stream)
    if (bytes !== null) return Promise.resolve(bytes)
    const { isReceiveEnded, isTruncated, error } = this.#stream
    if (isReceiveEnded && !isTruncated) return Promise.resolve(null)
    if (error !== null) return Promise.reject(error)
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }

  end(): void {
    this.#connection.endStream(this.#stream)
  }

  reset(message = ''): void {
    this.#connection.resetStream(this.#stream, 'cancelled', message)
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    try {
      for (let bytes = await this.read(); bytes !== null; bytes = await this.read()) yield bytes
    } finally {
      const { isReceiveEnded, received } = this.#stream
      if (!isReceiveEnded || received.sizeBytes > 0) this.reset('not read to its end')
    }
  }

  onReadable(): void {
    const reader = this.#reader
    if (reader === null) return
    this.#reader = null
    this.read().then(reader.resolve, reader.reject)
  }

  onDrained(): void {
    const writers = this.#writers
    this.#writers = []
    for (const { resolve } of writers) resolve()
  }

  onClosed(error: SkeinError | null): void {
    const writers = this.#writers
    this.#writers = []
    if (error === null) {
      for (const { resolve } of writers) resolve()
      this.#onClosed?.resolve()
    } else {
      for (const { reject } of writers) reject(error)
      this.#onClosed?.reject(error)
    }
    this.onReadable()
  }
}
