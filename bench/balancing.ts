/**
 * How well strategies balance. In simulation: ten servers of four workers with one queue each, one
 * server five times slower, or recovering, or becoming slow; one and eight routers; each strategy
 * as it runs in production, beside two plain algorithms and a balancer that knows every queue's
 * true backlog and speed. And for real (`real`): five nodes with mutual TLS, one of them slowed
 * five times, adaptive and round robin in the same run.
 */
import { type EligibleNode, StrategyNames } from '../src/core/index.js'
import { seedWeights } from '../src/routing/strategies/adaptive-scores.js'
import { StrategyRegistry } from '../src/routing/strategies/registry.js'
import { between, medianOf, p99Of } from './balancing/measures.js'
import { realCluster } from './balancing/real.js'
import {
  type Balancer,
  type CustomChoose,
  type RoomOptions,
  simulateRoom
} from './balancing/simulation.js'
import { type BenchFindings, type BenchRow, round, rowOf } from './report.js'

const seeds = [1, 2, 3, 4, 5]
const loads = [0.5, 0.7, 0.85]
const routersOf = [1, 8]
const seconds = 30
const changeLoad = 0.6
const changeAtSecond = 10
const changeSeconds = 20
const slowness = 5
const room = { servers: 10, workers: 4, serviceMs: 10 }
const registry = new StrategyRegistry({ adaptiveWeights: seedWeights })
const ideal = 'omniscient'

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  for (const routers of routersOf) {
    for (const load of loads) {
      progress(`balancing: ${routers} routers, load ${load}`)
      rows.push(...steady('slow', routers, load, slowness), ...steady('equal', routers, load, 1))
    }
    progress(`balancing: ${routers} routers, a server slows down, a server recovers`)
    rows.push(...slowing(routers), ...recovering(routers))
  }
  const real = await realCluster(progress)
  return {
    rows: [...rows, ...real.rows],
    ratios: { ...ratiosOf(rows), ...real.ratios },
    skipped: []
  }
}

const subjects: readonly { readonly name: string; readonly balancer: Balancer }[] = [
  { name: ideal, balancer: { kind: 'omniscient' } },
  ...Object.values(StrategyNames).map((name) => ({
    name,
    balancer: { kind: 'strategy', make: () => registry.create(name) } as const
  })),
  { name: 'P2C EWMA', balancer: { kind: 'custom', choose: twoByEwma } },
  { name: 'least cost', balancer: { kind: 'custom', choose: leastCost } }
]

/** An answer that never came costs nothing yet. */
const costOf = ({ latencyMs, inFlight }: EligibleNode): number =>
  (Number.isNaN(latencyMs) ? 1 : latencyMs) * (inFlight + 1)

function twoByEwma(nodes: readonly EligibleNode[], { random }: Parameters<CustomChoose>[1]) {
  const first = random.nextInt(nodes.length)
  const second = (first + 1 + random.nextInt(nodes.length - 1)) % nodes.length
  const one = costOf(nodes[first] as EligibleNode)
  return costOf(nodes[second] as EligibleNode) < one ? second : first
}

function leastCost(nodes: readonly EligibleNode[]): number {
  let chosen = 0
  for (let i = 1; i < nodes.length; i++) {
    if (costOf(nodes[i] as EligibleNode) < costOf(nodes[chosen] as EligibleNode)) chosen = i
  }
  return chosen
}

type Sample = (options: RoomOptions, balancer: Balancer) => { p99: number; share: number }

/** For each subject: p99 as a multiple of the omniscient one's of the same seed, and the share. */
function compare(name: string, options: Omit<RoomOptions, 'seed'>, sample: Sample): BenchRow[] {
  const best = seeds.map((seed) => sample({ ...options, seed }, { kind: 'omniscient' }).p99)
  return subjects.flatMap((subject) => {
    const samples = seeds.map((seed) => sample({ ...options, seed }, subject.balancer))
    const ratios = samples.map(({ p99 }, i) => p99 / (best[i] as number))
    const shares = samples.map(({ share }) => 100 * share)
    const p99Ms = round(medianOf(samples.map(({ p99 }) => p99)))
    return [
      { ...rowOf(`${name}: p99`, subject.name, ratios, 'times ideal'), p99_ms: p99Ms },
      rowOf(`${name}: share`, subject.name, shares, '%')
    ]
  })
}

/** The first quarter is not counted: everybody learns in it. */
function steady(kind: string, routers: number, load: number, factor: number): BenchRow[] {
  const options = { ...room, routers, load, seconds, slowness: factor, slownessAt: () => factor }
  return compare(`${kind} load ${load} routers ${routers}`, options, (of, balancer) => {
    const { tookMs, share } = between(simulateRoom(of, balancer), seconds * 250, seconds * 1_000)
    return { p99: p99Of(tookMs), share }
  })
}

const during = (from: number, to: number): Sample => {
  const begin = 1_000 * (changeAtSecond + from)
  const end = 1_000 * (changeAtSecond + to)
  return (of, balancer) => {
    const { tookMs, share } = between(simulateRoom(of, balancer), begin, end)
    return { p99: p99Of(tookMs), share }
  }
}

function slowing(routers: number): BenchRow[] {
  const options = {
    ...room,
    routers,
    load: changeLoad,
    seconds: changeSeconds,
    slowness: 1,
    slownessAt: (second: number) => (second < changeAtSecond ? 1 : slowness)
  }
  return [
    ...compare(`slows first second routers ${routers}`, options, during(0, 1)),
    ...compare(`slows seconds 2-5 routers ${routers}`, options, during(1, 5))
  ]
}

function recovering(routers: number): BenchRow[] {
  const options = {
    ...room,
    routers,
    load: changeLoad,
    seconds: changeSeconds,
    slowness,
    slownessAt: (second: number) => (second < changeAtSecond ? slowness : 1)
  }
  return [
    ...compare(`recovers first second routers ${routers}`, options, during(0, 1)),
    ...compare(`recovers seconds 2-5 routers ${routers}`, options, during(1, 5)),
    ...compare(`recovers after 5 s routers ${routers}`, options, during(5, 10))
  ]
}

/** p99 of the peer over ours. */
function ratiosOf(rows: readonly BenchRow[]): Record<string, number> {
  const ratios: Record<string, number> = {}
  const cases = [...new Set(rows.map((row) => row.case))].filter((name) => name.endsWith(': p99'))
  for (const name of cases) {
    const figureOf = (subject: string) =>
      rows.find((row) => row.case === name && row.subject === subject)?.value ?? 0
    for (const peer of ['P2C EWMA', 'round-robin', 'least-connections']) {
      ratios[`${name} adaptive/${peer}`] = round(figureOf(peer) / figureOf('adaptive'))
    }
  }
  return ratios
}
