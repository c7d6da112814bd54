/**
 * How much faster than real time the simulators run, by CPU time so that others on the machine
 * count less: the Raft cores of a group under faults, SWIM with 128 members, whole nodes under
 * faults; and a thousand members of SWIM for ten virtual minutes, with what memory that takes.
 *
 * About three minutes. `BENCH_RUNS` (3), `BENCH_CASES` (a part of the case's name).
 */
import { simulate } from '../lib/testing.js'
import { RaftCluster } from '../test/support/raft/raft-cluster.js'
import { runSwarmWithDeaths } from '../test/support/swarm-with-deaths.js'
import { type BenchFindings, type BenchRow, round, rowOf } from './report.js'

const runs = Number(process.env.BENCH_RUNS ?? 3)
const wantedCase = process.env.BENCH_CASES ?? ''
const raftSeeds = 8
const raftFaultsMs = 20_000
const swarmMs = 120_000
const largeMembers = 1_000
const largeMs = 600_000
const wholeNodes = 5
const wholeSeconds = 30

interface Case {
  readonly name: string
  readonly runs: number
  /** Of the virtual time that this takes, milliseconds. */
  readonly run: (seed: number) => Promise<number>
  /** The figure of virtual seconds in a second of CPU time. */
  readonly target: number
}

const cases: readonly Case[] = [
  { name: 'Raft cores, groups of 1 to 5 under faults', runs, run: raftCores, target: 50 },
  { name: 'SWIM, 128 members', runs, run: (seed) => swarm(128, swarmMs, seed), target: 20 },
  { name: `whole cluster, ${wholeNodes} nodes under faults`, runs, run: whole, target: 20 },
  {
    name: `SWIM, ${largeMembers} members, ten minutes`,
    runs: 1,
    run: (seed) => swarm(largeMembers, largeMs, seed),
    target: 1
  }
]

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  for (const one of cases.filter(({ name }) => name.includes(wantedCase))) {
    progress(`simulation: ${one.name}`)
    const speeds: number[] = []
    let memoryBytes = 0
    for (let seed = 1; seed <= one.runs; seed++) {
      const before = process.cpuUsage()
      const virtualMs = await one.run(seed)
      const { user, system } = process.cpuUsage(before)
      memoryBytes = Math.max(memoryBytes, process.memoryUsage().rss)
      speeds.push((virtualMs * 1_000) / (user + system))
    }
    const row = rowOf(one.name, 'ours', speeds, '× real time')
    rows.push(row, rowOf(`${one.name}: memory`, 'process', [memoryBytes / 2 ** 20], 'MiB'))
    ratios[`${one.name} ours/target`] = round(row.value / one.target)
  }
  return { rows, ratios, skipped: [] }
}

async function raftCores(first: number): Promise<number> {
  let virtualMs = 0
  for (let seed = first * raftSeeds; seed < (first + 1) * raftSeeds; seed++) {
    const cluster = new RaftCluster(seed)
    cluster.run({ faultsMs: raftFaultsMs })
    virtualMs += cluster.now
  }
  return virtualMs
}

async function swarm(members: number, ms: number, seed: number): Promise<number> {
  runSwarmWithDeaths({ members, seed, ms })
  return ms
}

async function whole(seed: number): Promise<number> {
  const { ok, violations, virtualMs } = await simulate(seed, {
    nodes: wholeNodes,
    seconds: wholeSeconds
  })
  if (!ok) throw new Error(`seed ${seed}: ${JSON.stringify(violations[0])}`)
  return virtualMs
}
