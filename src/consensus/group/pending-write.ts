/** Callers of writes, registrations and sections, between their call and their answer. */
import type { ClientId, MonotonicMs } from '../../core/ids.js'
import type { WriteAnswer, WriteRequest } from '../../core/ports/replicated-group.js'
import type { MakeEntry } from './group-section.js'

/** One caller; the first answer counts. */
export class Pending<Answer> {
  readonly deadline: MonotonicMs
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: Error) => void
  #isSettled = false

  constructor(
    deadline: MonotonicMs,
    resolve: (answer: Answer) => void,
    reject: (error: Error) => void
  ) {
    this.deadline = deadline
    this.#resolve = resolve
    this.#reject = reject
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  resolve(answer: Answer): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#resolve(answer)
  }

  reject(error: Error): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#reject(error)
  }
}

export interface PendingWrite {
  readonly kind: 'write'
  readonly request: WriteRequest
  readonly caller: Pending<WriteAnswer>
}

export interface PendingRegistration {
  readonly kind: 'register'
  readonly clientId: ClientId
  readonly caller: Pending<void>
}

export type PendingProposal = PendingWrite | PendingRegistration

/** A section's entry, made when it is its turn. */
export interface PendingEntry {
  readonly section: string
  readonly make: MakeEntry
  readonly caller: Pending<void>
}
