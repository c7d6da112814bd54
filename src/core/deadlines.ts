import type { MonotonicMs } from './ids.js'

/** No deadline is armed. */
export const NEVER = Number.POSITIVE_INFINITY as MonotonicMs

/** A core's named deadlines and their minimum; small fixed sets, so a scan beats a heap. */
export class Deadlines<Name extends string> {
  readonly #at = new Map<Name, MonotonicMs>()

  set(name: Name, at: MonotonicMs): void {
    this.#at.set(name, at)
  }

  clear(name: Name): void {
    this.#at.delete(name)
  }

  clearAll(): void {
    this.#at.clear()
  }

  at(name: Name): MonotonicMs {
    return this.#at.get(name) ?? NEVER
  }

  isDue(name: Name, now: MonotonicMs): boolean {
    return this.at(name) <= now
  }

  next(): MonotonicMs {
    let next: MonotonicMs = NEVER
    for (const at of this.#at.values()) if (at < next) next = at
    return next
  }
}

/** `ms` later than `from`; the one place where the two units are added. */
export const after = (from: MonotonicMs, ms: number): MonotonicMs => (from + ms) as MonotonicMs
