/**
 * A mutation that carries an `Idempotency-Key` is done once: the same key, caller and body are
 * given the first answer again. The oldest is forgotten at the bound; answers are kept ten minutes.
 */
import { InvalidArgumentError } from '../../core/index.js'

export const idempotentAnswersMax = 1_024
const keptMs = 600_000
const KEY = /^[\x21-\x7e]{1,128}$/

export interface KeptAnswer {
  readonly status: number
  readonly body: unknown
}

interface Kept {
  readonly at: number
  readonly fingerprint: string
  readonly answer: Promise<KeptAnswer>
}

export class IdempotentAnswers {
  readonly #kept = new Map<string, Kept>()

  /**
   * @param fingerprint what was asked: a key that comes back with another is a mistake
   * @throws InvalidArgumentError
   */
  async once(
    key: string,
    caller: string,
    fingerprint: string,
    now: number,
    act: () => Promise<KeptAnswer>
  ): Promise<KeptAnswer> {
    if (!KEY.test(key)) {
      throw new InvalidArgumentError('idempotency-key', 'must be 1 to 128 printable characters')
    }
    const id = `${caller} ${key}`
    const known = this.#kept.get(id)
    if (known !== undefined && now - known.at < keptMs) {
      if (known.fingerprint === fingerprint) return known.answer
      throw new InvalidArgumentError('idempotency-key', 'was used for another request')
    }
    const answer = act()
    this.#kept.delete(id)
    this.#kept.set(id, { at: now, fingerprint, answer })
    // What failed was not done for good: the key may be used again.
    answer.catch(() => this.#kept.delete(id))
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= idempotentAnswersMax) break
      this.#kept.delete(oldest)
    }
    return answer
  }
}
