/**
 * Makes a seed that fails smaller, as long as it breaks the same invariant: less virtual time,
 * fewer nodes, kinds of trouble left out, then single strikes by halves and halves of halves
 * (Zeller's delta debugging). What is left is what the failure needs, as far as `attemptsMax` runs
 * can tell.
 */
import type { SimulationOptions, SimulationResult } from './simulation.js'
import { type Trouble, troubles } from './swarm-options.js'
import type { Violation } from './violations.js'

export interface MinimiseOptions {
  /** Runs in all, the first included. */
  readonly attemptsMax: number
  readonly onSmaller: (smaller: Minimised) => void
}

export interface Minimised {
  readonly seed: number
  readonly options: SimulationOptions
  readonly violation: Violation
  readonly attempts: number
}

/** Null: the seed breaks nothing. */
export async function minimise(
  seed: number,
  options: SimulationOptions,
  run: (seed: number, options: SimulationOptions) => Promise<SimulationResult>,
  limits: MinimiseOptions
): Promise<Minimised | null> {
  const first = await run(seed, options)
  const [violation] = first.violations
  if (violation === undefined) return null
  const search = new Search({ seed, options, violation, attempts: 1 }, run, limits)
  await search.shorten()
  await search.takeNodesAway()
  await search.leaveTroublesOut()
  await search.leaveStrikesOut()
  return search.found
}

class Search {
  found: Minimised
  readonly #run: (seed: number, options: SimulationOptions) => Promise<SimulationResult>
  readonly #limits: MinimiseOptions
  #strikes: readonly string[] = []
  #attempts = 1

  constructor(
    found: Minimised,
    run: (seed: number, options: SimulationOptions) => Promise<SimulationResult>,
    limits: MinimiseOptions
  ) {
    this.found = found
    this.#run = run
    this.#limits = limits
  }

  async shorten(): Promise<void> {
    const brokenAfter = Math.max(1, Math.ceil(this.found.violation.at / 1_000))
    if (brokenAfter < this.found.options.seconds) await this.#fails({ seconds: brokenAfter })
    for (let step = Math.floor(this.found.options.seconds / 2); step >= 1; ) {
      const seconds = this.found.options.seconds - step
      const isSmaller = seconds >= 1 && (await this.#fails({ seconds }))
      if (!isSmaller) step = Math.floor(step / 2)
    }
  }

  async takeNodesAway(): Promise<void> {
    for (const nodes of [1, 2, 3, 5]) {
      if (nodes < this.found.options.nodes && (await this.#fails({ nodes }))) return
    }
  }

  async leaveTroublesOut(): Promise<void> {
    for (const trouble of troubles) {
      await this.#fails({ without: [...this.#without, trouble] })
    }
  }

  async leaveStrikesOut(): Promise<void> {
    if (!(await this.#fails({}))) return
    let kept = this.#strikes
    for (let parts = 2; kept.length > 0 && !this.#isUsedUp; ) {
      const rest = await this.#withoutOnePart(kept, parts)
      if (rest !== null) kept = rest
      else if (parts >= kept.length) return
      parts = rest === null ? Math.min(kept.length, parts * 2) : Math.max(2, parts - 1)
    }
  }

  async #withoutOnePart(kept: readonly string[], parts: number): Promise<string[] | null> {
    const size = Math.ceil(kept.length / parts)
    for (let at = 0; at < kept.length; at += size) {
      const strikes = kept.filter((_, i) => i < at || i >= at + size)
      if (await this.#fails({ strikes })) return strikes
    }
    return null
  }

  get #without(): readonly Trouble[] {
    return this.found.options.without ?? []
  }

  get #isUsedUp(): boolean {
    return this.#attempts >= this.#limits.attemptsMax
  }

  async #fails(change: Partial<SimulationOptions>): Promise<boolean> {
    if (this.#isUsedUp) return false
    this.#attempts++
    const { seed, violation } = this.found
    const options = { ...this.found.options, ...change }
    const { violations, strikes } = await this.#run(seed, options)
    const [again] = violations
    if (again?.invariant !== violation.invariant) return false
    this.found = { seed, options, violation: again, attempts: this.#attempts }
    this.#strikes = options.strikes ?? strikes
    this.#limits.onSmaller(this.found)
    return true
  }
}

/** Arguments of `skein simulate` that run it again. */
export function replayArguments({ seed, options }: Minimised): string[] {
  const { nodes, seconds, without = [], strikes } = options
  return [
    ...['--seed', String(seed), '--nodes', String(nodes), '--seconds', String(seconds)],
    ...(without.length === 0 ? [] : ['--without', without.join(',')]),
    ...(strikes === undefined ? [] : ['--strikes', strikes.join(',') || 'none'])
  ]
}
