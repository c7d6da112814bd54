/**
 * What a protocol core wants done. A core performs nothing: its owner drains one `Effects` record
 * after each call and carries it out in this order.
 *
 * Owner's duties:
 * 1. `sendNow` may leave at once, beside `persist`.
 * 2. `persist` is made durable; then the core hears of it (`handlePersisted`).
 * 3. `sendAfterPersist` leaves only when this record's `persist` and all earlier ones are durable.
 * 4. `emit` goes to subscribers in order, after the record has been taken over.
 */
export interface Effects<Send, Persist, Emit> {
  readonly sendNow: readonly Send[]
  readonly persist: Persist | null
  readonly sendAfterPersist: readonly Send[]
  readonly emit: readonly Emit[]
}

/** Collects effects between two drains; cores hold one. */
export class EffectsBuffer<Send, Persist, Emit> {
  #sendNow: Send[] = []
  #persist: Persist | null = null
  #sendAfterPersist: Send[] = []
  #emit: Emit[] = []

  send(message: Send): void {
    this.#sendNow.push(message)
  }

  sendAfterPersist(message: Send): void {
    this.#sendAfterPersist.push(message)
  }

  emit(event: Emit): void {
    this.#emit.push(event)
  }

  /** The core merges what it already asked to persist; the buffer holds at most one record. */
  mergePersist(merge: (previous: Persist | null) => Persist): void {
    this.#persist = merge(this.#persist)
  }

  get isEmpty(): boolean {
    return (
      this.#persist === null &&
      this.#sendNow.length === 0 &&
      this.#sendAfterPersist.length === 0 &&
      this.#emit.length === 0
    )
  }

  drain(): Effects<Send, Persist, Emit> {
    const drained = {
      sendNow: this.#sendNow,
      persist: this.#persist,
      sendAfterPersist: this.#sendAfterPersist,
      emit: this.#emit
    }
    this.#sendNow = []
    this.#persist = null
    this.#sendAfterPersist = []
    this.#emit = []
    return drained
  }
}
