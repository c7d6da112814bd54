/**
 * Many seeds over several processes: hands them out one by one, runs one in twenty a second time,
 * in another process where there is one, and compares the traces.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { addFaults, type FaultCounts, faultKinds, noFaults } from './fault-counts.js'
import { addFeatures, type FeatureCounts, noFeatures } from './feature-counts.js'
import { guardedExecArgv } from './run-guard.js'
import type { SimulationOptions } from './simulation.js'
import { Invariants, type Violation } from './violations.js'

export interface CampaignOptions extends SimulationOptions {
  readonly firstSeed: number
  readonly seeds: number
  readonly workers: number
  /** Runs `serveSeeds`. */
  readonly workerModule: URL
  /**
   * Real time without a sign of life after which a seed is given up: its process spins. What only
   * takes long, on a machine that has other work, goes on.
   */
  readonly seedTimeoutMs: number
  /** No more seeds are begun after the first violation. */
  readonly stopsAtViolation: boolean
  onProgress(progress: CampaignProgress): void
}

export interface CampaignProgress {
  readonly done: number
  readonly total: number
  readonly outcome: SeedOutcome
}

/** What a worker sends, beside outcomes, while its event loop turns. */
export const beat = 'beat'

/** What a worker answers for one seed. */
export interface SeedOutcome {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly hash: string
  readonly virtualMs: number
  readonly faults: FaultCounts
  readonly features: FeatureCounts
  readonly events: number
  readonly operationsOk: number
  readonly operationsUnknown: number
  readonly elections: number
  /** The vector of options that the seed drew, as JSON. */
  readonly swarm: string
}

export interface SeedViolation {
  readonly seed: number
  readonly invariant: string
  /** Virtual milliseconds. */
  readonly at: number
  readonly detail: string
}

/** The last line of `npm run simulate`. */
export interface CampaignReport {
  readonly ok: boolean
  readonly seeds: number
  readonly violations: readonly SeedViolation[]
  readonly virtual_seconds: number
  readonly wall_seconds: number
  /** Virtual seconds in a real one, all processes together. */
  readonly speed: number
  readonly operations: number
  readonly operations_unknown: number
  readonly elections: number
  readonly events: number
  /** Seeds that were run a second time. */
  readonly repeated: number
  readonly faults: FaultCounts
  /** How often parts of the product that only trouble brings to work were at work. */
  readonly features: FeatureCounts
  readonly hashes: Readonly<Record<string, string>>
}

/** From so many seeds on, a kind of fault that never struck is a fault of the campaign. */
const seedsForAllFaults = 100
const repeatEvery = 20
/**
 * What an event makes dies with it: next to nothing of so large a young space is moved. Every core
 * runs a seed, so that threads which collect beside it only take time from another one.
 */
const memoryArgv = ['--max-semi-space-size=64', '--single-threaded-gc']

interface Job {
  readonly seed: number
  readonly isRepeat: boolean
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  return new Campaign(options).run()
}

class Campaign {
  readonly #options: CampaignOptions
  readonly #jobs: Job[]
  readonly #total: number
  readonly #ranBy = new Map<number, number>()
  readonly #outcomes = new Map<number, SeedOutcome>()
  readonly #violations: SeedViolation[] = []
  #repeated = 0
  #done = 0

  constructor(options: CampaignOptions) {
    this.#options = options
    const { firstSeed, seeds } = options
    const all = Array.from({ length: seeds }, (_, i) => firstSeed + i)
    this.#jobs = all.flatMap((seed, i) => [
      { seed, isRepeat: false },
      ...(i >= repeatEvery && (i - repeatEvery) % repeatEvery === 0
        ? [{ seed: seed - repeatEvery, isRepeat: true }]
        : [])
    ])
    const last = Math.floor((seeds - 1) / repeatEvery) * repeatEvery
    this.#jobs.push({ seed: firstSeed + last, isRepeat: true })
    this.#total = this.#jobs.length
  }

  async run(): Promise<CampaignReport> {
    const startedAt = performance.now()
    const { workers } = this.#options
    await Promise.all(Array.from({ length: workers }, (_, number) => this.#work(number)))
    return this.#report((performance.now() - startedAt) / 1_000)
  }

  /** One process after another, should one have to be killed. */
  async #work(number: number): Promise<void> {
    let worker: ChildProcess | null = null
    for (let job = this.#take(number); job !== null; job = this.#take(number)) {
      worker ??= fork(this.#options.workerModule, {
        execArgv: [...guardedExecArgv, ...memoryArgv],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc']
      })
      const outcome = await this.#runOn(worker, job)
      if (outcome === null) {
        worker.kill('SIGKILL')
        worker = null
      } else {
        this.#record(job, outcome, number)
      }
    }
    worker?.kill()
  }

  /** A repetition goes to another process than the first run, as long as there are several. */
  #take(worker: number): Job | null {
    if (this.#options.stopsAtViolation && this.#violations.length > 0) return null
    const isMine = (job: Job) => !job.isRepeat || this.#ranBy.get(job.seed) !== worker
    const isReady = (job: Job) => !job.isRepeat || this.#ranBy.has(job.seed)
    const at = this.#jobs.findIndex((job) => isReady(job) && isMine(job))
    const found = at >= 0 ? at : this.#jobs.findIndex(isReady)
    const job = found >= 0 ? this.#jobs.splice(found, 1)[0] : undefined
    return job ?? null
  }

  #runOn(worker: ChildProcess, job: Job): Promise<SeedOutcome | null> {
    const { nodes, seconds, without, strikes, seedTimeoutMs } = this.#options
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#fail(job.seed, Invariants.DrainBudget, `no sign of life in ${seedTimeoutMs} ms`)
        settle(null)
      }, seedTimeoutMs)
      const onExit = (code: number | null, signal: string | null) => {
        this.#fail(job.seed, Invariants.Unhandled, `the process ended: ${code ?? signal}`)
        settle(null)
      }
      const onMessage = (message: unknown) => {
        if (message === beat) timer.refresh()
        else settle(message as SeedOutcome)
      }
      const settle = (outcome: SeedOutcome | null) => {
        clearTimeout(timer)
        worker.off('exit', onExit)
        worker.off('message', onMessage)
        resolve(outcome)
      }
      worker.once('exit', onExit)
      worker.on('message', onMessage)
      worker.send({ seed: job.seed, nodes, seconds, without, strikes })
    })
  }

  #record(job: Job, outcome: SeedOutcome, worker: number): void {
    this.#done++
    if (job.isRepeat) {
      this.#repeated++
      const first = this.#outcomes.get(job.seed)
      if (first !== undefined && first.hash !== outcome.hash) {
        const detail = `${first.hash}, then ${outcome.hash}`
        this.#fail(job.seed, Invariants.Determinism, detail)
      }
    } else {
      this.#ranBy.set(job.seed, worker)
      this.#outcomes.set(job.seed, outcome)
      for (const violation of outcome.violations) {
        this.#violations.push({ seed: job.seed, ...violation })
      }
    }
    this.#options.onProgress({ done: this.#done, total: this.#total, outcome })
  }

  #fail(seed: number, invariant: string, detail: string): void {
    this.#violations.push({ seed, invariant, at: 0, detail })
  }

  #report(wallSeconds: number): CampaignReport {
    const outcomes = [...this.#outcomes.values()].sort((a, b) => a.seed - b.seed)
    const faults = noFaults()
    for (const outcome of outcomes) addFaults(faults, outcome.faults)
    const features = noFeatures()
    for (const outcome of outcomes) addFeatures(features, outcome.features)
    const sum = (of: (outcome: SeedOutcome) => number) =>
      outcomes.reduce((total, outcome) => total + of(outcome), 0)
    const virtualSeconds = sum(({ virtualMs }) => virtualMs) / 1_000
    const struckAll = faultKinds.every((kind) => faults[kind] > 0)
    return {
      ok:
        this.#violations.length === 0 &&
        outcomes.length === this.#options.seeds &&
        (struckAll || this.#options.seeds < seedsForAllFaults),
      seeds: outcomes.length,
      violations: this.#violations,
      virtual_seconds: Math.round(virtualSeconds),
      wall_seconds: Math.round(wallSeconds * 10) / 10,
      speed: Math.round(virtualSeconds / wallSeconds),
      operations: sum(({ operationsOk }) => operationsOk),
      operations_unknown: sum(({ operationsUnknown }) => operationsUnknown),
      elections: sum(({ elections }) => elections),
      events: sum(({ events }) => events),
      repeated: this.#repeated,
      faults,
      features,
      hashes: Object.fromEntries(outcomes.map(({ seed, hash }) => [String(seed), hash]))
    }
  }
}
