import { CancelledError, RequestTimeoutError, StoppedError } from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'

export interface WaitUntil {
  readonly deadline: MonotonicMs
  readonly signal?: AbortSignal | undefined
}

interface Waiting {
  readonly session: string
  resolve(isWoken: boolean): void
}

/** Those that wait for something of one session: requests for a move's end, moves for requests'. */
export class SessionWaits {
  readonly #clock: Clock
  readonly #waiting = new Set<Waiting>()
  #isStopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves when the session is woken: true; or at the deadline: false. @throws StoppedError */
  wait(session: string, deadline: MonotonicMs, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#isStopped) throw new StoppedError('this node is stopping')
      const settle = (isWoken: boolean) => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        this.#waiting.delete(waiting)
        if (this.#isStopped) reject(new StoppedError('this node is stopping'))
        else resolve(isWoken)
      }
      const waiting: Waiting = { session, resolve: settle }
      const onAbort = () => settle(false)
      const timer = this.#clock.schedule(deadline, () => settle(false))
      this.#waiting.add(waiting)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) onAbort()
    })
  }

  /**
   * As `wait`, for a request that has done nothing yet.
   * @throws CancelledError, RequestTimeoutError
   */
  async hold(session: string, { deadline, signal }: WaitUntil): Promise<void> {
    if (await this.wait(session, deadline, signal)) return
    if (signal?.aborted) throw new CancelledError('cancelled by the caller')
    throw new RequestTimeoutError('the deadline passed while the session moved; nothing was done')
  }

  wake(session: string): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.session === session) waiting.resolve(true)
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const waiting of [...this.#waiting]) waiting.resolve(false)
  }
}
