import { BoundedQueue } from '../../core/bounded-queue.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  EngineFailedError,
  RequestTimeoutError
} from '../../core/errors.js'
import type { LogIndex, MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { ReadOptions, ReadOutcome } from '../../core/ports/engine.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Statement } from '../../core/sql.js'
import type { ChannelOpener, EngineCallBody } from './channel.js'
import type { SqliteEngineSettings } from './options.js'
import { EngineRpc } from './rpc-driver.js'

interface ReadJob {
  readonly statements: readonly Statement[] | null
  readonly atLeastIndex: number
  readonly deadline: MonotonicMs
  isDone: boolean
  resolve(value: unknown): void
  reject(error: Error): void
}

interface Reader {
  readonly rpc: EngineRpc
  job: ReadJob | null
}

/**
 * Readers, and the reads that wait for one or for their index. A read that does not end by its
 * deadline is answered, and its reader replaced; one that cannot be stopped counts against a bound.
 */
export class ReaderPoolDriver {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #openChannel: ChannelOpener
  readonly #settings: SqliteEngineSettings
  readonly #timer: DeadlineTimer
  readonly #ready: BoundedQueue<ReadJob>
  #early: ReadJob[] = []
  #readers: Reader[] = []
  #abandoned = 0
  #appliedIndex = 0
  #armedAt: MonotonicMs = NEVER
  #isClosed = false
  /** While no connection may be open. */
  #isSuspended = false
  #onIdle: (() => void) | null = null

  constructor(
    components: { clock: Clock; logger: Logger; openChannel: ChannelOpener },
    settings: SqliteEngineSettings
  ) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#openChannel = components.openChannel
    this.#settings = settings
    this.#ready = new BoundedQueue(settings.readQueueLengthMax)
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  async open(appliedIndex: number): Promise<void> {
    this.#appliedIndex = appliedIndex
    for (let i = 0; i < this.#settings.readers; i++) this.#addReader()
    await Promise.all(this.#readers.map(({ rpc }) => rpc.call({ op: 'open' })))
  }

  read(statements: readonly Statement[], options: ReadOptions): Promise<ReadOutcome> {
    return this.#submit(statements, options) as Promise<ReadOutcome>
  }

  checksum(): Promise<{ index: LogIndex; hash: string }> {
    const options = { atLeastIndex: 0 as LogIndex, deadline: NEVER }
    return this.#submit(null, options) as Promise<{ index: LogIndex; hash: string }>
  }

  onApplied(index: number): void {
    this.#appliedIndex = index
    if (this.#early.length === 0) return
    const early = this.#early
    this.#early = []
    for (const job of early) this.#enqueue(job)
    this.#dispatch()
  }

  /** Resolves when what runs has ended and no connection is open; what is asked for waits. */
  async suspend(): Promise<void> {
    this.#isSuspended = true
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
      this.#dispatch()
    })
    const readers = this.#readers
    this.#readers = []
    for (const { rpc } of readers) {
      await rpc.call({ op: 'close' })
      await rpc.kill()
    }
  }

  /** The database is another one, perhaps. */
  async resume(): Promise<void> {
    this.#isSuspended = false
    const missing = this.#settings.readers - Math.min(this.#abandoned, this.#settings.readers)
    for (let i = 0; i < missing; i++) this.#addReader()
    await Promise.all(this.#readers.map(({ rpc }) => rpc.call({ op: 'open' })))
    this.#dispatch()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer.stop()
    const error = new EngineFailedError('the engine is closed')
    for (const job of [...this.#early, ...this.#ready.takeAll()]) this.#fail(job, error)
    this.#early = []
    const readers = this.#readers
    this.#readers = []
    for (const { rpc, job } of readers) {
      if (job === null) await rpc.call({ op: 'close' })
      else this.#fail(job, error)
      await rpc.kill()
    }
  }

  #submit(statements: readonly Statement[] | null, options: ReadOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new EngineFailedError('the engine is closed')
      const { atLeastIndex, deadline, signal } = options
      const job: ReadJob = { statements, atLeastIndex, deadline, isDone: false, resolve, reject }
      const cancel = () => this.#fail(job, new CancelledError('the read was cancelled'))
      if (signal?.aborted) return cancel()
      signal?.addEventListener('abort', cancel, { once: true })
      this.#enqueue(job)
      this.#armFor(deadline)
      this.#dispatch()
    })
  }

  #enqueue(job: ReadJob): void {
    if (job.isDone) return
    if (this.#early.length + this.#ready.length >= this.#settings.readQueueLengthMax) {
      this.#fail(job, new BackpressureError('too many reads wait for this engine'))
    } else if (job.atLeastIndex > this.#appliedIndex) this.#early.push(job)
    else this.#ready.push(job)
  }

  #dispatch(): void {
    if (this.#isSuspended) {
      if (this.#readers.some(({ job }) => job !== null)) return
      this.#onIdle?.()
      this.#onIdle = null
      return
    }
    for (const reader of this.#readers) {
      if (reader.job !== null) continue
      let job = this.#ready.shift()
      while (job?.isDone) job = this.#ready.shift()
      if (job === undefined) return
      this.#start(reader, job)
    }
    if (this.#readers.length === 0) this.#refuseAll()
  }

  #start(reader: Reader, job: ReadJob): void {
    reader.job = job
    const budgetMs = Math.min(job.deadline - this.#clock.now(), Number.MAX_SAFE_INTEGER)
    const body: EngineCallBody =
      job.statements === null
        ? { op: 'checksum' }
        : { op: 'read', statements: job.statements, budgetMs }
    const done = () => {
      reader.job = null
      this.#dispatch()
    }
    reader.rpc.send({
      body,
      resolve: (value) => {
        this.#settle(job, value)
        done()
      },
      reject: (error) => {
        this.#fail(job, error)
        done()
      }
    })
  }

  #handleTimeout(now: MonotonicMs): void {
    this.#armedAt = NEVER
    const late = (job: ReadJob) => !job.isDone && job.deadline <= now
    for (const job of this.#early) if (late(job)) this.#fail(job, notApplied(job))
    for (const job of this.#ready) if (late(job)) this.#settle(job, timedOut())
    this.#early = this.#early.filter((job) => !job.isDone)
    for (const reader of [...this.#readers]) {
      const { job } = reader
      if (job === null || after(job.deadline, this.#settings.deadlineGraceMs) > now) continue
      this.#settle(job, timedOut())
      this.#replace(reader)
    }
    for (const job of [...this.#early, ...this.#ready]) if (!job.isDone) this.#armFor(job.deadline)
    for (const { job } of this.#readers) {
      if (job !== null) this.#armFor(after(job.deadline, this.#settings.deadlineGraceMs))
    }
    this.#dispatch()
  }

  #replace(reader: Reader): void {
    this.#readers = this.#readers.filter((other) => other !== reader)
    this.#abandoned++
    this.#logger.warn({ abandoned: this.#abandoned }, 'a read ran beyond its deadline')
    // Its first call may be waited for: whoever opens readers need not wait for this one.
    for (const { body, resolve } of reader.rpc.pending()) if (body.op === 'open') resolve(undefined)
    const mayReplace = !this.#isSuspended && this.#abandoned <= this.#settings.abandonedReadersMax
    if (mayReplace) this.#addReader()
    reader.rpc.kill().then((isStopped) => {
      if (!isStopped || this.#isClosed) return
      this.#abandoned--
      const isShort = !this.#isSuspended && this.#readers.length < this.#settings.readers
      if (isShort) this.#addReader()
      this.#dispatch()
    }, this.#noteFault)
  }

  #addReader(): void {
    const reader: Reader = {
      job: null,
      rpc: new EngineRpc(this.#openChannel, 'reader', (reason) => {
        this.#readers = this.#readers.filter((other) => other !== reader)
        this.#logger.error({ reason }, 'a reader ended')
        if (!this.#isClosed && this.#readers.length === 0) this.#refuseAll()
      })
    }
    this.#readers.push(reader)
  }

  readonly #noteFault = (error: unknown): void => {
    this.#logger.error({ error }, 'a reader did not stop')
  }

  /** Every reader is stuck or gone: waiting would be for nothing. */
  #refuseAll(): void {
    for (const job of this.#ready.takeAll()) {
      this.#fail(job, new BackpressureError('all readers are stuck in statements that do not end'))
    }
  }

  #armFor(deadline: MonotonicMs): void {
    if (deadline >= this.#armedAt) return
    this.#armedAt = deadline
    this.#timer.arm(deadline)
  }

  #settle(job: ReadJob, value: unknown): void {
    if (job.isDone) return
    job.isDone = true
    job.resolve(value)
  }

  #fail(job: ReadJob, error: Error): void {
    if (job.isDone) return
    job.isDone = true
    job.reject(error)
  }
}

const timedOut = (): ReadOutcome => ({
  kind: 'failed',
  failure: {
    code: 'ERR_SKEIN_STATEMENT_TIMEOUT',
    message: 'the request ran beyond its deadline',
    statement: 0
  }
})

const notApplied = ({ atLeastIndex }: ReadJob): RequestTimeoutError =>
  new RequestTimeoutError(`index ${atLeastIndex} was not applied in time`)
