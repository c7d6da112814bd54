/**
 * TPC-B-like: what is loaded, written, read and summed up. Accounts, tellers and history belong to
 * a branch, and every table can be spread over groups by it: a transfer that takes its account from
 * another branch than its teller's is then one of two groups.
 */
import type { Random, Statement } from '../../core/index.js'

const branchesPerScale = 100
const tellersPerBranch = 10
const accountsPerBranch = 1_000
const largestDelta = 5_000

export const branchCount = (scale: number): number => branchesPerScale * scale
export const accountCount = (scale: number): number => accountsPerBranch * branchCount(scale)

const branchOfAccount = (aid: number): number => Math.floor((aid - 1) / accountsPerBranch) + 1

/** By whose value the rows of every table are spread. */
export const bankShardKey = 'bid'

/**
 * History tells the writes apart: a client's serial stands in it once. Its rows have their keys
 * from the clients, so that transactions that write to it lock their own rows alone. Branches are
 * spread last: who knows the groups of their rows knows those of all.
 */
export const bankTables: readonly { readonly table: string; readonly create: string }[] = [
  {
    table: 'pgbench_tellers',
    create: `CREATE TABLE IF NOT EXISTS pgbench_tellers
      (tid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, tbalance INTEGER NOT NULL, filler TEXT)`
  },
  {
    table: 'pgbench_accounts',
    create: `CREATE TABLE IF NOT EXISTS pgbench_accounts
      (aid INTEGER PRIMARY KEY, bid INTEGER NOT NULL, abalance INTEGER NOT NULL, filler TEXT)`
  },
  {
    table: 'pgbench_history',
    create: `CREATE TABLE IF NOT EXISTS pgbench_history
      (hid INTEGER PRIMARY KEY, client TEXT NOT NULL, serial INTEGER NOT NULL,
       tid INTEGER NOT NULL, bid INTEGER NOT NULL, aid INTEGER NOT NULL, delta INTEGER NOT NULL,
       mtime TEXT NOT NULL)`
  },
  {
    table: 'pgbench_branches',
    create: `CREATE TABLE IF NOT EXISTS pgbench_branches
      (bid INTEGER PRIMARY KEY, bbalance INTEGER NOT NULL, filler TEXT)`
  }
]

/** Rows of one branch, and so of one group; a command is bounded in size. */
export interface LoadBatch {
  readonly bid: number
  readonly statements: readonly Statement[]
}

/** Loading again changes nothing: a batch whose outcome is unknown can be sent again. */
export function* loadBatches(scale: number): Generator<LoadBatch> {
  for (let bid = 1; bid <= branchCount(scale); bid++) {
    const account = `i, ${bid}, 0, printf('%84s', '')`
    const statements = [
      fill('pgbench_branches (bid, bbalance)', 'i, 0', bid, 1),
      fill('pgbench_tellers (tid, bid, tbalance)', `i, ${bid}, 0`, bid, tellersPerBranch),
      fill('pgbench_accounts (aid, bid, abalance, filler)', account, bid, accountsPerBranch)
    ]
    yield { bid, statements }
  }
}

export interface Transfer {
  readonly aid: number
  /** The account's own branch. */
  readonly accountBid: number
  readonly tid: number
  /** The teller's, which enters it into its history. */
  readonly bid: number
  readonly delta: number
}

export function drawTransfer(random: Random, scale: number): Transfer {
  const tid = random.nextInt(tellersPerBranch * branchCount(scale)) + 1
  const { aid, bid: accountBid } = drawAccount(random, scale)
  return {
    aid,
    accountBid,
    tid,
    bid: Math.floor((tid - 1) / tellersPerBranch) + 1,
    delta: random.nextInt(2 * largestDelta + 1) - largestDelta
  }
}

export interface Account {
  readonly aid: number
  readonly bid: number
}

export function drawAccount(random: Random, scale: number): Account {
  const aid = random.nextInt(accountCount(scale)) + 1
  return { aid, bid: branchOfAccount(aid) }
}

export function transferStatements(
  transfer: Transfer,
  client: string,
  serial: number,
  time: string
): readonly Statement[] {
  const { aid, accountBid, tid, bid, delta } = transfer
  return [
    {
      sql: 'UPDATE pgbench_accounts SET abalance = abalance + ? WHERE aid = ? AND bid = ?',
      params: [delta, aid, accountBid]
    },
    balanceStatement({ aid, bid: accountBid }),
    {
      sql: 'UPDATE pgbench_tellers SET tbalance = tbalance + ? WHERE tid = ? AND bid = ?',
      params: [delta, tid, bid]
    },
    {
      sql: 'UPDATE pgbench_branches SET bbalance = bbalance + ? WHERE bid = ?',
      params: [delta, bid]
    },
    {
      sql: `INSERT INTO pgbench_history (hid, client, serial, tid, bid, aid, delta, mtime)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      params: [historyId(client) + BigInt(serial), client, serial, tid, bid, aid, delta, time]
    }
  ]
}

export const balanceSql = 'SELECT abalance FROM pgbench_accounts WHERE aid = ? AND bid = ?'

export const balanceStatement = ({ aid, bid }: Account): Statement => ({
  sql: balanceSql,
  params: [aid, bid]
})

/** Tells the group of a branch. */
export const branchStatement = (bid: number): Statement => ({
  sql: 'SELECT bbalance FROM pgbench_branches WHERE bid = ?',
  params: [bid]
})

export const branchesStatement: Statement = { sql: 'SELECT bid FROM pgbench_branches' }

export const countStatement: Statement = { sql: 'SELECT count(*) FROM pgbench_accounts' }

/** Of each table; all four are equal when every transaction was atomic. */
export const sumStatements: readonly Statement[] = [
  { sql: 'SELECT sum(abalance) FROM pgbench_accounts' },
  { sql: 'SELECT sum(tbalance) FROM pgbench_tellers' },
  { sql: 'SELECT sum(bbalance) FROM pgbench_branches' },
  { sql: 'SELECT sum(delta) FROM pgbench_history' }
]

/** Of a client, above the row with that id; null: from its first. */
export const clientHistoryStatement = (
  client: string,
  above: bigint | null,
  limit: number
): Statement => ({
  sql: `SELECT hid, serial, tid, bid, aid, delta FROM pgbench_history
    WHERE hid > ? AND hid < ? AND client = ? ORDER BY hid LIMIT ?`,
  params: [above ?? historyId(client), historyId(client) + serialsPerClient, client, limit]
})

/** Of all clients. */
export const historyStatement = (above: bigint | null, limit: number): Statement => ({
  sql: `SELECT hid, tid, bid, aid, delta FROM pgbench_history
    WHERE hid > ? ORDER BY hid LIMIT ?`,
  params: [above ?? 0n, limit]
})

/** Rows of an id and a balance that is not 0. */
export const balancesStatements = {
  account: (above: bigint | null, limit: number): Statement => ({
    sql: `SELECT aid, abalance FROM pgbench_accounts
      WHERE aid > ? AND abalance <> 0 ORDER BY aid LIMIT ?`,
    params: [above ?? 0n, limit]
  }),
  teller: (above: bigint | null, limit: number): Statement => ({
    sql: `SELECT tid, tbalance FROM pgbench_tellers
      WHERE tid > ? AND tbalance <> 0 ORDER BY tid LIMIT ?`,
    params: [above ?? 0n, limit]
  }),
  branch: (above: bigint | null, limit: number): Statement => ({
    sql: `SELECT bid, bbalance FROM pgbench_branches
      WHERE bid > ? AND bbalance <> 0 ORDER BY bid LIMIT ?`,
    params: [above ?? 0n, limit]
  })
} as const

const serialsPerClient = 2n ** 31n

/** Below those of a client's rows; clients' names are told apart by a hash of 32 bits. */
function historyId(client: string): bigint {
  let hash = 0x811c_9dc5
  for (let i = 0; i < client.length; i++) hash = Math.imul(hash ^ client.charCodeAt(i), 0x0100_0193)
  return BigInt(hash >>> 0) * serialsPerClient
}

/** Rows of one branch, with ids of their own. */
function fill(target: string, values: string, bid: number, perBranch: number): Statement {
  const [from, to] = [(bid - 1) * perBranch + 1, bid * perBranch]
  return {
    sql: `INSERT OR IGNORE INTO ${target}
      WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
      SELECT ${values} FROM n`
  }
}
