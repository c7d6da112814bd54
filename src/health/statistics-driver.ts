import type { Config } from '../core/config/schema.js'
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import type { Distribution } from '../core/health-views.js'
import type { NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { TaskRunner, Workers } from '../core/ports/workers.js'
import type { HealthTasks } from './health-tasks.js'
import { healthWorker } from './health-worker.js'
import type { CostTable, RelayProposal } from './route-search.js'
import { createSampleRing, publishBatchLength, SampleWriter } from './sample-ring.js'

export interface StatisticsCounts {
  samples: number
  samplesLost: number
  workerFailures: number
}

/** The main loop's side of the worker: writes samples, has them collected, survives its loss. */
export class Statistics {
  readonly counts: StatisticsCounts = { samples: 0, samplesLost: 0, workerFailures: 0 }
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #config: Config['health']
  readonly #runner: TaskRunner<HealthTasks>
  readonly #ring: SharedArrayBuffer
  readonly #writer: SampleWriter
  readonly #timer: DeadlineTimer
  #isCollectDue = false
  #isStopped = false

  constructor(
    components: { readonly clock: Clock; readonly workers: Workers; readonly logger: Logger },
    config: Config['health']
  ) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#config = config
    this.#runner = components.workers.open(healthWorker)
    this.#ring = createSampleRing(slotsFor(config.sampleSlots))
    this.#writer = new SampleWriter(this.#ring)
    this.#timer = new DeadlineTimer(components.clock, () => void this.#collect())
  }

  /** Costs the main loop some tens of nanoseconds. */
  record(tag: number, ms: number): void {
    this.#writer.write(tag, ms)
    if (!this.#isCollectDue) this.#armCollect()
  }

  /** By tag; null: the worker could not be asked, what was known stays. */
  async distributions(): Promise<ReadonlyMap<number, Distribution> | null> {
    await this.#collect()
    return await this.#ask(() => this.#runner.run('distributions', { nowMs: this.#clock.now() }))
  }

  async forget(tags: readonly number[]): Promise<void> {
    if (tags.length > 0) await this.#ask(() => this.#runner.run('forget', { tags }))
  }

  /** Null: the worker could not be asked. */
  searchRoutes(table: CostTable, self: NodeId): Promise<RelayProposal[] | null> {
    return this.#ask(() => this.#runner.run('searchRoutes', { table, self }))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer.stop()
    await this.#runner.close()
  }

  #armCollect(): void {
    this.#isCollectDue = true
    this.#timer.arm(after(this.#clock.now(), this.#config.collectIntervalMs))
  }

  async #collect(): Promise<void> {
    this.#writer.publish()
    this.#isCollectDue = false
    const collected = await this.#ask(() =>
      this.#runner.run('collect', {
        ring: this.#ring,
        nowMs: this.#clock.now(),
        windowMs: this.#config.percentileWindowMs
      })
    )
    if (collected === null) return
    this.counts.samples += collected.samples
    this.counts.samplesLost = collected.lost
  }

  /** A worker that fails is replaced by its port; here it is counted, and asked again next time. */
  async #ask<T>(ask: () => Promise<T>): Promise<T | null> {
    if (this.#isStopped) return null
    try {
      return await ask()
    } catch (error) {
      if (this.#isStopped) return null
      this.counts.workerFailures++
      this.#logger.warn({ error }, 'the health worker did not answer')
      return null
    }
  }
}

function slotsFor(samples: number): number {
  let slots = 4 * publishBatchLength
  while (slots < samples) slots *= 2
  return slots
}
