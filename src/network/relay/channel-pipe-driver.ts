import type { ByteChannel } from '../../core/ports/channels.js'
import { type BytePipe, StreamEnds, type StreamHandlers } from '../../core/ports/stream-network.js'

/** A channel as the pipe that a handshake runs over. */
export function pipeOf(channel: ByteChannel): BytePipe {
  return new ChannelPipe(channel)
}

class ChannelPipe implements BytePipe {
  readonly #channel: ByteChannel
  #handlers: StreamHandlers | null = null
  #bufferedBytes = 0
  #isClosed = false

  constructor(channel: ByteChannel) {
    this.#channel = channel
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  attach(handlers: StreamHandlers): void {
    this.#handlers = handlers
    void this.#pump(handlers)
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isClosed) return false
    this.#bufferedBytes += chunk.length
    this.#channel.write(chunk).then(
      () => {
        this.#bufferedBytes -= chunk.length
        if (this.#bufferedBytes === 0) this.#handlers?.onDrain()
      },
      (cause) => this.#close(cause)
    )
    return this.#bufferedBytes === 0
  }

  end(): void {
    this.#channel.end()
  }

  destroy(): void {
    this.#channel.reset('the handshake over it ended')
    this.#close()
  }

  async #pump(handlers: StreamHandlers): Promise<void> {
    try {
      for (;;) {
        const bytes = await this.#channel.read()
        if (bytes === null) break
        if (this.#isClosed) return
        handlers.onData(new Uint8Array(bytes))
      }
      this.#close()
    } catch (cause) {
      this.#close(cause as Error)
    }
  }

  #close(cause?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#handlers?.onClose(cause === undefined ? StreamEnds.Closed : StreamEnds.Reset, cause)
  }
}
