import type { Writable } from 'node:stream'

const headerBytes = 8
const flushBytes = 64 * 1024
/** Longer payloads are handed to the socket as they are. */
const copiedBytesMax = 16 * 1024

/**
 * Frames of `u32 length, u32 number, payload` over a socket, the plainest that can be fast: small
 * ones of a tick are copied into one chunk.
 */
export class FrameWriter {
  readonly #socket: Writable
  #chunk = Buffer.allocUnsafe(flushBytes)
  #length = 0
  #isScheduled = false

  constructor(socket: Writable) {
    this.#socket = socket
  }

  /** False: wait for the socket's drain. */
  write(id: number, payload: Uint8Array): boolean {
    const size = payload.length > copiedBytesMax ? headerBytes : headerBytes + payload.length
    if (this.#length + size > flushBytes) this.flush()
    this.#chunk.writeUInt32BE(payload.length, this.#length)
    this.#chunk.writeUInt32BE(id, this.#length + 4)
    if (payload.length > copiedBytesMax) {
      this.#length += headerBytes
      this.flush()
      return this.#socket.write(payload)
    }
    this.#chunk.set(payload, this.#length + headerBytes)
    this.#length += size
    if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(() => {
        this.#isScheduled = false
        this.flush()
      })
    }
    return this.#socket.writableLength < flushBytes * 4
  }

  flush(): void {
    if (this.#length === 0) return
    this.#socket.write(this.#chunk.subarray(0, this.#length))
    this.#chunk = Buffer.allocUnsafe(flushBytes)
    this.#length = 0
  }
}

export class FrameReader {
  readonly #onFrame: (id: number, payload: Buffer) => void
  #parts: Buffer[] = []
  #partsBytes = 0
  #wanted = headerBytes

  constructor(onFrame: (id: number, payload: Buffer) => void) {
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    this.#parts.push(chunk)
    this.#partsBytes += chunk.length
    if (this.#partsBytes < this.#wanted) return
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#partsBytes)
    let at = 0
    for (;;) {
      if (bytes.length - at < headerBytes) {
        this.#wanted = headerBytes
        break
      }
      const end = at + headerBytes + bytes.readUInt32BE(at)
      if (end > bytes.length) {
        this.#wanted = end - at
        break
      }
      this.#onFrame(bytes.readUInt32BE(at + 4), bytes.subarray(at + headerBytes, end))
      at = end
    }
    const rest = bytes.subarray(at)
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#partsBytes = rest.length
  }
}
