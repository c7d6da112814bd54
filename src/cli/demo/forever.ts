/** `demo` without `--once`: the cluster and its workload until interrupted. */
import { randomBytes } from 'node:crypto'
import { type ClusterEvent, RingBuffer, SplittableRandom } from '../../core/index.js'
import { type Output, printable } from '../output.js'
import type { ClusterClient } from './cluster-client.js'
import { describeEvent, frame, type LiveFigures, renderLive } from './live-view.js'
import { loadBank } from './load.js'
import { readersPerNode, writersPerNode } from './once.js'
import type { DemoOptions } from './options.js'
import { pause } from './pause.js'
import { rounded } from './report.js'
import { type Shards, spreadBank } from './shards.js'
import type { Supervisor } from './supervisor.js'
import { Tally } from './tally.js'
import { Workload } from './workload.js'
import type { Workspace } from './workspace.js'

const startTimeoutMs = 30_000
const refreshIntervalMs = 1_000
const shownEvents = 16
const progressBarWidth = 32
/** Long enough to see the others go on without it. */
export const reviveAfterMs = 5_000
const earlyEvents = 256

/** What the running demo shows: a screen, or one JSON object a line. */
export interface Display {
  event(nodeId: string, event: ClusterEvent): void
  exit(nodeId: string, how: string): void
  ready(supervisor: Supervisor, workspace: Workspace): void
  /** How much of the accounts is there, from 0 to 1. */
  loading(share: number): void
  refresh(supervisor: Supervisor, workspace: Workspace, figures: LiveFigures): Promise<void>
  close(): void
}

export async function runForever(
  supervisor: Supervisor,
  workspace: Workspace,
  options: DemoOptions,
  display: Display,
  signal: AbortSignal
): Promise<void> {
  let cluster: ClusterClient | null = null
  try {
    await supervisor.start(startTimeoutMs)
    display.ready(supervisor, workspace)
    cluster = await supervisor.connectClients()
    const shards = await spreadBank(supervisor, cluster, options.scale, signal)
    await loadBank(cluster, options.scale, (share) => display.loading(share), signal)
    await work({ supervisor, workspace, cluster, shards, display, signal }, options)
  } catch (error) {
    // Being interrupted is how this ends.
    if (!signal.aborted) throw error
  } finally {
    display.close()
    await cluster?.close()
  }
}

interface Running {
  readonly supervisor: Supervisor
  readonly workspace: Workspace
  readonly cluster: ClusterClient
  readonly shards: Shards
  readonly display: Display
  readonly signal: AbortSignal
}

async function work(running: Running, options: DemoOptions): Promise<void> {
  const { supervisor, workspace, cluster, shards, display, signal } = running
  const tally = new Tally()
  const random = SplittableRandom.fromSeed(options.seed).split('workload')
  const { nodes, scale } = options
  const runId = randomBytes(4).toString('hex')
  const workload = new Workload(
    { cluster, tally, random, shards },
    { nodes, scale, runId, writersPerNode, readersPerNode }
  )
  const meter = new Meter(tally)
  try {
    await workload.start()
    for (;;) {
      await pause(refreshIntervalMs, signal)
      await display.refresh(supervisor, workspace, meter.read())
    }
  } finally {
    await workload.stop()
  }
}

/** Rates and latencies since it was read last. */
class Meter {
  readonly #tally: Tally
  #at = performance.now()
  #writes = 0
  #reads = 0

  constructor(tally: Tally) {
    this.#tally = tally
  }

  read(): LiveFigures {
    const now = performance.now()
    const { figures } = this.#tally
    const seconds = (now - this.#at) / 1_000
    const read = {
      writesPerSecond: rounded((figures.writes - this.#writes) / seconds),
      readsPerSecond: rounded((figures.reads - this.#reads) / seconds),
      writeP50Ms: rounded(this.#tally.writeLatencyMs(50)),
      writeP99Ms: rounded(this.#tally.writeLatencyMs(99)),
      errors: figures.writeErrors + figures.readErrors + figures.writesIndeterminate
    }
    this.#at = now
    this.#writes = figures.writes
    this.#reads = figures.reads
    this.#tally.resetLatency()
    return read
  }
}

/** One JSON object a line on standard output. */
export function jsonDisplay(output: Output): Display {
  // Readers wait for the line `ready` first: what happens before it is told after it.
  const early = new RingBuffer<object>(earlyEvents)
  let isReady = false
  const tell = (facts: object) => output.line(JSON.stringify(facts))
  const say = (facts: object) => (isReady ? tell(facts) : early.push(facts))
  return {
    event: (node, event) => say({ event: event.type, node, ...event }),
    exit: (node, how) => say({ event: 'exit', node, how }),
    ready(supervisor, workspace) {
      const nodes = supervisor.nodes.map(({ options, pid }) => {
        const { id, address, admin, dataDirectory: data } = options
        return { id, pid, address, admin, data }
      })
      tell({ event: 'ready', nodes, token: workspace.authority.tokenFile })
      isReady = true
      for (const facts of early.toArray()) tell(facts)
    },
    loading: () => {},
    refresh: async (_supervisor, _workspace, figures) => say({ event: 'figures', ...figures }),
    close: () => {}
  }
}

/** A screen of its own that is drawn again in place; the terminal is as before when it closes. */
export function terminalDisplay(terminal: NodeJS.WriteStream, isColoured: boolean): Display {
  const events = new RingBuffer<string>(shownEvents)
  terminal.write('\x1b[?1049h\x1b[?25l\x1b[H\x1b[2Jstarting the nodes…\n')
  return {
    event: (node, event) => void events.push(describeEvent(node, event)),
    exit: (node, how) => void events.push(`${node} ended: ${printable(how)}`),
    ready: () => {},
    loading: (share) => void terminal.write(`\r${progressBar(share)}\x1b[K`),
    async refresh(supervisor, workspace, figures) {
      const views = await supervisor.views()
      const nodes = supervisor.nodes.map(({ options, pid }, i) => {
        const { id, address, admin } = options
        return { id, view: views[i]?.view ?? null, pid, address, admin }
      })
      const { columns = 80, rows = 24 } = terminal
      const state = {
        nodes,
        figures,
        events: events.toArray(),
        environmentFile: workspace.environmentFile,
        dataDirectory: workspace.directory,
        revivedAfterMs: reviveAfterMs
      }
      terminal.write(frame(renderLive(state, rows - 1), columns, rows, isColoured))
    },
    close: () => void terminal.write('\x1b[?25h\x1b[?1049lstopping…\n')
  }
}

function progressBar(share: number): string {
  const full = Math.round(share * progressBarWidth)
  const bar = '█'.repeat(full) + '░'.repeat(progressBarWidth - full)
  return `loading accounts  ${bar}  ${Math.floor(share * 100)} %`
}
