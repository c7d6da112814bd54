/** Reads back what the clients were promised. */
import { Consistencies, type GroupId, type SqlValue, type Statement } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import {
  balancesStatements,
  branchesStatement,
  branchStatement,
  clientHistoryStatement,
  historyStatement,
  sumStatements,
  type Transfer
} from './bank.js'
import type { ClusterClient } from './cluster-client.js'
import type { ClientRecord } from './tally.js'

export interface HistoryVerdict {
  /** Acknowledged and not in the history. */
  readonly lost: number
  /** Of unknown outcome, and found to have been done. */
  readonly indeterminateDone: number
  /** In the history although refused for certain, or never sent. */
  readonly unexpected: number
  /** Rows beyond the first of a write: it was executed more than once. */
  readonly repeated: number
  /** Rows that say something else than was sent. */
  readonly altered: number
}

/** A row of a client's history. */
export interface HistoryRow extends Omit<Transfer, 'accountBid'> {
  readonly serial: number
}

type Rows = readonly (readonly SqlValue[])[]

const pageRows = 5_000
const readTimeoutMs = 30_000

/** @param sentBy what a client has sent, by serial from 1, where that can be told */
export async function verifyHistory(
  cluster: ClusterClient,
  clients: readonly ClientRecord[],
  sentBy?: (record: ClientRecord) => Iterable<Transfer>
): Promise<HistoryVerdict> {
  const keys = await keysOfGroups(cluster)
  const verdicts: HistoryVerdict[] = []
  for (const record of clients) {
    const rows: HistoryRow[] = []
    const statement = (above: bigint | null) =>
      clientHistoryStatement(record.client, above, pageRows)
    for (const key of keys) {
      for await (const [, serial, tid, bid, aid, delta] of rowsOf(cluster, statement, key)) {
        const numbers = { serial: Number(serial), tid: Number(tid), bid: Number(bid) }
        rows.push({ ...numbers, aid: Number(aid), delta: Number(delta) })
      }
    }
    verdicts.push(judgeHistory(record, rows, sentBy?.(record)))
  }
  const sum = (field: keyof HistoryVerdict) =>
    verdicts.reduce((total, verdict) => total + verdict[field], 0)
  return {
    lost: sum('lost'),
    indeterminateDone: sum('indeterminateDone'),
    unexpected: sum('unexpected'),
    repeated: sum('repeated'),
    altered: sum('altered')
  }
}

/** `rows`: the client's own, each as often as it is there. */
export function judgeHistory(
  record: ClientRecord,
  rows: readonly HistoryRow[],
  sent: Iterable<Transfer> = []
): HistoryVerdict {
  const found = new Map(rows.map((row) => [row.serial, row]))
  let lost = 0
  let indeterminateDone = 0
  let expected = 0
  for (let serial = 1; serial <= record.lastSerial; serial++) {
    const isFound = found.has(serial)
    if (record.failed.has(serial)) continue
    if (isFound) expected++
    if (record.indeterminate.has(serial)) indeterminateDone += isFound ? 1 : 0
    else if (!isFound) lost++
  }
  const [unexpected, repeated] = [found.size - expected, rows.length - found.size]
  return { lost, indeterminateDone, unexpected, repeated, altered: alteredOf(rows, sent) }
}

function alteredOf(rows: readonly HistoryRow[], sent: Iterable<Transfer>): number {
  const bySerial = new Map<number, HistoryRow[]>()
  for (const row of rows) bySerial.set(row.serial, [...(bySerial.get(row.serial) ?? []), row])
  let altered = 0
  let serial = 0
  for (const { aid, tid, bid, delta } of sent) {
    serial++
    altered += (bySerial.get(serial) ?? []).filter(
      (row) => row.aid !== aid || row.tid !== tid || row.bid !== bid || row.delta !== delta
    ).length
  }
  return altered
}

/**
 * Whether accounts, tellers, branches and history add up to the same over all groups, and every one
 * of them has the balance that the history gives it.
 */
export async function verifyBalances(cluster: ClusterClient): Promise<boolean> {
  const sums: bigint[] = []
  for (const statement of sumStatements) {
    const [row] = await readRows(cluster, statement)
    sums.push(BigInt((row?.[0] ?? 0) as number))
  }
  if (new Set(sums).size !== 1) return false
  const keys = await keysOfGroups(cluster)
  const owed = { account: new Balances(), teller: new Balances(), branch: new Balances() }
  for (const key of keys) {
    const statement = (above: bigint | null) => historyStatement(above, pageRows)
    for await (const [, tid, bid, aid, delta] of rowsOf(cluster, statement, key)) {
      owed.account.add(aid, delta)
      owed.teller.add(tid, delta)
      owed.branch.add(bid, delta)
    }
  }
  for (const owner of ['account', 'teller', 'branch'] as const) {
    const statement = (above: bigint | null) => balancesStatements[owner](above, pageRows)
    for (const key of keys) {
      for await (const [id, balance] of rowsOf(cluster, statement, key)) {
        owed[owner].add(id, -Number(balance))
      }
    }
    if (!owed[owner].areSettled) return false
  }
  return true
}

/** What is left of each balance. */
class Balances {
  readonly #left = new Map<number, number>()

  add(id: SqlValue | undefined, delta: SqlValue | undefined): void {
    const left = (this.#left.get(Number(id)) ?? 0) + Number(delta)
    if (left === 0) this.#left.delete(Number(id))
    else this.#left.set(Number(id), left)
  }

  get areSettled(): boolean {
    return this.#left.size === 0
  }
}

export async function readRows(
  cluster: ClusterClient,
  statement: Statement,
  shardKey?: SqlValue
): Promise<Rows> {
  const key = shardKey === undefined ? {} : { shardKey }
  const options = { home: 0, timeoutMs: readTimeoutMs, ...key }
  const result = await cluster.read(statement, Consistencies.Linearizable, options)
  if (result.kind === 'done') return result.results[0]?.rows ?? []
  throw new CliError(`could not read back: ${result.reason}`)
}

/** A branch of each group: with it as shard key, the group is asked. */
async function keysOfGroups(cluster: ClusterClient): Promise<readonly number[]> {
  const keys = new Map<GroupId, number>()
  for (const [bid] of await readRows(cluster, branchesStatement)) {
    const group = cluster.groupOf(branchStatement(Number(bid)))
    if (group === null) throw new CliError(`could not read back: nobody serves branch ${bid}`)
    keys.set(group, Number(bid))
  }
  return [...keys.values()]
}

/** Page by page, from one group; the first column rises. */
async function* rowsOf(
  cluster: ClusterClient,
  statement: (above: bigint | null) => Statement,
  shardKey: number
): AsyncGenerator<readonly SqlValue[]> {
  for (let above: bigint | null = null; ; ) {
    const rows = await readRows(cluster, statement(above), shardKey)
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < pageRows) return
    above = BigInt(last[0] as number | bigint)
  }
}
