import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { PendingRequest } from './outgoing.js'

/** Deadlines that lie closer together than this are looked at together. */
const grainMs = 1

/**
 * Requests by id, with one deadline for all of them. Answered requests are simply removed: the
 * kept minimum is a lower bound, and the table is looked through when it passes, which for a
 * steady load is once per time-out, not once per request.
 */
export class PendingRequests<Ticket> {
  readonly lengthMax: number
  readonly #byId = new Map<number, PendingRequest<Ticket>>()
  #notBefore: MonotonicMs = NEVER

  constructor(lengthMax: number) {
    this.lengthMax = lengthMax
  }

  get size(): number {
    return this.#byId.size
  }

  get isFull(): boolean {
    return this.#byId.size >= this.lengthMax
  }

  add(request: PendingRequest<Ticket>): void {
    this.#byId.set(request.id, request)
    if (request.deadline < this.#notBefore) this.#notBefore = request.deadline
  }

  has(id: number): boolean {
    return this.#byId.has(id)
  }

  get(id: number): PendingRequest<Ticket> | undefined {
    return this.#byId.get(id)
  }

  remove(id: number): boolean {
    return this.#byId.delete(id)
  }

  /** In the order of their ids. */
  takeAll(): PendingRequest<Ticket>[] {
    const all = [...this.#byId.values()].sort((a, b) => a.id - b.id)
    this.#byId.clear()
    this.#notBefore = NEVER
    return all
  }

  takeDue(now: MonotonicMs): PendingRequest<Ticket>[] {
    if (now < this.nextDeadline()) return []
    const due: PendingRequest<Ticket>[] = []
    let next: MonotonicMs = NEVER
    for (const request of this.#byId.values()) {
      if (request.deadline <= now) due.push(request)
      else if (request.deadline < next) next = request.deadline
    }
    for (const request of due) this.#byId.delete(request.id)
    this.#notBefore = next === NEVER ? NEVER : (Math.max(next, after(now, grainMs)) as MonotonicMs)
    return due
  }

  nextDeadline(): MonotonicMs {
    return this.#byId.size === 0 ? NEVER : this.#notBefore
  }
}
