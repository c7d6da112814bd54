import { assert } from '../../core/assert.js'
import type { BufferPool } from '../../wire/index.js'

/**
 * A buffer that messages lie in. It is counted who still needs it: each message until it has left
 * or is skipped, each run of a batch until it is written. Then its buffer is used again.
 */
export class Block {
  readonly #pool: BufferPool | null
  #bytes: Uint8Array | null = null
  #users = 0

  /** @param pool where the buffer goes at last; null: nowhere */
  constructor(pool: BufferPool | null) {
    this.#pool = pool
  }

  /** Null until the writer has let go of it. */
  get bytes(): Uint8Array | null {
    return this.#bytes
  }

  seal(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#maybeGiveBack()
  }

  hold(): void {
    this.#users++
  }

  release(): void {
    this.#users--
    assert(this.#users >= 0, 'a block was released more often than held')
    this.#maybeGiveBack()
  }

  #maybeGiveBack(): void {
    if (this.#users > 0 || this.#bytes === null) return
    this.#pool?.give(this.#bytes)
    this.#bytes = null
  }
}
