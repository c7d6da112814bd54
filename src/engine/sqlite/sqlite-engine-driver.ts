import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import { EngineFailedError } from '../../core/errors.js'
import type { LogIndex, MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type {
  Command,
  Engine,
  EngineCapabilities,
  EngineState,
  PlanContext,
  PlanOutcome,
  PlanRequest,
  ReadOptions,
  ReadOutcome,
  SystemWrite
} from '../../core/ports/engine.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Statement } from '../../core/sql.js'
import type { ChannelOpener } from './channel.js'
import type { SqliteEngineSettings } from './options.js'
import { ReaderPoolDriver } from './reader-pool-driver.js'
import { commandVersion } from './row-change.js'
import { EngineRpc, type PendingCall } from './rpc-driver.js'

interface WatchedPlan extends PendingCall {
  readonly deadline: MonotonicMs
}

/**
 * The engine by messages to one writer and some readers. A plan that its writer does not end is
 * answered with a time-out; the writer is killed where it can be (its open batch rolls back) and
 * opened again, and the replica stops where it cannot.
 */
export class SqliteEngineDriver implements Engine {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #openChannel: ChannelOpener
  readonly #settings: SqliteEngineSettings
  readonly #readers: ReaderPoolDriver
  readonly #timer: DeadlineTimer
  #writer: EngineRpc | null = null
  #plans: WatchedPlan[] = []
  #failed: EngineFailedError | null = null
  /** Commands that a killed writer had planned and that are neither applied nor discarded. */
  #hasLostBatch = false
  #hasOpenBatch = false
  /** Calls that wait until a killed writer is back. */
  #held: PendingCall[] | null = null

  constructor(
    components: { clock: Clock; logger: Logger; openChannel: ChannelOpener },
    settings: SqliteEngineSettings
  ) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#openChannel = components.openChannel
    this.#settings = settings
    this.#readers = new ReaderPoolDriver(components, settings)
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  async open(): Promise<EngineState> {
    this.#writer = this.#newWriter()
    const state = await this.#writer.call<EngineState>({ op: 'open' })
    await this.#readers.open(state.appliedIndex)
    return state
  }

  capabilities(): EngineCapabilities {
    return { name: 'sqlite', interactiveTransactions: false, snapshots: false, language: 'sql' }
  }

  version(): number {
    return commandVersion
  }

  async plan({ statements }: PlanRequest, { deadline }: PlanContext): Promise<PlanOutcome> {
    if (this.#hasLostBatch) return lostBatch()
    const budgetMs = Math.min(deadline - this.#clock.now(), Number.MAX_SAFE_INTEGER)
    const outcome = await new Promise<PlanOutcome>((resolve, reject) => {
      const plan: WatchedPlan = {
        body: { op: 'plan', statements, budgetMs },
        deadline,
        resolve: (value) => {
          this.#unwatch(plan)
          resolve(value as PlanOutcome)
        },
        reject: (error) => {
          this.#unwatch(plan)
          reject(error)
        }
      }
      this.#plans.push(plan)
      this.#send(plan)
      if (this.#plans.length === 1) this.#arm()
    })
    if (outcome.kind === 'planned') this.#hasOpenBatch = true
    return outcome
  }

  async apply(
    commands: readonly Command[],
    writes: readonly SystemWrite[],
    index: LogIndex
  ): Promise<void> {
    await this.#call({ op: 'apply', commands, writes, index })
    this.#forgetBatch()
    this.#readers.onApplied(index)
  }

  async discard(): Promise<void> {
    await this.#call({ op: 'discard' })
    this.#forgetBatch()
  }

  read(statements: readonly Statement[], options: ReadOptions): Promise<ReadOutcome> {
    return this.#readers.read(statements, options)
  }

  readSystem(prefix: string): Promise<readonly SystemWrite[]> {
    return this.#call({ op: 'readSystem', prefix })
  }

  flush(): Promise<LogIndex> {
    return this.#call({ op: 'flush' })
  }

  checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }> {
    return this.#readers.checksum()
  }

  async close(): Promise<void> {
    this.#timer.stop()
    await this.#readers.close()
    const writer = this.#writer
    this.#writer = null
    if (writer === null) return
    if (this.#failed === null) await writer.call({ op: 'close' })
    await writer.kill()
  }

  #call<T>(body: PendingCall['body']): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#send({ body, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  #send(pending: PendingCall): void {
    if (this.#held !== null) this.#held.push(pending)
    else if (this.#writer !== null && this.#failed === null) this.#writer.send(pending)
    else pending.reject(this.#failed ?? new EngineFailedError('the engine is not open'))
  }

  #forgetBatch(): void {
    this.#hasLostBatch = false
    this.#hasOpenBatch = false
  }

  #unwatch(plan: WatchedPlan): void {
    this.#plans = this.#plans.filter((other) => other !== plan)
    this.#arm()
  }

  /** Calls are executed in order, so only the oldest plan can be the one that runs. */
  #arm(): void {
    const oldest = this.#plans[0]
    this.#timer.arm(
      oldest === undefined ? NEVER : after(oldest.deadline, this.#settings.deadlineGraceMs)
    )
  }

  #handleTimeout(now: MonotonicMs): void {
    const oldest = this.#plans[0]
    if (oldest === undefined || this.#writer === null || this.#held !== null) return
    if (this.#writer.pending()[0] === oldest) this.#abandonWriter(this.#writer, oldest)
    else this.#timer.arm(after(now, this.#settings.deadlineGraceMs))
  }

  #abandonWriter(writer: EngineRpc, plan: WatchedPlan): void {
    const left = writer.pending().filter((pending) => pending !== plan)
    const isPlan = ({ body }: PendingCall) => body.op === 'plan'
    this.#hasLostBatch = this.#hasOpenBatch
    this.#held = left.filter((pending) => !isPlan(pending))
    plan.resolve(timedOut())
    for (const pending of left.filter(isPlan)) pending.resolve(lostBatch())
    this.#logger.error({}, 'a request held the writer beyond its deadline')
    this.#replaceWriter(writer).catch((cause) => this.#fail('the writer did not open again', cause))
  }

  async #replaceWriter(writer: EngineRpc): Promise<void> {
    if (!(await writer.kill())) {
      this.#fail('a statement that cannot be stopped holds the writer', null)
      return
    }
    this.#writer = this.#newWriter()
    const { appliedIndex } = await this.#writer.call<EngineState>({ op: 'open' })
    const held = this.#held ?? []
    this.#held = null
    for (const pending of held) {
      const { body } = pending
      if (body.op === 'apply' && body.index <= appliedIndex) pending.resolve(undefined)
      else this.#send(pending)
    }
    this.#arm()
  }

  #newWriter(): EngineRpc {
    return new EngineRpc(this.#openChannel, 'writer', (reason) => this.#fail(reason, null))
  }

  #fail(reason: string, cause: unknown): void {
    this.#failed ??= new EngineFailedError(reason, cause === null ? {} : { cause })
    this.#logger.error({ reason }, 'the engine failed')
    const held = this.#held ?? []
    this.#held = null
    for (const { reject } of held) reject(this.#failed)
  }
}

const timedOut = (): PlanOutcome => ({
  kind: 'failed',
  failure: {
    code: 'ERR_SKEIN_STATEMENT_TIMEOUT',
    message: 'the request ran beyond its deadline',
    statement: 0
  }
})

const lostBatch = (): PlanOutcome => ({
  kind: 'failed',
  failure: {
    code: 'ERR_SKEIN_BACKPRESSURE',
    message: 'the batch was given up for a request that did not end; try again',
    statement: 0
  }
})
