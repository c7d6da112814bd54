/**
 * The client that this node is itself, for writes whose callers do not number them: one id per
 * run of the process, serials from 1.
 *
 * 1. A serial is given to one write and never again.
 * 2. `answeredBelow` is at or below every open serial, so no open write's answer is forgotten.
 */
import type { ClientId, Serial } from './ids.js'
import { openSerialsMax } from './limits.js'
import type { ClientTag } from './ports/replicated-group.js'

export class OwnClient {
  readonly clientId: ClientId
  readonly #open = new Set<number>()
  #next = 1

  constructor(clientId: ClientId) {
    this.clientId = clientId
  }

  /** Null while the oldest open write holds the others back. */
  open(): number | null {
    if (this.#next - this.#oldest() >= openSerialsMax) return null
    const serial = this.#next++
    this.#open.add(serial)
    return serial
  }

  tag(serial: number): ClientTag {
    const answeredBelow = this.#oldest() as Serial
    return { clientId: this.clientId, serial: serial as Serial, answeredBelow }
  }

  /** Its outcome is known, or nobody waits for it. */
  close(serial: number): void {
    this.#open.delete(serial)
  }

  /** Serials rise, and a set keeps the order of insertion. */
  #oldest(): number {
    for (const serial of this.#open) return serial
    return this.#next
  }
}
