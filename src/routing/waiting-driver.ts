import { CancelledError } from '../core/errors.js'
import type { MonotonicMs } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'

/** Pauses of queries: each ends at its time, or when all are woken, or when its caller cancels. */
export class WaitingDriver {
  readonly #clock: Clock
  readonly #pauses = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get waiting(): number {
    return this.#pauses.size
  }

  /** @throws CancelledError */
  pauseUntil(at: MonotonicMs, signal?: AbortSignal): Promise<void> {
    const paused = new Promise<void>((resolve) => {
      const end = () => {
        timer.cancel()
        this.#pauses.delete(end)
        resolve()
      }
      const timer = this.#clock.schedule(at, end)
      this.#pauses.add(end)
    })
    return cancellable(paused, signal)
  }

  /**
   * Resolves when `shared` settles either way: true; or at `at`, or when all are woken: false.
   * @throws CancelledError
   */
  settledBy(shared: Promise<unknown>, at: MonotonicMs, signal?: AbortSignal): Promise<boolean> {
    const settled = new Promise<boolean>((resolve) => {
      const end = (isSettled: boolean) => {
        timer.cancel()
        this.#pauses.delete(wake)
        resolve(isSettled)
      }
      const wake = () => end(false)
      const timer = this.#clock.schedule(at, wake)
      this.#pauses.add(wake)
      shared.then(
        () => end(true),
        () => end(true)
      )
    })
    return cancellable(settled, signal)
  }

  /** Something changed that the paused ones may have waited for. */
  wakeAll(): void {
    for (const end of [...this.#pauses]) end()
  }
}

/** Rejects when the signal aborts first; what was begun goes on unobserved. */
export async function cancellable<T>(begun: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return begun
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new CancelledError('cancelled by the caller', { cause: signal.reason }))
  })
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await firstOf(begun, aborted)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Both are handled, so the one that loses does not count as unhandled. */
const firstOf = <T>(one: Promise<T>, other: Promise<never>): Promise<T> =>
  new Promise((resolve, reject) => {
    one.then(resolve, reject)
    other.then(resolve, reject)
  })
