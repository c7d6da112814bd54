/**
 * Metrics as values. Each room owns a `Counters` object with the names it declares; the facade
 * reads all of them for `getAllMetrics()`, and the admin room turns the same snapshot into the
 * exposition format. Incrementing allocates nothing.
 */
export class Counters<Name extends string> {
  readonly #places: ReadonlyMap<Name, number>
  readonly #values: Float64Array

  constructor(names: readonly Name[]) {
    this.#places = new Map(names.map((name, i) => [name, i]))
    this.#values = new Float64Array(names.length)
  }

  add(name: Name, amount = 1): void {
    const at = this.#places.get(name) as number
    this.#values[at] = (this.#values[at] as number) + amount
  }

  set(name: Name, value: number): void {
    this.#values[this.#places.get(name) as number] = value
  }

  get(name: Name): number {
    return this.#values[this.#places.get(name) as number] as number
  }

  snapshot(): Readonly<Record<Name, number>> {
    const entries = [...this.#places].map(([name, at]) => [name, this.#values[at]] as const)
    return Object.fromEntries(entries) as Record<Name, number>
  }
}

/** Category → name → value, as `getAllMetrics()` answers. */
export type MetricsSnapshot = Readonly<Record<string, Readonly<Record<string, number>>>>
