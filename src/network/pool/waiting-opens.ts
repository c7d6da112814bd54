import { NEVER } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Priority } from '../../core/ports/messenger.js'

export interface WaitingOpen<Ticket> {
  readonly priority: Priority
  readonly deadline: MonotonicMs
  readonly ticket: Ticket
}

/** Who waits to open a channel to one peer: the more urgent first, then the older; bounded. */
export class WaitingOpens<Ticket> {
  readonly lengthMax: number
  #entries: WaitingOpen<Ticket>[] = []

  constructor(lengthMax: number) {
    this.lengthMax = lengthMax
  }

  get length(): number {
    return this.#entries.length
  }

  /** Whose turn is next. */
  get first(): WaitingOpen<Ticket> | undefined {
    return this.#entries[0]
  }

  /** False: full. */
  offer(entry: WaitingOpen<Ticket>): boolean {
    if (this.#entries.length >= this.lengthMax) return false
    const at = this.#entries.findLastIndex(({ priority }) => priority <= entry.priority)
    this.#entries.splice(at + 1, 0, entry)
    return true
  }

  shift(): WaitingOpen<Ticket> | undefined {
    return this.#entries.shift()
  }

  /** False: it does not wait any more. */
  remove(entry: WaitingOpen<Ticket>): boolean {
    const at = this.#entries.indexOf(entry)
    if (at >= 0) this.#entries.splice(at, 1)
    return at >= 0
  }

  takeDue(now: MonotonicMs): WaitingOpen<Ticket>[] {
    const due = this.#entries.filter(({ deadline }) => deadline <= now)
    if (due.length > 0) this.#entries = this.#entries.filter(({ deadline }) => deadline > now)
    return due
  }

  takeAll(): WaitingOpen<Ticket>[] {
    const all = this.#entries
    this.#entries = []
    return all
  }

  nextDeadline(): MonotonicMs {
    return this.#entries.reduce(
      (next, { deadline }) => Math.min(next, deadline),
      NEVER as number
    ) as MonotonicMs
  }
}
