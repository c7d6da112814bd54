/**
 * Metrics as values. Each room owns a `Counters` object with the names it declares; the facade
 * reads all of them for `getAllMetrics()`, and the admin room turns the same snapshot into the
 * exposition format. Incrementing allocates nothing.
 */
export class Counters<Name extends string> {
  readonly #values: Record<Name, number>

  constructor(names: readonly Name[]) {
    this.#values = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
  }

  add(name: Name, amount = 1): void {
    this.#values[name] += amount
  }

  set(name: Name, value: number): void {
    this.#values[name] = value
  }

  get(name: Name): number {
    return this.#values[name]
  }

  snapshot(): Readonly<Record<Name, number>> {
    return { ...this.#values }
  }
}

/** Category → name → value, as `getAllMetrics()` answers. */
export type MetricsSnapshot = Readonly<Record<string, Readonly<Record<string, number>>>>
