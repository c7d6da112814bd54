/** Every command that writes leaves a number in a table of its own: what was told is compared. */
import type { Statement } from '../../src/core/index.js'
import type { TortureClient } from './torture-client.js'

export interface LedgerVerdict {
  /** Acknowledged, and not there. */
  readonly lost: number
  /** Refused for certain, and there. */
  readonly unexpected: number
  /** There more than once. */
  readonly repeated: number
}

type Fate = 'open' | 'ok' | 'fail' | 'info'

const pageRows = 5_000
const readTimeoutMs = 20_000
const readAttemptsMax = 5

/**
 * Rows are drawn, so that two writes never want the same one, whichever groups they are about. Safe
 * integers, and so many that none is drawn twice.
 */
const drawnRow = `abs(random() % ${Number.MAX_SAFE_INTEGER})`

export const ledgerSchema =
  'CREATE TABLE IF NOT EXISTS ledger (row INTEGER PRIMARY KEY, id INTEGER NOT NULL)'

export class Ledger {
  readonly #fates: Fate[] = []
  readonly #counts = { ok: 0, fail: 0, info: 0 }

  begin(): number {
    this.#fates.push('open')
    return this.#fates.length - 1
  }

  statement(id: number): Statement {
    return { sql: `INSERT INTO ledger (row, id) VALUES (${drawnRow}, ?)`, params: [id] }
  }

  end(id: number, fate: Exclude<Fate, 'open'>): void {
    this.#fates[id] = fate
    this.#counts[fate]++
  }

  count(fate: Exclude<Fate, 'open'>): number {
    return this.#counts[fate]
  }

  /** What every read that begins from now on must find. */
  acknowledged(): number[] {
    return this.#fates.flatMap((fate, id) => (fate === 'ok' ? [id] : []))
  }

  /** What is under way is not judged, but by `acknowledged`. */
  async verify(client: TortureClient, acknowledged = this.acknowledged()): Promise<LedgerVerdict> {
    const rows = await readAll(client)
    const found = new Set(rows)
    return {
      lost: acknowledged.filter((id) => !found.has(id)).length,
      unexpected: [...found].filter((id) => this.#fates[id] === 'fail').length,
      repeated: rows.length - found.size
    }
  }
}

async function readAll(client: TortureClient): Promise<number[]> {
  const ids: number[] = []
  for (let above = -1; ; ) {
    const rows = await readPage(client, above)
    for (const [row, id] of rows) {
      above = Number(row)
      ids.push(Number(id))
    }
    if (rows.length < pageRows) return ids
  }
}

async function readPage(
  client: TortureClient,
  above: number
): Promise<readonly (readonly unknown[])[]> {
  const sql = 'SELECT row, id FROM ledger WHERE row > ? ORDER BY row LIMIT ?'
  for (let attempt = 1; ; attempt++) {
    const outcome = await client.call([{ sql, params: [above, pageRows] }], readTimeoutMs)
    if (outcome.kind === 'ok') return outcome.answers[0]?.rows ?? []
    if (attempt >= readAttemptsMax) throw new Error(`the ledger cannot be read: ${outcome.code}`)
  }
}
