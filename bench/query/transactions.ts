/** TPC-B-like transactions of four statements, and reads of one account. */
import { type Random, SplittableRandom, type Statement } from '../../src/core/index.js'

const accounts = 100_000
const tellers = 10

export const transactionTexts = [
  'UPDATE pgbench_accounts SET abalance = abalance + ? WHERE aid = ?',
  'UPDATE pgbench_tellers SET tbalance = tbalance + ? WHERE tid = ?',
  'UPDATE pgbench_branches SET bbalance = bbalance + ? WHERE bid = ?',
  `INSERT INTO pgbench_history (client, serial, tid, bid, aid, delta, mtime)
    VALUES (?, ?, ?, ?, ?, ?, ?)`
] as const
export const readText = 'SELECT abalance FROM pgbench_accounts WHERE aid = ?'

/** The same draws in every run; every history row is another one. */
export class Draws {
  readonly #random: Random
  #serial = 0

  constructor(seed: number) {
    this.#random = SplittableRandom.fromSeed(seed)
  }

  /** Parameters of the four statements. */
  parameters(): readonly (readonly (number | string)[])[] {
    const delta = this.#draw(10_001) - 5_001
    const aid = this.account()
    const tid = this.#draw(tellers)
    const history = ['bench', ++this.#serial, tid, 1, aid, delta, '2026-01-01T00:00:00Z']
    return [[delta, aid], [delta, tid], [delta, 1], history]
  }

  transaction(): Statement[] {
    return this.parameters().map((params, i) => ({ sql: transactionTexts[i] as string, params }))
  }

  read(): Statement[] {
    return [{ sql: readText, params: [this.account()] }]
  }

  account(): number {
    return this.#draw(accounts)
  }

  #draw(count: number): number {
    return 1 + this.#random.nextInt(count)
  }
}
