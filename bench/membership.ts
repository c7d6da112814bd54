/**
 * Real members: drivers over UDP with sealed datagrams and over TCP, 64 of them in four processes.
 * Beside what is measured stand the formulas and what was published of memberlist at 64 members.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { resolveConfig } from '../src/core/index.js'
import { probeMs, suspicionMinMs } from '../src/network/membership/formulas.js'
import { Hosts } from './membership/hosts.js'
import type { Usage } from './membership/protocol.js'
import { type BenchFindings, type BenchRow, round, rowOf } from './report.js'

const members = 64
const processes = 4
const runs = 3
const killed = 5
const killPauseMs = 300
const settleMs = 5_000
const restMs = 20_000
const patienceMs = 60_000

/** docs/performance.md: memberlist's LAN profile at 64 members, in one process. */
const published = {
  'join all know all': [2_019, 'ms'],
  'metadata median member': [399, 'ms'],
  'metadata last member': [598, 'ms'],
  suspicion: [1_500, 'ms'],
  'dead first': [8_700, 'ms'],
  'dead everywhere': [9_200, 'ms'],
  'datagrams sent at rest': [2, '1/s'],
  'bytes sent at rest': [93, 'B/s'],
  'cpu per member': [0.045, '%'],
  'memory per member': [0.45, 'MB']
} as const
type Case = keyof typeof published

type Samples = Map<Case, number[]>

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const samples: Samples = new Map()
  for (let i = 1; i <= runs; i++) {
    progress(`membership: run ${i} of ${runs}, ${members} members in ${processes} processes`)
    const hosts = await Hosts.start(members, processes)
    try {
      await measure(hosts, samples, progress)
    } finally {
      await hosts.stop()
    }
  }
  return findingsOf(samples)
}

async function measure(
  hosts: Hosts,
  samples: Samples,
  progress: (line: string) => void
): Promise<void> {
  const add = (name: Case, value: number): void => {
    samples.set(name, [...(samples.get(name) ?? []), value])
    progress(`  ${name}: ${round(value)} ${published[name][1]}`)
  }
  add('join all know all', await join(hosts))
  await delay(settleMs)
  const spread = await spreadOf(hosts)
  add('metadata median member', spread[Math.floor(spread.length / 2)] ?? Number.NaN)
  add('metadata last member', spread.at(-1) ?? Number.NaN)
  await delay(settleMs)
  const before = await hosts.usage()
  await delay(restMs)
  addRest(before, await hosts.usage(), add)
  for (const [name, value] of await killSome(hosts)) add(name, value)
}

/** All through one, all at once. */
async function join(hosts: Hosts): Promise<number> {
  const started = Date.now()
  hosts.sendAll({ kind: 'join', seed: hosts.places[0]?.address ?? '' })
  const complete = () => hosts.told.filter(({ kind }) => kind === 'complete')
  const isDone = await hosts.until(() => complete().length === members, patienceMs)
  if (!isDone) throw new Error(`${complete().length} of ${members} know all`)
  return Math.max(...hosts.told.map((told) => (told.kind === 'complete' ? told.atMs : 0))) - started
}

async function spreadOf(hosts: Hosts): Promise<number[]> {
  const owner = hosts.places[7]?.nodeId ?? ''
  const started = Date.now()
  hosts.sendTo(owner, { kind: 'set', nodeId: owner, key: 'bench', value: 'spread' })
  const seen = (): number[] =>
    hosts.told.flatMap((told) =>
      told.kind === 'metadata' && told.viewer !== owner ? [told.atMs - started] : []
    )
  const isDone = await hosts.until(() => seen().length >= members - 1, patienceMs)
  if (!isDone) throw new Error(`metadata reached ${seen().length} of ${members - 1}`)
  return seen().sort((a, b) => a - b)
}

function addRest(
  before: readonly Usage[],
  after: readonly Usage[],
  add: (name: Case, value: number) => void
): void {
  const sum = (usages: readonly Usage[], of: (usage: Usage) => number): number =>
    usages.reduce((total, usage) => total + of(usage), 0)
  const grown = (of: (usage: Usage) => number): number => sum(after, of) - sum(before, of)
  const seconds = grown(({ atMs }) => atMs) / processes / 1_000
  add('datagrams sent at rest', grown(({ datagrams }) => datagrams) / members / seconds)
  add('bytes sent at rest', grown(({ bytes }) => bytes) / members / seconds)
  add('cpu per member', grown(({ cpuMs }) => cpuMs) / 10 / members / seconds)
  const held = sum(after, ({ rssBytes, emptyRssBytes }) => rssBytes - emptyRssBytes)
  add('memory per member', held / members / 1_048_576)
}

/** Medians over the killed. */
async function killSome(hosts: Hosts): Promise<[Case, number][]> {
  const victims = hosts.places.slice(-killed).map(({ nodeId }) => nodeId)
  const killedAt = new Map<string, number>()
  for (const nodeId of victims) {
    killedAt.set(nodeId, Date.now())
    hosts.sendTo(nodeId, { kind: 'kill', nodeId })
    await delay(killPauseMs)
  }
  const times = (kind: 'suspected' | 'dead', nodeId: string): number[] =>
    hosts.told
      .flatMap((told) =>
        told.kind === kind && told.nodeId === nodeId && !victims.includes(told.viewer)
          ? [told.atMs - (killedAt.get(nodeId) ?? 0)]
          : []
      )
      .sort((a, b) => a - b)
  const isKnown = (nodeId: string): boolean => times('dead', nodeId).length === members - killed
  const isDone = await hosts.until(() => victims.every(isKnown), patienceMs)
  if (!isDone) throw new Error('a death is not known everywhere')
  const median = (of: (nodeId: string) => number): number =>
    victims.map(of).sort((a, b) => a - b)[Math.floor(killed / 2)] ?? Number.NaN
  const falseDeaths = hosts.told.filter(
    (told) => told.kind === 'dead' && !victims.includes(told.nodeId)
  )
  if (falseDeaths.length > 0) throw new Error(`${falseDeaths.length} false deaths`)
  return [
    ['suspicion', median((nodeId) => times('suspected', nodeId)[0] ?? Number.NaN)],
    ['dead first', median((nodeId) => times('dead', nodeId)[0] ?? Number.NaN)],
    ['dead everywhere', median((nodeId) => times('dead', nodeId).at(-1) ?? Number.NaN)]
  ]
}

function findingsOf(samples: Samples): BenchFindings {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  const formulas = formulasOf()
  for (const [name, values] of samples) {
    const [peerValue, unit] = published[name]
    const ours = rowOf(name, 'skein', values, unit)
    rows.push(ours)
    const formula = formulas[name]
    if (formula !== undefined) rows.push(rowOf(name, 'formula', [round(formula)], unit))
    rows.push(rowOf(name, 'memberlist, published', [peerValue], unit))
    // Less is better in every case.
    ratios[`${name} skein/memberlist, published`] = round(peerValue / ours.value)
  }
  return {
    rows,
    ratios,
    skipped: [
      {
        peer: 'memberlist',
        why: 'not on this machine; its rows are the figures of docs/performance.md, not of this run'
      }
    ]
  }
}

function formulasOf(): Partial<Record<Case, number>> {
  const { membership } = resolveConfig({
    code: {
      node: { id: 'n', dataDirectory: 'n' },
      cluster: { bootstrap: { voters: ['n'] } },
      security: { insecure: true }
    }
  })
  const { probeIntervalMs, gossipIntervalMs, gossipFanout } = membership
  const suspicion = probeIntervalMs + probeMs(membership)
  return {
    'metadata last member': (Math.log(members) / Math.log(1 + gossipFanout)) * gossipIntervalMs,
    suspicion,
    'dead first': suspicion + suspicionMinMs(membership, members),
    'datagrams sent at rest': 2 * (1_000 / probeIntervalMs)
  }
}
