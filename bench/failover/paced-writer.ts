const neverAsked = Number.POSITIVE_INFINITY

/** Starts a write at every tick, whether the earlier ones are done or not. */
export class PacedWriter {
  readonly #write: () => Promise<unknown>
  readonly #everyMs: number
  readonly #acknowledgedAt: number[] = []
  #timer: NodeJS.Timeout | null = null
  /** Of the acknowledged write that was begun last. */
  #lastBegunAt = 0
  readonly #failures = new Map<string, number>()

  constructor(write: () => Promise<unknown>, everyMs: number) {
    this.#write = write
    this.#everyMs = everyMs
  }

  start(): void {
    this.#timer = setInterval(() => this.#begin(), this.#everyMs)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** That were told to have failed, or of which nobody knows. */
  get failed(): number {
    return [...this.#failures.values()].reduce((sum, count) => sum + count, 0)
  }

  /** By code, or by what was said. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures
  }

  /** Resolves when a write is acknowledged that was begun at that time or later. */
  async untilAcknowledged(begunAt: number, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (this.#lastBegunAt < begunAt) {
      if (performance.now() > deadline) throw new Error('no write succeeds any more')
      await new Promise((resolve) => setTimeout(resolve, this.#everyMs))
    }
  }

  /** The longest time without an acknowledgement from shortly before `from` until now. */
  longestGapMs(from: number): number {
    const first = this.#acknowledgedAt.findLastIndex((at) => at <= from)
    const times = this.#acknowledgedAt.slice(Math.max(0, first))
    let longest = 0
    times.forEach((at, i) => {
      longest = Math.max(longest, (times[i + 1] ?? performance.now()) - at)
    })
    this.#acknowledgedAt.splice(0, Math.max(0, first))
    return times.length === 0 ? neverAsked : longest
  }

  #begin(): void {
    const begunAt = performance.now()
    this.#write().then(
      () => {
        this.#lastBegunAt = Math.max(this.#lastBegunAt, begunAt)
        this.#acknowledgedAt.push(performance.now())
      },
      (error: { readonly code?: string; readonly message: string }) => {
        const reason = error.code ?? error.message
        this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1)
      }
    )
  }
}
