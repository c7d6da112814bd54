/** The pgbench schema, TPC-B-like: what is loaded, written, read and summed up. */
import type { Random, Statement } from '../../core/index.js'

const accountsPerScale = 100_000
const tellersPerScale = 10
const largestDelta = 5_000

/** Accounts of one command while loading; a command is bounded in size. */
export const loadBatchRows = 2_000

export const accountCount = (scale: number): number => accountsPerScale * scale

/** History tells the writes apart: a client's serial stands in it once. */
export const schema: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS pgbench_branches
    (bid INTEGER PRIMARY KEY, bbalance INTEGER NOT NULL, filler TEXT)`,
  `CREATE TABLE IF NOT EXISTS pgbench_tellers
    (tid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, tbalance INTEGER NOT NULL, filler TEXT)`,
  `CREATE TABLE IF NOT EXISTS pgbench_accounts
    (aid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, abalance INTEGER NOT NULL, filler TEXT)`,
  `CREATE TABLE IF NOT EXISTS pgbench_history
    (client TEXT NOT NULL, serial INTEGER NOT NULL, tid INTEGER NOT NULL, bid INTEGER NOT NULL,
     aid INTEGER NOT NULL, delta INTEGER NOT NULL, mtime TEXT NOT NULL,
     PRIMARY KEY (client, serial))`
]

/** Loading again changes nothing: a batch whose outcome is unknown can be sent again. */
export function* loadBatches(scale: number): Generator<Statement> {
  yield fill('pgbench_branches (bid, bbalance)', 'i, 0', 1, scale)
  const teller = `i, (i - 1) / ${tellersPerScale} + 1, 0`
  yield fill('pgbench_tellers (tid, bid, tbalance)', teller, 1, tellersPerScale * scale)
  const account = `i, (i - 1) / ${accountsPerScale} + 1, 0, printf('%84s', '')`
  for (let from = 1; from <= accountCount(scale); from += loadBatchRows) {
    const to = Math.min(from + loadBatchRows - 1, accountCount(scale))
    yield fill('pgbench_accounts (aid, bid, abalance, filler)', account, from, to)
  }
}

export interface Transfer {
  readonly aid: number
  readonly tid: number
  readonly bid: number
  readonly delta: number
}

export function drawTransfer(random: Random, scale: number): Transfer {
  const tid = random.nextInt(tellersPerScale * scale) + 1
  return {
    aid: drawAccount(random, scale),
    tid,
    bid: Math.floor((tid - 1) / tellersPerScale) + 1,
    delta: random.nextInt(2 * largestDelta + 1) - largestDelta
  }
}

export const drawAccount = (random: Random, scale: number): number =>
  random.nextInt(accountCount(scale)) + 1

export function transferStatements(
  transfer: Transfer,
  client: string,
  serial: number,
  time: string
): readonly Statement[] {
  const { aid, tid, bid, delta } = transfer
  return [
    {
      sql: 'UPDATE pgbench_accounts SET abalance = abalance + ? WHERE aid = ?',
      params: [delta, aid]
    },
    { sql: 'SELECT abalance FROM pgbench_accounts WHERE aid = ?', params: [aid] },
    {
      sql: 'UPDATE pgbench_tellers SET tbalance = tbalance + ? WHERE tid = ?',
      params: [delta, tid]
    },
    {
      sql: 'UPDATE pgbench_branches SET bbalance = bbalance + ? WHERE bid = ?',
      params: [delta, bid]
    },
    {
      sql: `INSERT INTO pgbench_history (client, serial, tid, bid, aid, delta, mtime)
        VALUES (?, ?, ?, ?, ?, ?, ?)`,
      params: [client, serial, tid, bid, aid, delta, time]
    }
  ]
}

export const balanceStatement = (aid: number): Statement => ({
  sql: 'SELECT abalance FROM pgbench_accounts WHERE aid = ?',
  params: [aid]
})

export const serialsStatement = (client: string, aboveRow: number, limit: number): Statement => ({
  sql: `SELECT serial, rowid FROM pgbench_history
    WHERE client = ? AND rowid > ? ORDER BY rowid LIMIT ?`,
  params: [client, aboveRow, limit]
})

/** The four sums are equal when every transaction was atomic. */
export const sumsStatement: Statement = {
  sql: `SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts),
    (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers),
    (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches),
    (SELECT coalesce(sum(delta), 0) FROM pgbench_history)`
}

export const countStatement: Statement = { sql: 'SELECT count(*) FROM pgbench_accounts' }

function fill(target: string, values: string, from: number, to: number): Statement {
  return {
    sql: `INSERT OR IGNORE INTO ${target}
      WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
      SELECT ${values} FROM n`
  }
}
