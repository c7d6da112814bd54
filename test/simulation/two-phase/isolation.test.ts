/**
 * Serializability over groups: each committed transaction tells which versions it read and wrote,
 * and the order that follows from them must have no circle (Adya: no G0, G1c, G2). A key that is
 * not there is its version 0, so that what a range read did not see counts too.
 */
import t from 'tap'
import type { GroupId, TransactionId } from '../../../src/core/ids.js'
import { decodeResults, type Operation } from '../../support/two-phase/bank.js'
import { World } from '../../support/two-phase/world.js'

const groupCount = 3
const keysMax = 6
const seeds = 30
const timeoutMs = 500

interface Branch {
  readonly group: GroupId
  readonly operations: readonly Operation[]
}

interface History {
  readonly reads: { transaction: TransactionId; key: string; version: number }[]
  readonly writes: { transaction: TransactionId; key: string; version: number }[]
}

t.test(
  'no circle of reads and writes over groups: no lost update, write skew, phantom',
  async (t) => {
    let transactions = 0
    let edges = 0
    for (let seed = 1; seed <= seeds; seed++) {
      const { world, plans } = run(seed)
      const history = historyOf(world, plans)
      const graph = graphOf(history)
      transactions += new Set([...history.reads, ...history.writes].map((one) => one.transaction))
        .size
      for (const next of graph.values()) edges += next.size
      t.same(circleIn(graph), [], `seed ${seed}`)
    }
    t.ok(transactions > 500, `${transactions} transactions`)
    t.ok(edges > 1_000, `${edges} edges`)
  }
)

t.test('the judge finds a planted write skew', async (t) => {
  const [one, other] = ['one', 'other'] as unknown as [TransactionId, TransactionId]
  const history: History = {
    reads: [
      { transaction: one, key: 'x', version: 0 },
      { transaction: other, key: 'y', version: 0 }
    ],
    writes: [
      { transaction: one, key: 'y', version: 1 },
      { transaction: other, key: 'x', version: 1 }
    ]
  }
  t.equal(circleIn(graphOf(history)).length, 2)
})

function run(seed: number): { world: World; plans: Map<TransactionId, readonly Branch[]> } {
  const world = new World(
    seed,
    Array.from({ length: groupCount }, () => new Map())
  )
  const { random } = world
  const plans = new Map<TransactionId, readonly Branch[]>()
  // What is counted here is no money.
  world.isJudged = false
  world.faults = {
    lossRate: 0.05,
    duplicateRate: 0.2,
    delayMaxMs: 15,
    strayRate: 0.02,
    strayMaxMs: 500,
    misrouteRate: 0.5
  }
  world.start()
  for (let i = 0; i < 120; i++) {
    world.after(1 + i * 20, () => {
      const transaction = world.newId()
      const branches = someBranches(random)
      if (world.begin(transaction, branches, timeoutMs)) plans.set(transaction, branches)
    })
  }
  for (let i = 1; i < 6; i++) {
    world.after(i * 400, () => {
      const group = world.group(random.nextInt(groupCount) as GroupId)
      if (i % 2 === 0) world.crash(group, random.nextInt(2))
      else world.depose(group, random.nextInt(2), 200)
    })
  }
  world.run(9_000)
  return { world, plans }
}

function someBranches(random: World['random']): Branch[] {
  const first = random.nextInt(groupCount)
  const count = 2 + random.nextInt(groupCount - 1)
  return Array.from({ length: count }, (_, i) => {
    const key = () => `key ${random.nextInt(keysMax)}`
    const write: Operation = { kind: 'add', key: key(), amount: 1 }
    const read: Operation =
      random.nextInt(4) === 0 ? { kind: 'readAll' } : { kind: 'read', key: key() }
    const choice = random.nextInt(3)
    const operations = choice === 0 ? [write] : choice === 1 ? [read] : [write, read]
    return { group: ((first + i) % groupCount) as GroupId, operations }
  })
}

/** What committed transactions saw of each key before they touched it, and what they made of it. */
function historyOf(world: World, plans: ReadonlyMap<TransactionId, readonly Branch[]>): History {
  const history: History = { reads: [], writes: [] }
  for (const [transaction, { outcome, results }] of world.outcomes) {
    if (outcome !== 'committed') continue
    for (const { group, operations } of plans.get(transaction) ?? []) {
      const seen = new Map<string, number>()
      const bytes = results.get(group)
      if (bytes === null || bytes === undefined) throw new Error(`${transaction} without results`)
      for (const [key, version] of decodeResults(bytes)) {
        if (!seen.has(key)) seen.set(key, version)
      }
      if (operations.some(({ kind }) => kind === 'readAll')) {
        for (let i = 0; i < keysMax; i++) if (!seen.has(`key ${i}`)) seen.set(`key ${i}`, 0)
      }
      for (const [key, version] of seen) {
        history.reads.push({ transaction, key: `${group} ${key}`, version })
      }
      for (const operation of operations) {
        if (operation.kind !== 'add') continue
        const version = (seen.get(operation.key) ?? 0) + 1
        history.writes.push({ transaction, key: `${group} ${operation.key}`, version })
      }
    }
  }
  return history
}

/** Who must come before whom. */
function graphOf({ reads, writes }: History): Map<TransactionId, Set<TransactionId>> {
  const graph = new Map<TransactionId, Set<TransactionId>>()
  const writers = new Map<string, TransactionId>()
  const edge = (from: TransactionId | undefined, to: TransactionId | undefined) => {
    if (from === undefined || to === undefined || from === to) return
    const next = graph.get(from) ?? new Set()
    next.add(to)
    graph.set(from, next)
  }
  for (const { transaction, key, version } of writes) {
    const twin = writers.get(`${key} ${version}`)
    // Two made the same version of one: each overwrote the other's.
    edge(twin, transaction)
    edge(transaction, twin)
    writers.set(`${key} ${version}`, transaction)
  }
  for (const { transaction, key, version } of writes) {
    edge(transaction, writers.get(`${key} ${version + 1}`))
  }
  for (const { transaction, key, version } of reads) {
    edge(writers.get(`${key} ${version}`), transaction)
    edge(transaction, writers.get(`${key} ${version + 1}`))
  }
  return graph
}

/** The transactions of one circle; empty: there is none. */
function circleIn(graph: ReadonlyMap<TransactionId, ReadonlySet<TransactionId>>): TransactionId[] {
  const state = new Map<TransactionId, 'open' | 'done'>()
  const path: TransactionId[] = []
  const visit = (at: TransactionId): TransactionId[] | null => {
    if (state.get(at) === 'done') return null
    if (state.get(at) === 'open') return path.slice(path.indexOf(at))
    state.set(at, 'open')
    path.push(at)
    for (const next of graph.get(at) ?? []) {
      const circle = visit(next)
      if (circle !== null) return circle
    }
    path.pop()
    state.set(at, 'done')
    return null
  }
  for (const start of graph.keys()) {
    const circle = visit(start)
    if (circle !== null) return circle
  }
  return []
}
