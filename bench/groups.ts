/**
 * Many groups in three processes, each with an engine that holds nothing: what a group costs in
 * memory, how long a thousand of them take from the start of the processes until each has a leader
 * and until all are at rest, and what they say and do when nobody asks for anything; beside the
 * same cluster with sleep switched off.
 *
 * About two minutes. `BENCH_GROUPS` (1,000).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeQuestion, NodeUse } from './groups/node-main.js'
import { type BenchFindings, type BenchRow, round, rowOf } from './report.js'

const many = Number(process.env.BENCH_GROUPS ?? 1_000)
const idleMs = 10_000
const pollMs = 500
const tellMs = 5_000
const readyWithinMs = 300_000
/** Of those that stay awake, which are for comparison alone. */
const awakeWithinMs = 120_000
const nodeIds = ['n1', 'n2', 'n3'] as const
const nodeMain = new URL('./groups/node-main.js', import.meta.url)

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const alone = await measure(1, true, progress)
  const asleep = await measure(many, true, progress)
  // On a busy machine their heartbeats alone may be too much: then there is nothing to compare.
  const awake = await measure(many, false, progress).catch((error: Error) => error)
  const perGroup = (asleep.rssBytes - alone.rssBytes) / (many - 1) / 1_024
  return {
    rows: [
      rowOf('memory of a group on a node', 'skein', [perGroup], 'KiB'),
      ...startRowsOf(`${many} groups`, asleep),
      ...rowsOf(`${many} idle groups, asleep`, asleep),
      ...(awake instanceof Error ? [] : rowsOf(`${many} idle groups, awake`, awake)),
      ...rowsOf('1 idle group', alone)
    ],
    ratios:
      awake instanceof Error
        ? {}
        : { 'CPU of idle groups asleep/awake': round(awake.cpuMs / asleep.cpuMs) },
    skipped: awake instanceof Error ? [{ peer: 'always awake', why: awake.message }] : []
  }
}

/** From the start of the processes on. */
interface Start {
  readonly ledAfterMs: number
  readonly restAfterMs: number
  /** Of one node, the mean of three. */
  readonly startCpuMs: number
  /** Of all nodes: terms that had a leader, for each group. */
  readonly electionsPerGroup: number
}

/** Of one node, the mean of three, in a second. */
type Idle = Pick<NodeUse, 'rssBytes' | 'cpuMs' | 'messagesSent' | 'bytesSent' | 'hostBeats'>

const startRowsOf = (name: string, start: Start): BenchRow[] => [
  rowOf(`${name}: all led after`, 'three nodes', [start.ledAfterMs / 1e3], 's'),
  rowOf(`${name}: all at rest after`, 'three nodes', [start.restAfterMs / 1e3], 's'),
  rowOf(`${name}: CPU until then`, 'a node', [start.startCpuMs / 1e3], 's'),
  rowOf(`${name}: elections until then`, 'a group', [start.electionsPerGroup], '')
]

const rowsOf = (name: string, { bytesSent, cpuMs, hostBeats, messagesSent }: Idle): BenchRow[] => [
  rowOf(`${name}: CPU`, 'a node', [cpuMs], 'ms/s'),
  rowOf(`${name}: messages`, 'a node', [messagesSent], '/s'),
  rowOf(`${name}: of these heartbeats`, 'a node', [hostBeats], '/s'),
  rowOf(`${name}: sent`, 'a node', [bytesSent / 1_024], 'KiB/s')
]

async function measure(
  groups: number,
  sleeps: boolean,
  progress: (line: string) => void
): Promise<Idle & Start> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-groups-'))
  const startedAt = performance.now()
  const nodes = await startNodes(directory, groups, sleeps)
  try {
    progress(`groups: ${groups}, ${sleeps ? 'asleep when idle' : 'always awake'}`)
    const start = await untilAtRest(nodes, { groups, sleeps, startedAt }, progress)
    const before = await Promise.all(nodes.map((node) => ask(node)))
    await pause(idleMs)
    const after = await Promise.all(nodes.map((node) => ask(node)))
    const left = await Promise.all(nodes.map((node) => ask(node, 'collected')))
    const rate = (name: keyof Idle) => (meanOf(after, name) - meanOf(before, name)) / (idleMs / 1e3)
    return {
      ...start,
      rssBytes: meanOf(left, 'rssBytes'),
      cpuMs: rate('cpuMs'),
      messagesSent: rate('messagesSent'),
      bytesSent: rate('bytesSent'),
      hostBeats: rate('hostBeats')
    }
  } finally {
    for (const node of nodes) node.kill('SIGKILL')
    await Promise.all(nodes.map((node) => node.exitCode ?? once(node, 'exit')))
    await rm(directory, { recursive: true, force: true })
  }
}

/** Every node knows a leader of every group, and all of them sleep where they may. */
async function untilAtRest(
  nodes: readonly ChildProcess[],
  of: { readonly groups: number; readonly sleeps: boolean; readonly startedAt: number },
  progress: (line: string) => void
): Promise<Start> {
  // The control group is one more.
  const all = of.groups + 1
  let ledAfterMs: number | null = null
  for (let toldAt = 0; ; ) {
    const uses = await Promise.all(nodes.map((node) => ask(node)))
    const afterMs = performance.now() - of.startedAt
    const sum = (name: keyof NodeUse) => uses.reduce((total, use) => total + use[name], 0)
    if (uses.every(({ led }) => led === all)) ledAfterMs ??= afterMs
    if (ledAfterMs !== null && uses.every(({ asleep }) => asleep === (of.sleeps ? all : 0))) {
      const electionsPerGroup = sum('elections') / all
      const startCpuMs = meanOf(uses, 'cpuMs')
      return { ledAfterMs, restAfterMs: afterMs, startCpuMs, electionsPerGroup }
    }
    if (afterMs > (of.sleeps ? readyWithinMs : awakeWithinMs))
      throw new Error('the groups did not come to rest')
    if (afterMs - toldAt >= tellMs) {
      toldAt = afterMs
      const counts = (['led', 'asleep', 'elections', 'moved'] as const).map(
        (name) => `${name} ${uses.map((use) => use[name]).join('/')}`
      )
      progress(`groups: ${Math.round(afterMs / 1e3)} s of ${all}: ${counts.join(', ')}`)
    }
    await pause(pollMs)
  }
}

async function startNodes(
  directory: string,
  groups: number,
  sleeps: boolean
): Promise<ChildProcess[]> {
  const ports = await Promise.all(nodeIds.map(freePort))
  return nodeIds.map((id, i) => {
    const config = {
      node: { id, dataDirectory: join(directory, id), listenAddress: `127.0.0.1:${ports[i]}` },
      cluster: {
        name: 'groups',
        groups,
        bootstrap: { voters: nodeIds },
        seeds: ports.filter((_, other) => other !== i).map((port) => `127.0.0.1:${port}`)
      },
      consensus: sleeps ? {} : { quiesceAfterMs: 0 },
      security: { insecure: true }
    }
    return fork(nodeMain, [JSON.stringify(config)], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc']
    })
  })
}

async function ask(node: ChildProcess, question: NodeQuestion = 'use'): Promise<NodeUse> {
  node.send(question)
  const [use] = await once(node, 'message')
  return use as NodeUse
}

const meanOf = (uses: readonly NodeUse[], name: keyof NodeUse): number =>
  uses.reduce((sum, use) => sum + use[name], 0) / uses.length

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
