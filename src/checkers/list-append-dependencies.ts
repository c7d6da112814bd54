/** What a history of lists says about who came before whom. */
import { DependencyGraph } from './dependency-graph.js'
import type { KeyVersions } from './list-versions.js'
import type { Transaction } from './transactions.js'

/** Nodes are the places of the transactions. */
export function dependenciesOf(
  transactions: readonly Transaction[],
  keys: ReadonlyMap<string, KeyVersions>
): DependencyGraph {
  const graph = new DependencyGraph(transactions.length)
  for (const versions of keys.values()) {
    if (isTrusted(versions)) addVersions(graph, versions, transactions)
  }
  addProcesses(graph, transactions)
  addRealTime(graph, transactions)
  graph.freeze()
  return graph
}

/** Every element of the longest read has one place and a writer. */
const isTrusted = ({ contradiction, order, appends }: KeyVersions): boolean =>
  contradiction === null &&
  new Set(order).size === order.length &&
  order.every((element) => appends.has(element))

function addVersions(
  graph: DependencyGraph,
  { appends, order, reads }: KeyVersions,
  transactions: readonly Transaction[]
): void {
  const writers = order.map((element) => appends.get(element)?.writer ?? 0)
  for (let i = 1; i < writers.length; i++) {
    graph.add(writers[i - 1] as number, writers[i] as number, 'ww')
  }
  // What was acknowledged and never read came after everything that was.
  const read = new Set(order)
  const later = [...appends]
    .filter(([element, { writer }]) => isAcknowledged(transactions[writer]) && !read.has(element))
    .map(([, { writer }]) => writer)
  const behind = later.length > 0 ? graph.addJoint() : null
  for (const writer of later) if (behind !== null) graph.add(behind, writer, 'ww')
  const last = writers.at(-1)
  if (behind !== null && last !== undefined) graph.add(last, behind, 'ww')
  for (const { reader, foreignLength } of reads) {
    const before = writers[foreignLength - 1]
    const after = foreignLength < writers.length ? writers[foreignLength] : behind
    if (before !== undefined) graph.add(before, reader, 'wr')
    if (after !== undefined && after !== null) graph.add(reader, after, 'rw')
  }
}

const isAcknowledged = (transaction: Transaction | undefined): boolean =>
  transaction?.outcome === 'ok'

function addProcesses(graph: DependencyGraph, transactions: readonly Transaction[]): void {
  const latest = new Map<string, number>()
  for (const [at, { process, outcome }] of transactions.entries()) {
    if (outcome === 'fail') continue
    const before = latest.get(process)
    if (before !== undefined) graph.add(before, at, 'process')
    latest.set(process, at)
  }
}

/** Whoever had ended comes before a joint, and the joint before whoever begins then. */
function addRealTime(graph: DependencyGraph, transactions: readonly Transaction[]): void {
  const ends = transactions
    .map(({ completedAt }, node) => ({ completedAt, node }))
    .filter(({ completedAt }) => Number.isFinite(completedAt))
    .sort((a, b) => a.completedAt - b.completedAt)
  let ended = 0
  let joint: number | null = null
  for (const [node, { invokedAt, outcome }] of transactions.entries()) {
    if (outcome === 'fail') continue
    const from = ended
    while (ended < ends.length && (ends[ended]?.completedAt ?? 0) < invokedAt) ended++
    if (ended > from) {
      const next: number = graph.addJoint()
      if (joint !== null) graph.add(joint, next, 'realtime')
      for (const { node: before } of ends.slice(from, ended)) graph.add(before, next, 'realtime')
      joint = next
    }
    if (joint !== null) graph.add(joint, node, 'realtime')
  }
}
