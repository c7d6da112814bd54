/**
 * Queries on the way at the same time, and those that wait for one of them to end, first come first
 * served.
 *
 * 1. At most `requestsInFlightMax` are inside.
 * 2. At most `queueLengthMax` wait; one more is refused at once: that is the back-pressure.
 * 3. Nobody waits beyond its deadline, and who is not inside was not sent.
 */
import {
  BackpressureError,
  CancelledError,
  RequestTimeoutError,
  type SkeinError,
  StoppedError
} from '../core/errors.js'
import type { MonotonicMs } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'

export interface RequestWindowOptions {
  readonly requestsInFlightMax: number
  readonly queueLengthMax: number
}

interface Waiting {
  enter(): void
  refuse(error: SkeinError): void
}

export class RequestWindow {
  readonly #clock: Clock
  readonly #options: RequestWindowOptions
  readonly #queue = new Set<Waiting>()
  #inFlight = 0
  #isClosed = false

  constructor(clock: Clock, options: RequestWindowOptions) {
    this.#clock = clock
    this.#options = options
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get queued(): number {
    return this.#queue.size
  }

  /** Runs when there is room. @throws BackpressureError, RequestTimeoutError, CancelledError */
  async run<T>(
    until: { readonly deadline: MonotonicMs; readonly signal: AbortSignal | undefined },
    run: () => Promise<T>
  ): Promise<T> {
    if (this.#isClosed) throw new StoppedError('the client is closed')
    if (this.#inFlight >= this.#options.requestsInFlightMax) await this.#wait(until)
    else this.#inFlight++
    try {
      return await run()
    } finally {
      this.#leave()
    }
  }

  /** Nobody enters any more; who waits is told. */
  close(): void {
    this.#isClosed = true
    for (const waiting of [...this.#queue]) waiting.refuse(new StoppedError('the client is closed'))
  }

  #wait(until: { readonly deadline: MonotonicMs; readonly signal: AbortSignal | undefined }) {
    const { queueLengthMax } = this.#options
    if (this.#queue.size >= queueLengthMax) {
      throw new BackpressureError(
        `${this.#inFlight} queries are on the way, ${queueLengthMax} wait`
      )
    }
    const { deadline, signal } = until
    return new Promise<void>((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#queue.delete(waiting)
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        act()
      }
      const waiting: Waiting = {
        enter: () => settle(resolve),
        refuse: (error) => settle(() => reject(error))
      }
      const onAbort = () =>
        waiting.refuse(new CancelledError('cancelled by the caller', { cause: signal?.reason }))
      const timer = this.#clock.schedule(deadline, () => {
        const reason = 'the deadline passed while the query waited for its turn; it was not sent'
        waiting.refuse(new RequestTimeoutError(reason))
      })
      this.#queue.add(waiting)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) onAbort()
    })
  }

  /** The place goes to who waited longest. */
  #leave(): void {
    for (const waiting of this.#queue) {
      waiting.enter()
      return
    }
    this.#inFlight--
  }
}
