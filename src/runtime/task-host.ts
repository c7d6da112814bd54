import type { TasksOf } from '../core/index.js'

/** Calls of one runner that have not been answered; further ones are refused. */
export const tasksWaitingMax = 256

/** What a thread is asked to do. */
export interface TaskCall {
  /** The module whose `createTasks` makes the tasks. */
  readonly url: string
  /** Which runner asks; each has tasks of its own. */
  readonly runner: number
  /** Null: the runner is closed, forget its tasks. */
  readonly name: string | null
  readonly input: unknown
}

/** A task's own failure is an answer, so that it cannot be taken for the thread's. */
export type TaskOutcome =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly message: string }

export function runTask(tasks: object, name: string, input: unknown): TaskOutcome {
  const task = (tasks as TasksOf<Record<string, (input: unknown) => unknown>>)[name]
  if (typeof task !== 'function') return { ok: false, message: `there is no task ${name}` }
  try {
    return { ok: true, answer: (task as (input: unknown) => unknown).call(tasks, input) }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) }
  }
}

/** The thread's side: makes each runner's tasks at their first call and keeps them. */
export class TaskHost {
  readonly #tasks = new Map<number, Promise<object>>()

  async handle({ url, runner, name, input }: TaskCall): Promise<TaskOutcome> {
    if (name === null) {
      this.#tasks.delete(runner)
      return { ok: true, answer: null }
    }
    let tasks = this.#tasks.get(runner)
    if (tasks === undefined) {
      tasks = createTasks(url)
      this.#tasks.set(runner, tasks)
    }
    return runTask(await tasks, name, input)
  }
}

async function createTasks(url: string): Promise<object> {
  const module = (await import(url)) as { createTasks(): object | Promise<object> }
  return await module.createTasks()
}
