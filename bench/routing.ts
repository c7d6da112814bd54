/**
 * What one choice costs: each strategy on live records of 3 to 300 nodes, the plain algorithms that
 * they are measured against, and the whole decision with eligibility and record. And what it
 * allocates: bytes of heap per decision. A whole decision is followed by what its record has to
 * outlive: the query begins at the chosen node, and an earlier one is answered; `begin and answer`
 * is that alone.
 */
import {
  type EligibleNode,
  type GroupId,
  type Member,
  type MonotonicMs,
  type NodeId,
  resolveConfig,
  SplittableRandom,
  StrategyNames,
  type Term,
  unstatedCapacity,
  type WallMs
} from '../src/core/index.js'
import { type NodeLoad, NodeObservations } from '../src/routing/node-observations.js'
import { NodeStandings } from '../src/routing/node-standings.js'
import { type RouteQuestion, Router } from '../src/routing/router.js'
import { StrategyRegistry } from '../src/routing/strategies/registry.js'
import { type BenchFindings, type BenchRow, measure, round, rowOf, type Subject } from './report.js'

const sizes = [3, 10, 30, 100, 300] as const
const now = 100_000
const { routing } = resolveConfig({
  code: {
    node: { id: 'n0000', dataDirectory: 'd' },
    security: { insecure: true },
    cluster: { bootstrap: { voters: ['n0000'] } }
  }
})
const registry = new StrategyRegistry(routing)

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  for (const size of sizes) {
    progress(`routing: ${size} nodes`)
    const subjects = [...ours(size), ...baselines(size)]
    const name = `choice ${size} nodes`
    const timed = measure(name, subjects)
    rows.push(...timed, ...subjects.map((one) => allocation(`allocation ${size} nodes`, one)))
    const figureOf = (subject: string) => timed.find((row) => row.subject === subject)?.value ?? 0
    const pairs = [
      ['adaptive', 'five-term scan'],
      ['two-choices', 'P2C by count'],
      ['peak-ewma', 'P2C EWMA']
    ] as const
    for (const [own, peer] of pairs) {
      ratios[`${name} ${own}/${peer}`] = round(figureOf(peer) / figureOf(own))
    }
  }
  for (const size of sizes) {
    progress(`routing: the whole decision, ${size} nodes`)
    const subjects = wholeDecisions(size)
    rows.push(...measure(`decision ${size} nodes`, subjects))
    rows.push(...subjects.map((one) => allocation(`decision allocation ${size} nodes`, one)))
  }
  return {
    rows,
    ratios,
    skipped: ['load-balancers', 'hashring'].map((peer) => ({
      peer,
      why: 'not among the dependencies'
    }))
  }
}

/** Nodes that answered within the last milliseconds, a tenth of them slow, as under load. */
function loadsOf(size: number): NodeLoad[] {
  const observations = new NodeObservations()
  const random = SplittableRandom.fromSeed(size)
  return Array.from({ length: size }, (_, i) => {
    const load = observations.of(nameOf(i))
    const latencyMs = (i % 10 === 9 ? 50 : 10) * (0.5 + random.nextFloat())
    for (let n = 0; n <= 3; n++) load.begin()
    for (let n = 0; n <= random.nextInt(3); n++) {
      load.end({ latencyMs, utilisation: random.nextFloat(), queueDepth: 3 }, now - 5)
    }
    load.locality = i % 3 === 0 ? 0.75 : 0.5
    return load
  })
}

const nameOf = (i: number): NodeId => `n${String(i).padStart(4, '0')}` as NodeId

function ours(size: number): Subject[] {
  return Object.values(StrategyNames).map((name) => {
    const strategy = registry.create(name)
    const loads = loadsOf(size)
    const random = SplittableRandom.fromSeed(1)
    const context = { now, random, replicasNear: [size, 0, 0] as [number, number, number] }
    return { name, run: () => steadyChoice(loads, strategy.choose(loads, context)) }
  })
}

/** The chosen one gets the query and answers another: the room stays as it is. */
function steadyChoice(loads: readonly NodeLoad[], chosen: number): void {
  const load = loads[chosen] as NodeLoad
  load.inFlight = (load.inFlight + 1) & 3
}

/** The bare algorithms, without interface, weights or what is unknown. */
function baselines(size: number): Subject[] {
  const loads = loadsOf(size)
  const random = SplittableRandom.fromSeed(1)
  return [
    { name: 'P2C by count', run: () => steadyChoice(loads, twoByCount(loads, random)) },
    { name: 'P2C EWMA', run: () => steadyChoice(loads, twoByEwma(loads, random)) },
    { name: 'five-term scan', run: () => steadyChoice(loads, fiveTerms(loads)) }
  ]
}

function twoByCount(loads: readonly EligibleNode[], random: SplittableRandom): number {
  const first = random.nextInt(loads.length)
  const second = random.nextInt(loads.length)
  const one = loads[first] as EligibleNode
  return (loads[second] as EligibleNode).inFlight < one.inFlight ? second : first
}

function twoByEwma(loads: readonly EligibleNode[], random: SplittableRandom): number {
  const first = random.nextInt(loads.length)
  const second = random.nextInt(loads.length)
  const price = ({ latencyMs, answeredAt, inFlight }: EligibleNode) =>
    latencyMs * Math.exp((answeredAt - now) / 1_000) * (inFlight + 1)
  const one = price(loads[first] as EligibleNode)
  return price(loads[second] as EligibleNode) < one ? second : first
}

function fiveTerms(loads: readonly EligibleNode[]): number {
  let chosen = 0
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < loads.length; i++) {
    const { inFlight, latencyMs, utilisation, locality, queueDepth } = loads[i] as EligibleNode
    const score =
      0.3 * inFlight + 0.3 * latencyMs + 0.2 * utilisation - 0.2 * locality + 0.01 * queueDepth
    if (score < best) {
      best = score
      chosen = i
    }
  }
  return chosen
}

/** Bytes per choice, in short rounds of which most see no collection. */
function allocation(what: string, { name, run: choose }: Subject): BenchRow {
  const iterations = 20_000
  const samples: number[] = []
  for (let warm = 0; warm < iterations; warm++) choose()
  for (let roundNumber = 0; roundNumber < 15; roundNumber++) {
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < iterations; i++) choose()
    samples.push(Math.max(0, process.memoryUsage().heapUsed - before) / iterations)
  }
  return rowOf(what, name, samples, 'B')
}

/** By what is kept, and with members that are new each time, so that nothing is. */
function wholeDecisions(size: number): Subject[] {
  const read = wholeDecision(size, 'linearizable')
  const forLeader = wholeDecision(size, 'leader')
  const anew = wholeDecision(size, 'linearizable')
  return [
    { name: 'adaptive read', run: () => read((members) => members) },
    { name: 'to the leader', run: () => forLeader((members) => members) },
    { name: 'adaptive read, judged anew', run: () => anew((members) => [...members]) },
    beginAndAnswer(size)
  ]
}

function beginAndAnswer(size: number): Subject {
  const loads = loadsOf(size)
  let at = 0
  let earlier = loads[0] as NodeLoad
  return {
    name: 'begin and answer',
    run: () => {
      at = at + 1 === size ? 0 : at + 1
      const load = loads[at] as NodeLoad
      load.begin()
      earlier.end(answer, now)
      earlier = load
    }
  }
}

type Members = readonly Member[]

function wholeDecision(size: number, consistency: RouteQuestion['consistency']) {
  const random = SplittableRandom.fromSeed(1)
  const observations = new NodeObservations()
  const standings = new NodeStandings({ random }, routing)
  for (const { node, latencyMs, utilisation } of loadsOf(size)) {
    observations.of(node).begin()
    observations.of(node).end({ latencyMs, utilisation, queueDepth: 3 }, now - 5)
  }
  const router = new Router(
    { observations, standings, random, strategy: registry.create('adaptive') },
    { ...routing, nodeId: nameOf(0), datacenter: '', rack: '' }
  )
  const members = Array.from({ length: size }, (_, i) => memberOf(nameOf(i)))
  const question: { -readonly [K in keyof RouteQuestion]: RouteQuestion[K] } = {
    group: 0 as GroupId,
    kind: 'read',
    consistency,
    members,
    placement: {
      group: 0 as GroupId,
      term: 1 as Term,
      leader: nameOf(0),
      voters: members.map(({ nodeId }) => nodeId)
    },
    hasReplica: true,
    avoid: new Set(),
    now: now as MonotonicMs,
    wallNow: now as WallMs
  }
  let earlier: NodeLoad | null = null
  /** The chosen one gets the query, and the one chosen before answers. */
  return (membersOf: (members: Members) => Members): void => {
    question.members = membersOf(members)
    const load = observations.of(router.choose(question) as NodeId)
    load.begin()
    earlier?.end(answer, now)
    earlier = load
  }
}

const answer = { latencyMs: 10, utilisation: 0.5, queueDepth: 3 }

const memberOf = (nodeId: NodeId): Member => ({
  nodeId,
  address: `${nodeId}:1`,
  incarnation: 1 as Member['incarnation'],
  liveness: 'alive',
  lifecycle: 'up',
  health: 'healthy',
  datacenter: '',
  rack: '',
  metadata: {},
  capacity: unstatedCapacity,
  tags: [],
  lastSeen: 0 as MonotonicMs
})
