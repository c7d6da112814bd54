/**
 * Many groups in three processes, each with an engine that holds nothing: what a group costs in
 * memory, and what a thousand of them say and do when nobody asks for anything; beside the same
 * cluster with sleep switched off.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeUse } from './groups/node-main.js'
import { type BenchFindings, type BenchRow, rowOf } from './report.js'

const many = 1_000
const idleMs = 10_000
const readyWithinMs = 600_000
const nodeIds = ['n1', 'n2', 'n3'] as const
const nodeMain = new URL('./groups/node-main.js', import.meta.url)

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const alone = await measure(1, true, progress)
  const asleep = await measure(many, true, progress)
  const awake = await measure(many, false, progress)
  const perGroup = (asleep.rssBytes - alone.rssBytes) / (many - 1) / 1_024
  return {
    rows: [
      rowOf('memory of a group on a node', 'skein', [perGroup], 'KiB'),
      ...rowsOf(`${many} idle groups, asleep`, asleep),
      ...rowsOf(`${many} idle groups, awake`, awake),
      ...rowsOf('1 idle group', alone)
    ],
    ratios: {
      'CPU of idle groups asleep/awake': Math.round((100 * awake.cpuMs) / asleep.cpuMs) / 100
    },
    skipped: []
  }
}

/** Of one node, the mean of three, in a second. */
type Idle = Pick<NodeUse, 'rssBytes' | 'cpuMs' | 'messagesSent' | 'bytesSent' | 'hostBeats'>

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
): Promise<Idle> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-groups-'))
  const nodes = await startNodes(directory, groups, sleeps)
  try {
    progress(`groups: ${groups}, ${sleeps ? 'asleep when idle' : 'always awake'}`)
    // The control group is one more.
    const all = groups + 1
    const isReady = ({ asleep, led }: NodeUse) => led === all && asleep === (sleeps ? all : 0)
    await until(async () => (await Promise.all(nodes.map(ask))).every(isReady))
    const before = await Promise.all(nodes.map(ask))
    await pause(idleMs)
    const after = await Promise.all(nodes.map(ask))
    const rate = (name: keyof Idle) => (meanOf(after, name) - meanOf(before, name)) / (idleMs / 1e3)
    return {
      rssBytes: meanOf(after, 'rssBytes'),
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

async function ask(node: ChildProcess): Promise<NodeUse> {
  node.send('use')
  const [use] = await once(node, 'message')
  return use as NodeUse
}

const meanOf = (uses: readonly NodeUse[], name: keyof Idle): number =>
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

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + readyWithinMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('the groups did not come to rest')
    await pause(500)
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
