import {
  BackpressureError,
  InternalError,
  StoppedError,
  type TaskRunner,
  type TasksOf,
  type WorkerModule,
  type Workers
} from '../core/index.js'
import { runTask, tasksWaitingMax } from './task-host.js'

/**
 * The `Workers` port in place: each task runs in a later microtask of the caller's thread, so that
 * a run is repeated exactly. For the simulator, and for hosts that may not start threads.
 */
export class InlineWorkers implements Workers {
  readonly #runners = new Set<{ close(): Promise<void> }>()

  open<T extends TasksOf<T>>(module: WorkerModule<T>): TaskRunner<T> {
    const runner = new InlineRunner(module)
    this.#runners.add(runner)
    return runner
  }

  async close(): Promise<void> {
    for (const runner of this.#runners) await runner.close()
  }
}

class InlineRunner<T extends TasksOf<T>> implements TaskRunner<T> {
  readonly #name: string
  #tasks: T | null
  #waiting = 0

  constructor(module: WorkerModule<T>) {
    this.#name = module.name
    this.#tasks = module.createTasks()
  }

  async run<Name extends keyof T & string>(
    name: Name,
    input: Parameters<T[Name]>[0]
  ): Promise<Awaited<ReturnType<T[Name]>>> {
    if (this.#waiting >= tasksWaitingMax) {
      throw new BackpressureError(`${this.#waiting} tasks of ${this.#name} wait`)
    }
    const copy = structuredClone(input)
    this.#waiting++
    await null
    this.#waiting--
    if (this.#tasks === null) throw new StoppedError(`the workers of ${this.#name} are closed`)
    const outcome = runTask(this.#tasks, name, copy)
    if (!outcome.ok) throw new InternalError(outcome.message)
    return structuredClone(outcome.answer) as Awaited<ReturnType<T[Name]>>
  }

  async close(): Promise<void> {
    this.#tasks = null
  }
}
