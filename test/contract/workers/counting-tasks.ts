import { threadId } from 'node:worker_threads'
import type { WorkerModule } from '../../../src/core/index.js'

/** Tasks that show what the port promises. */
export class CountingTasks {
  #total = 0

  add(amount: number): number {
    this.#total += amount
    return this.#total
  }

  echo(value: unknown): unknown {
    return value
  }

  fail(message: string): never {
    throw new Error(message)
  }

  raise(shared: SharedArrayBuffer): number {
    return Atomics.add(new Int32Array(shared), 0, 1) + 1
  }

  spin(untilRaised: SharedArrayBuffer): void {
    const flag = new Int32Array(untilRaised)
    while (Atomics.load(flag, 0) === 0);
  }

  exit(): void {
    process.exit(3)
  }

  thread(): number {
    return threadId
  }
}

export const createTasks = (): CountingTasks => new CountingTasks()

export const countingModule: WorkerModule<CountingTasks> = {
  name: 'counting',
  url: import.meta.url,
  createTasks
}
