/**
 * Decides whether transactions that append to lists and read them were strictly serializable.
 *
 * Source: Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental
 * observations" (2020). Elements are unique, so a read of a list tells every version that the list
 * went through and who made it; the order of versions gives the dependencies between transactions,
 * and a cycle of these, of the orders of processes and of real time is a proof.
 *
 * 1. What is reported happened: every anomaly is a contradiction in the history alone.
 * 2. A transaction of unknown outcome took effect when somebody saw it, and never otherwise.
 * 3. A key whose reads contradict one another gives no dependencies: which of them is right is not
 *    known.
 */
import { InvalidArgumentError } from '../core/errors.js'
import { type CycleKind, type DependencyCycle, findCycles } from './dependency-cycles.js'
import type { EdgeKind } from './dependency-graph.js'
import type { HistoryValue } from './history.js'
import { dependenciesOf } from './list-append-dependencies.js'
import { type Element, type KeyVersions, type ListRead, versionsOf } from './list-versions.js'
import type { Transaction } from './transactions.js'

export type ListAppendAnomaly =
  /** A transaction does not see what it read or appended itself. */
  | { readonly kind: 'internal'; readonly reader: string; readonly key: string }
  /** What a transaction that failed appended was read. */
  | (Seen & { readonly kind: 'G1a' })
  /** A list was read as another transaction had it between two appends. */
  | (Seen & { readonly kind: 'G1b' })
  /** An element stands twice. */
  | { readonly kind: 'duplicate'; readonly reader: string; readonly key: string; element: Element }
  /** Nobody appended it. */
  | { readonly kind: 'unexpected'; readonly reader: string; readonly key: string; element: Element }
  /** Neither of two reads begins with the other. */
  | {
      readonly kind: 'incompatible_order'
      readonly key: string
      readonly readers: [string, string]
    }
  /** It was acknowledged, and is not in the longest read, nor in one that began after it. */
  | (Seen & { readonly kind: 'lost_append' })
  /** An append that took effect stands behind one that failed. */
  | { readonly kind: 'dirty_update'; readonly key: string; failed: string; readonly writer: string }
  | ListAppendCycle

interface Seen {
  readonly reader: string
  readonly writer: string
  readonly key: string
  readonly element: Element
}

export interface ListAppendCycle {
  readonly kind: CycleKind
  readonly needs: DependencyCycle['needs']
  readonly steps: readonly { readonly from: string; readonly to: string; readonly kind: EdgeKind }[]
}

export interface ListAppendVerdict {
  readonly ok: boolean
  /** At most `listAppendAnomaliesMax`. */
  readonly anomalies: readonly ListAppendAnomaly[]
}

/** Further anomalies are not told. */
export const listAppendAnomaliesMax = 1_000

/**
 * @throws InvalidArgumentError an element was appended to the same list twice, or is neither text
 * nor number; a read answers no list
 */
export function checkListAppend(transactions: readonly Transaction[]): ListAppendVerdict {
  expectListOperations(transactions)
  const keys = versionsOf(transactions)
  const anomalies: ListAppendAnomaly[] = internalAnomalies(transactions)
  for (const [key, versions] of keys) anomalies.push(...keyAnomalies(key, versions, transactions))
  const graph = dependenciesOf(transactions, keys)
  for (const { kind, needs, steps } of findCycles(graph)) {
    const named = steps.map(({ from, to, kind: by }) => ({
      from: nameOf(transactions, from),
      to: nameOf(transactions, to),
      kind: by
    }))
    anomalies.push({ kind, needs, steps: named })
  }
  return { ok: anomalies.length === 0, anomalies: anomalies.slice(0, listAppendAnomaliesMax) }
}

const nameOf = (transactions: readonly Transaction[], at: number): string =>
  transactions[at]?.name ?? ''

function expectListOperations(transactions: readonly Transaction[]): void {
  for (const { name, operations } of transactions) {
    const other = operations.find(({ op }) => op !== 'read' && op !== 'append')
    if (other === undefined) continue
    const reason = `op: ${name} does a ${other.op}; lists are read and appended to`
    throw new InvalidArgumentError('history', reason)
  }
}

/** Each read against what the same transaction did before it. */
function internalAnomalies(transactions: readonly Transaction[]): ListAppendAnomaly[] {
  return transactions.flatMap(({ name, outcome, operations }) => {
    if (outcome !== 'ok') return []
    const known = new Map<string, { isWhole: boolean; list: HistoryValue[] }>()
    const faulty = new Set<string>()
    for (const { op, key, input, output } of operations) {
      const before = known.get(key)
      if (op === 'append') {
        if (before === undefined) known.set(key, { isWhole: false, list: [input] })
        else before.list.push(input)
        continue
      }
      const list = [...((output ?? []) as readonly HistoryValue[])]
      const tail = before?.isWhole ? list : list.slice(-(before?.list.length ?? 0))
      if (before !== undefined && !isSameList(tail, before.list)) faulty.add(key)
      known.set(key, { isWhole: true, list })
    }
    return [...faulty].map((key) => ({ kind: 'internal' as const, reader: name, key }))
  })
}

function keyAnomalies(
  key: string,
  versions: KeyVersions,
  transactions: readonly Transaction[]
): ListAppendAnomaly[] {
  const found: ListAppendAnomaly[] = []
  for (const read of versions.reads) found.push(...readAnomalies(key, read, versions, transactions))
  if (versions.contradiction !== null) {
    const [a, b] = versions.contradiction
    const readers: [string, string] = [nameOf(transactions, a), nameOf(transactions, b)]
    found.push({ kind: 'incompatible_order', key, readers })
  }
  found.push(...lostAppends(key, versions, transactions))
  const dirty = dirtyUpdate(versions, transactions)
  if (dirty !== null) found.push({ kind: 'dirty_update', key, ...dirty })
  return found
}

function readAnomalies(
  key: string,
  read: ListRead,
  { appends }: KeyVersions,
  transactions: readonly Transaction[]
): ListAppendAnomaly[] {
  const found: ListAppendAnomaly[] = []
  const reader = nameOf(transactions, read.reader)
  const { list } = read
  const seen = new Set<Element>()
  for (const element of list) {
    if (seen.has(element)) found.push({ kind: 'duplicate', reader, key, element })
    seen.add(element)
    const append = appends.get(element)
    if (append === undefined) {
      found.push({ kind: 'unexpected', reader, key, element })
    } else if (transactions[append.writer]?.outcome === 'fail') {
      const writer = nameOf(transactions, append.writer)
      found.push({ kind: 'G1a', reader, writer, key, element })
    }
  }
  const element = list[read.foreignLength - 1]
  const last = element === undefined ? undefined : appends.get(element)
  if (element !== undefined && last !== undefined && !last.isLast && last.writer !== read.reader) {
    found.push({ kind: 'G1b', reader, writer: nameOf(transactions, last.writer), key, element })
  }
  return found
}

function lostAppends(
  key: string,
  { appends, order, reads }: KeyVersions,
  transactions: readonly Transaction[]
): ListAppendAnomaly[] {
  const latest = reads.reduce<ListRead | null>((best, read) => {
    const at = transactions[read.reader]?.invokedAt ?? 0
    return best === null || at > (transactions[best.reader]?.invokedAt ?? 0) ? read : best
  }, null)
  if (latest === null) return []
  const present = new Set([...order, ...latest.list])
  const readAt = transactions[latest.reader]?.invokedAt ?? 0
  const reader = nameOf(transactions, latest.reader)
  const found: ListAppendAnomaly[] = []
  for (const [element, { writer }] of appends) {
    const by = transactions[writer]
    if (by === undefined || by.outcome !== 'ok' || by.completedAt >= readAt) continue
    if (!present.has(element)) {
      found.push({ kind: 'lost_append', reader, writer: by.name, key, element })
    }
  }
  return found
}

function dirtyUpdate(
  { order, appends }: KeyVersions,
  transactions: readonly Transaction[]
): { failed: string; writer: string } | null {
  let failed: string | null = null
  for (const element of order) {
    const by = transactions[appends.get(element)?.writer ?? -1]
    if (by?.outcome === 'fail') failed = by.name
    else if (by !== undefined && failed !== null) return { failed, writer: by.name }
  }
  return null
}

const isSameList = (a: readonly HistoryValue[], b: readonly HistoryValue[]): boolean =>
  a.length === b.length && a.every((element, i) => element === b[i])
