/**
 * How often each address failed to say who it is. Who failed too often in a minute is told to wait;
 * a right credential is let in all the same, so that nobody can lock another out from the address
 * they share. With the table full, the address that failed longest ago is forgotten.
 */
export const failuresPerMinuteMax = 10
export const addressesMax = 1_024
const windowMs = 60_000

interface Failures {
  since: number
  count: number
}

export class FailedLogins {
  readonly #byAddress = new Map<string, Failures>()

  /** How long the address has to wait; 0: it may try. */
  waitMs(address: string, now: number): number {
    const failures = this.#byAddress.get(address)
    if (failures === undefined || failures.count < failuresPerMinuteMax) return 0
    const left = failures.since + windowMs - now
    return Math.max(0, left)
  }

  add(address: string, now: number): void {
    const known = this.#byAddress.get(address)
    this.#byAddress.delete(address)
    if (known !== undefined && now - known.since < windowMs) {
      known.count++
      this.#byAddress.set(address, known)
      return
    }
    if (this.#byAddress.size >= addressesMax) {
      for (const oldest of this.#byAddress.keys()) {
        this.#byAddress.delete(oldest)
        break
      }
    }
    this.#byAddress.set(address, { since: now, count: 1 })
  }
}
