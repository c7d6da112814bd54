import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import { EngineFailedError } from '../../core/errors.js'
import type { LogIndex, MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type {
  Command,
  Engine,
  EngineCapabilities,
  EngineOpenOptions,
  EngineRestore,
  EngineSnapshot,
  EngineState,
  PlanContext,
  PlanOutcome,
  PlanRequest,
  ReadOptions,
  ReadOutcome,
  RestoreOptions,
  SnapshotDescription,
  SnapshotStart,
  SystemWrite
} from '../../core/ports/engine.js'
import type { PrepareOutcome } from '../../core/ports/engine-prepare.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Statement } from '../../core/sql.js'
import type { ChannelOpener } from './channel.js'
import { CopiesDriver } from './copies-driver.js'
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
  readonly #copies: CopiesDriver
  readonly #timer: DeadlineTimer
  #writer: EngineRpc | null = null
  /** Oldest first. */
  readonly #plans = new Set<WatchedPlan>()
  /** Not after the end of the oldest plan's patience. */
  #armedAt: MonotonicMs = NEVER
  /** The commands of the open batch, as they were answered. */
  #planned: Command[] = []
  /** Those of a commit on its way: another writer must be told them. */
  #committing: readonly Command[] = []
  #failed: EngineFailedError | null = null
  /** Commands that a killed writer had planned and that are neither applied nor discarded. */
  #hasLostBatch = false
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
    this.#copies = new CopiesDriver(components.openChannel)
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  async open({ keepsRestore }: EngineOpenOptions = { keepsRestore: false }): Promise<EngineState> {
    this.#writer = this.#newWriter()
    await this.#writer.call({ op: 'sweep', keepsRestore })
    const state = await this.#writer.call<EngineState>({ op: 'open' })
    await this.#readers.open(state.appliedIndex)
    return state
  }

  capabilities(): EngineCapabilities {
    return { name: 'sqlite', interactiveTransactions: false, snapshots: true, language: 'sql' }
  }

  version(): number {
    return commandVersion
  }

  async plan({ statements }: PlanRequest, { deadline }: PlanContext): Promise<PlanOutcome> {
    if (this.#hasLostBatch) return lostBatch()
    const outcome = await this.#run<PlanOutcome>('plan', statements, deadline)
    if (outcome.kind === 'planned') this.#planned.push(outcome.command)
    return outcome
  }

  async prepare({ statements }: PlanRequest, { deadline }: PlanContext): Promise<PrepareOutcome> {
    if (this.#hasLostBatch) return lostBatch()
    return this.#run<PrepareOutcome>('prepare', statements, deadline)
  }

  async apply(
    commands: readonly Command[],
    writes: readonly SystemWrite[],
    index: LogIndex
  ): Promise<void> {
    if (this.#isPlanned(commands)) await this.#commit(commands, writes, index)
    else await this.#call({ op: 'apply', commands, writes, index })
    this.#forgetBatch()
    this.#readers.onApplied(index)
  }

  async discard(): Promise<void> {
    await this.#call({ op: 'discard' })
    this.#forgetBatch()
  }

  rehearse(): Promise<void> {
    return this.#call({ op: 'rehearse' })
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

  async snapshot(): Promise<EngineSnapshot> {
    const start = await this.beginSnapshot()
    await start.pin()
    return start.copy()
  }

  beginSnapshot(): Promise<SnapshotStart> {
    return this.#copies.begin()
  }

  restore(
    description: SnapshotDescription,
    options: RestoreOptions = { resumes: false }
  ): Promise<EngineRestore> {
    return this.#copies.restore(description, options, () => this.#swap())
  }

  async close(): Promise<void> {
    this.#timer.stop()
    await this.#copies.close()
    await this.#readers.close()
    const writer = this.#writer
    this.#writer = null
    if (writer === null) return
    if (this.#failed === null) await writer.call({ op: 'close' })
    await writer.kill()
  }

  /** Runs the statements of a caller's; the writer is replaced when they do not end. */
  #run<Outcome>(
    op: 'plan' | 'prepare',
    statements: readonly Statement[],
    deadline: MonotonicMs
  ): Promise<Outcome> {
    const budgetMs = Math.min(deadline - this.#clock.now(), Number.MAX_SAFE_INTEGER)
    return new Promise<Outcome>((resolve, reject) => {
      const plan: WatchedPlan = {
        body: { op, statements, budgetMs },
        deadline,
        resolve: (value) => {
          this.#unwatch(plan)
          resolve(value as Outcome)
        },
        reject: (error) => {
          this.#unwatch(plan)
          reject(error)
        }
      }
      this.#plans.add(plan)
      this.#send(plan)
      this.#armFor(plan.deadline)
    })
  }

  /** Nobody may have the database open while another takes its place. */
  async #swap(): Promise<EngineState> {
    await this.#readers.suspend()
    try {
      const state = await this.#call<EngineState>({ op: 'swap' })
      this.#forgetBatch()
      this.#readers.onApplied(state.appliedIndex)
      return state
    } finally {
      await this.#readers.resume()
    }
  }

  /** The writer keeps what it planned: it need not travel back. */
  async #commit(
    commands: readonly Command[],
    writes: readonly SystemWrite[],
    index: LogIndex
  ): Promise<void> {
    this.#committing = commands
    await this.#call({ op: 'commit', count: commands.length, writes, index })
    this.#committing = []
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
    this.#planned = []
  }

  #isPlanned(commands: readonly Command[]): boolean {
    if (this.#hasLostBatch || commands.length === 0) return false
    if (commands.length !== this.#planned.length) return false
    return commands.every((command, i) => command === this.#planned[i])
  }

  #unwatch(plan: WatchedPlan): void {
    this.#plans.delete(plan)
  }

  /** The timer is left where it is when plans end: it looks again when it fires. */
  #armFor(deadline: MonotonicMs): void {
    const at = after(deadline, this.#settings.deadlineGraceMs)
    if (at >= this.#armedAt) return
    this.#armedAt = at
    this.#timer.arm(at)
  }

  /** Calls are executed in order, so only the oldest plan can be the one that runs. */
  #handleTimeout(now: MonotonicMs): void {
    this.#armedAt = NEVER
    const [oldest] = this.#plans
    if (oldest === undefined || this.#writer === null || this.#held !== null) return
    const isLate = after(oldest.deadline, this.#settings.deadlineGraceMs) <= now
    if (!isLate) this.#armFor(oldest.deadline)
    else if (this.#writer.pending()[0] === oldest) this.#abandonWriter(this.#writer, oldest)
    else this.#armFor(now)
  }

  #abandonWriter(writer: EngineRpc, plan: WatchedPlan): void {
    const left = writer.pending().filter((pending) => pending !== plan)
    const isPlan = ({ body }: PendingCall) => body.op === 'plan' || body.op === 'prepare'
    this.#hasLostBatch = this.#planned.length > 0
    this.#held = left
      .filter((pending) => !isPlan(pending))
      .map((pending) => this.#forOtherWriter(pending))
    plan.resolve(timedOut())
    for (const pending of left.filter(isPlan)) pending.resolve(lostBatch())
    this.#logger.error({}, 'a request held the writer beyond its deadline')
    this.#replaceWriter(writer).catch((cause) => this.#fail('the writer did not open again', cause))
  }

  #forOtherWriter(pending: PendingCall): PendingCall {
    const { body, resolve, reject } = pending
    if (body.op !== 'commit') return pending
    const { writes, index } = body
    return { body: { op: 'apply', commands: this.#committing, writes, index }, resolve, reject }
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
    const [oldest] = this.#plans
    if (oldest !== undefined) this.#armFor(oldest.deadline)
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

type Failed = Extract<PlanOutcome, { kind: 'failed' }>

const timedOut = (): Failed => ({
  kind: 'failed',
  failure: {
    code: 'ERR_SKEIN_STATEMENT_TIMEOUT',
    message: 'the request ran beyond its deadline',
    statement: 0
  }
})

const lostBatch = (): Failed => ({
  kind: 'failed',
  failure: {
    code: 'ERR_SKEIN_BACKPRESSURE',
    message: 'the batch was given up for a request that did not end; try again',
    statement: 0
  }
})
