import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Random } from '../../core/ports/random.js'
import type { Connection } from './connection-driver.js'
import { type LinkAge, promptRenewAtOf, renewAtOf, renewPauseMs } from './link-age.js'

/** Has open connections renewed when they are old, or when trust has changed. */
export class LinkRenewals {
  readonly #clock: Clock
  readonly #random: Random
  readonly #linkAgeMaxMs: number
  readonly #renew: (connection: Connection) => void
  readonly #renewAt = new Map<Connection, MonotonicMs>()
  readonly #timer: DeadlineTimer

  /** @param renew asked again after a pause, as long as the connection is not forgotten */
  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: Random },
    linkAgeMaxMs: number,
    renew: (connection: Connection) => void
  ) {
    this.#clock = clock
    this.#random = random
    this.#linkAgeMaxMs = linkAgeMaxMs
    this.#renew = renew
    this.#timer = new DeadlineTimer(clock, (now) => this.#handleTimeout(now))
  }

  /** It has opened. */
  watch(connection: Connection): void {
    this.#renewAt.set(connection, renewAtOf(this.#clock.now(), this.#ageOf(connection)))
    this.#arm()
  }

  forget(connection: Connection): void {
    this.#renewAt.delete(connection)
  }

  /** Every one soon, so that each certificate is judged by what holds now. */
  renewAll(): void {
    const now = this.#clock.now()
    for (const connection of this.#renewAt.keys()) {
      this.#renewAt.set(connection, promptRenewAtOf(now, this.#ageOf(connection)))
    }
    this.#arm()
  }

  stop(): void {
    this.#timer.stop()
  }

  #ageOf({ isDialer }: Connection): LinkAge {
    return { isDialer, linkAgeMaxMs: this.#linkAgeMaxMs, random: this.#random }
  }

  #handleTimeout(now: MonotonicMs): void {
    for (const [connection, at] of [...this.#renewAt]) {
      if (at > now) continue
      this.#renewAt.set(connection, after(now, renewPauseMs))
      this.#renew(connection)
    }
    this.#arm()
  }

  #arm(): void {
    this.#timer.arm(Math.min(NEVER, ...this.#renewAt.values()) as MonotonicMs)
  }
}
