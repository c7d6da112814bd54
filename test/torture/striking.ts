/** Carries out what is planned: one strike after the other, or several at once. */
import type { SplittableRandom } from '../../src/core/index.js'
import { type Family, familyOf, planWaves } from './at-once.js'
import type { Load } from './load.js'
import { type NemesisKind, planStrikes, type Strike, strike } from './nemesis.js'
import { pause, type TortureCluster } from './torture-cluster.js'

export interface StrikingOptions {
  readonly kinds: readonly NemesisKind[]
  readonly durationMs: number
  /** Strikes that are under way at the same time. */
  readonly atOnce: number
}

export type Counts = Readonly<Partial<Record<NemesisKind, number>>>

interface Parts {
  readonly cluster: TortureCluster
  readonly load: Load
  readonly random: SplittableRandom
  readonly tell: (line: string) => void
}

export class Striking {
  readonly #parts: Parts
  readonly #options: StrikingOptions
  readonly #underWay = new Map<Family, Promise<void>>()
  readonly #counts: Partial<Record<NemesisKind, number>> = {}
  #overlapped = 0
  #failure: unknown = null

  constructor(parts: Parts, options: StrikingOptions) {
    this.#parts = parts
    this.#options = options
  }

  get counts(): Counts {
    return this.#counts
  }

  /** Strikes that began while another was under way. */
  get overlapped(): number {
    return this.#overlapped
  }

  /** Resolves when the time is over and everything is healed. */
  async run(): Promise<void> {
    const { random, cluster } = this.#parts
    const { kinds, durationMs, atOnce } = this.#options
    const startedAt = performance.now()
    const planned =
      atOnce === 1
        ? planStrikes(random, kinds, durationMs)
        : planWaves(random, kinds, { durationMs, atOnce })
    for (const one of planned) {
      // On a machine that is too slow for all of them the last ones are left out.
      if (performance.now() - startedAt > durationMs || this.#failure !== null) break
      await pause(Math.max(0, one.atMs - (performance.now() - startedAt)))
      if (atOnce === 1) await this.#strike(one)
      else this.#begin(one)
    }
    await pause(Math.max(0, durationMs - (performance.now() - startedAt)))
    await Promise.all(this.#underWay.values())
    if (this.#failure !== null) throw this.#failure
    // Whoever was struck by two may have been healed by one alone.
    for (const node of cluster.nodes) node.resume()
    await cluster.hosts?.heal()
    await cluster.startAll()
  }

  /** Unless one of its family is still under way: then there would not be more at once. */
  #begin(planned: Strike): void {
    const family = familyOf(planned.kind)
    if (this.#underWay.has(family)) return
    if (this.#underWay.size > 0) this.#overlapped++
    const done = this.#strike(planned)
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#underWay.delete(family))
    this.#underWay.set(family, done)
  }

  async #strike(planned: Strike): Promise<void> {
    const { cluster, load, random, tell } = this.#parts
    const before = load.done
    const whom = await strike(cluster, planned, random.split(planned.name))
    this.#counts[planned.kind] = (this.#counts[planned.kind] ?? 0) + 1
    tell(lineOf(planned, whom, load.done - before))
  }
}

const lineOf = ({ kind, atMs, holdMs }: Strike, whom: string, done: number): string =>
  `${Math.round(atMs / 1_000)} s ${kind} ${whom} for ${holdMs} ms: ${done} operations meanwhile`
