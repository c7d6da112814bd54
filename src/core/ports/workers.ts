/**
 * Work off the main loop: named functions over cloneable values, which may remember what they were
 * told. Production runs them in a thread, the simulator in place.
 */
export type TasksOf<T> = { readonly [Name in keyof T]: (input: never) => unknown }

/** Where the tasks come from. */
export interface WorkerModule<T extends TasksOf<T>> {
  readonly name: string
  /** A module that exports `createTasks`, which answers a `T` or a promise of it; for threads. */
  readonly url: string
  /** The same tasks, run in place; deterministic and without waiting. */
  readonly createTasks: () => T
}

export interface TaskRunner<T extends TasksOf<T>> {
  /**
   * @throws what the task threw, as an error with its message
   * @throws WorkerLostError the thread ended or stood still; what the tasks remembered is gone,
   * and whether this one ran to its end is unknown
   * @throws BackpressureError too many wait; it was not run
   * @throws StoppedError closed; it was not run
   */
  run<Name extends keyof T & string>(
    name: Name,
    input: Parameters<T[Name]>[0]
  ): Promise<Awaited<ReturnType<T[Name]>>>
  /** What the tasks remember is dropped. */
  close(): Promise<void>
}

/**
 * 1. Tasks of a runner run one at a time, in the order of the calls.
 * 2. Inputs and answers are copies; memory of a SharedArrayBuffer is shared.
 * 3. `run` never calls the task before it returns.
 * 4. A task that throws fails its own call and no other.
 * 5. A lost thread is replaced: the next call finds fresh tasks.
 */
export interface Workers {
  open<T extends TasksOf<T>>(module: WorkerModule<T>): TaskRunner<T>
  /** Every runner is closed. */
  close(): Promise<void>
}
