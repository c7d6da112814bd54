import { Piscina } from 'piscina'
import {
  BackpressureError,
  InternalError,
  type Logger,
  StoppedError,
  type TaskRunner,
  type TasksOf,
  WorkerLostError,
  type WorkerModule,
  type Workers
} from '../core/index.js'
import { type TaskCall, type TaskOutcome, tasksWaitingMax } from './task-host.js'

export interface NodeWorkersOptions {
  /** A task that has not answered after this loses its thread. */
  readonly taskTimeoutMs?: number
}

const taskTimeoutDefaultMs = 10_000
const entry = new URL('./task-thread.js', import.meta.url).href

/** The `Workers` port on Node.js: one piscina pool of one thread, begun with the first task. */
export class NodeWorkers implements Workers {
  readonly #logger: Logger
  readonly #taskTimeoutMs: number
  #pool: Piscina<TaskCall, TaskOutcome> | null = null
  #runners = 0
  #isClosed = false

  constructor(components: { readonly logger: Logger }, options: NodeWorkersOptions = {}) {
    this.#logger = components.logger
    this.#taskTimeoutMs = options.taskTimeoutMs ?? taskTimeoutDefaultMs
  }

  open<T extends TasksOf<T>>(module: WorkerModule<T>): TaskRunner<T> {
    const runner = this.#runners++
    return new NodeRunner<T>(module, (name, input) =>
      // A thread that was never begun has nothing to forget.
      name === null && this.#pool === null
        ? Promise.resolve({ ok: true, answer: null })
        : this.#call({ url: module.url, runner, name, input })
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const pool = this.#pool
    this.#pool = null
    await pool?.destroy()
  }

  /** @throws WorkerLostError, StoppedError */
  async #call(call: TaskCall): Promise<TaskOutcome> {
    if (this.#isClosed) throw new StoppedError('the workers are closed')
    this.#pool ??= this.#openPool()
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), this.#taskTimeoutMs)
    timer.unref()
    try {
      return await this.#pool.run(call, { signal: stop.signal })
    } catch (cause) {
      if (this.#isClosed) throw new StoppedError('the workers are closed', { cause })
      const why = stop.signal.aborted ? `did not answer in ${this.#taskTimeoutMs} ms` : 'ended'
      this.#logger.warn({ error: cause, task: call.name }, `a worker thread ${why}`)
      throw new WorkerLostError(`the worker thread ${why}`, { cause })
    } finally {
      clearTimeout(timer)
    }
  }

  #openPool(): Piscina<TaskCall, TaskOutcome> {
    const pool = new Piscina<TaskCall, TaskOutcome>({
      filename: entry,
      name: 'handleCall',
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // A blocked wait would keep the thread from its own timers and messages.
      atomics: 'disabled',
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' }
    })
    pool.on('error', (error) => this.#logger.warn({ error }, 'an idle worker thread ended'))
    return pool
  }
}

class NodeRunner<T extends TasksOf<T>> implements TaskRunner<T> {
  readonly #name: string
  readonly #call: (name: string | null, input: unknown) => Promise<TaskOutcome>
  /** Settles, well or not, when the call before is answered. */
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #isClosed = false

  constructor(
    module: WorkerModule<T>,
    call: (name: string | null, input: unknown) => Promise<TaskOutcome>
  ) {
    this.#name = module.name
    this.#call = call
  }

  async run<Name extends keyof T & string>(
    name: Name,
    input: Parameters<T[Name]>[0]
  ): Promise<Awaited<ReturnType<T[Name]>>> {
    if (this.#isClosed) throw new StoppedError(`the workers of ${this.#name} are closed`)
    if (this.#waiting >= tasksWaitingMax) {
      throw new BackpressureError(`${this.#waiting} tasks of ${this.#name} wait`)
    }
    this.#waiting++
    try {
      const outcome = await this.#inTurn(name, input)
      if (!outcome.ok) throw new InternalError(outcome.message)
      return outcome.answer as Awaited<ReturnType<T[Name]>>
    } finally {
      this.#waiting--
    }
  }

  /**
   * The thread forgets this runner's tasks when it comes to it: a task that stands still holds
   * nobody up. A thread that is gone has forgotten them already.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#inTurn(null, null).catch(() => {})
  }

  /** The pool keeps no order among tasks that may be given up, so it sees one of ours at a time. */
  #inTurn(name: string | null, input: unknown): Promise<TaskOutcome> {
    const copy = structuredClone(input)
    const outcome = this.#turn.then(() => this.#call(name, copy))
    this.#turn = outcome.catch(() => {})
    return outcome
  }
}
