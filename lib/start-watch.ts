import { after, type Clock, DeadlineTimer, type Logger, NEVER } from '../src/core/index.js'

/** A start that takes longer is told, and again after each such time. */
export const slowStartIntervalMs = 5_000

/** Says what a node that does not come up waits for. */
export class StartWatch {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #timer: DeadlineTimer
  #step = ''
  #details: () => object = nothing

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
    this.#timer = new DeadlineTimer(clock, () => this.#tell())
  }

  /** `details`: what it waits for, when it is asked. */
  async during(
    step: string,
    work: () => Promise<unknown>,
    details: () => object = nothing
  ): Promise<void> {
    this.#step = step
    this.#details = details
    this.#arm()
    try {
      await work()
    } finally {
      this.#timer.arm(NEVER)
    }
  }

  #tell(): void {
    this.#logger.warn({ step: this.#step, ...this.#details() }, 'the start takes long')
    this.#arm()
  }

  #arm(): void {
    this.#timer.arm(after(this.#clock.now(), slowStartIntervalMs))
  }
}

const nothing = (): object => ({})
