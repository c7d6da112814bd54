/**
 * Credit counts bytes, of one stream or of all streams of a connection. Invariants: 1. a sender
 * never has sent more than was granted; 2. a receiver never keeps more unread bytes than its
 * window; 3. what is granted is announced when half of the window that the peer knows was read.
 *
 * A window that is wider than what every peer takes for granted opens with the first announcement:
 * a stream costs none that carries little, and one that is not read stays narrow.
 */
import { assert } from '../../../core/assert.js'
import { ProtocolError } from '../../../core/errors.js'

/** More than this can never be outstanding. */
const creditBytesMax = 2 ** 31 - 1

export class SendCredit {
  #bytes: number

  constructor(initialBytes: number) {
    this.#bytes = initialBytes
  }

  /** What may still be sent. */
  get bytes(): number {
    return this.#bytes
  }

  take(count: number): void {
    assert(count <= this.#bytes, 'sent beyond the credit')
    this.#bytes -= count
  }

  /** What was taken and never left. */
  putBack(count: number): void {
    this.#bytes += count
  }

  /** @throws ProtocolError for nothing, or for more than a window can be */
  grant(increment: number): void {
    if (increment === 0) throw new ProtocolError('a window is enlarged by nothing')
    if (this.#bytes + increment > creditBytesMax) throw new ProtocolError('a window overflows')
    this.#bytes += increment
  }
}

export class ReceiveCredit {
  readonly #windowBytes: number
  /** What the peer may still send, as it knows it. */
  #granted: number
  /** Neither granted nor unread. */
  #consumed: number
  /** Consumed since the last announcement, and the window that the peer knows since. */
  #sinceLast = 0
  #known: number

  /** The window is at least what every peer takes for granted. */
  constructor(windowBytes: number, initialBytes: number) {
    this.#windowBytes = Math.max(windowBytes, initialBytes)
    this.#granted = initialBytes
    this.#known = initialBytes
    this.#consumed = this.#windowBytes - initialBytes
  }

  /** Received and not consumed. */
  get unreadBytes(): number {
    return this.#windowBytes - this.#granted - this.#consumed
  }

  /** @throws ProtocolError when more is sent than was granted */
  receive(count: number): void {
    if (count > this.#granted) {
      throw new ProtocolError(`${count} bytes sent with a window of ${this.#granted}`)
    }
    this.#granted -= count
  }

  /** What is to be announced now; 0: nothing yet. */
  consume(count: number): number {
    assert(count <= this.unreadBytes, 'consumed more than was received')
    this.#consumed += count
    this.#sinceLast += count
    if (this.#sinceLast * 2 < this.#known) return 0
    return this.takeGrant()
  }

  /** Everything that can be granted, however little. */
  takeGrant(): number {
    const increment = this.#consumed
    this.#consumed = 0
    this.#sinceLast = 0
    this.#known = this.#windowBytes
    this.#granted += increment
    return increment
  }
}
