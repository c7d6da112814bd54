import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AdminClient, type Outcome } from '../../src/cli/admin-client.js'
import {
  type ReplicaChecksum,
  Supervisor,
  type SupervisorHandlers
} from '../../src/cli/demo/supervisor.js'
import { openWorkspace, type Workspace } from '../../src/cli/demo/workspace.js'
import type { QueryAnswer } from '../../src/cli/query-answer.js'
import type { ClusterAnswer } from '../../src/cli/status-command.js'
import {
  type ClusterEvent,
  type ConfigInput,
  type GroupStatus,
  must
} from '../../src/core/index.js'
import { mainFile } from './main-file.js'

type Tap = { teardown(handler: () => unknown): void }
type Metrics = Readonly<Record<string, Readonly<Record<string, number>>>>
type Consistency = 'linearizable' | 'leader' | 'local'

export interface QueryChoices {
  readonly timeoutMs?: number
  readonly consistency?: Consistency
  readonly key?: string
}

const pollIntervalMs = 100
const startTimeoutMs = 30_000
const queryTimeoutMs = 10_000
const askTimeoutMs = 5_000

/** Starts in a fraction of the time that processes take. */
const lightEngine = { isolation: 'thread', readers: 1 } as const
/** As `skein node` has it; for what is about the engine's processes, or the whole as it is run. */
export const shippedEngine = { isolation: 'process', readers: 2 } as const

type Changes = Pick<
  ConfigInput,
  'cluster' | 'consensus' | 'engine' | 'membership' | 'security' | 'routing'
>
type EventHandler = (nodeId: string, event: ClusterEvent) => void

/** Real `skein node` processes with certificates of their own; all are gone when the test ends. */
export class ProcessCluster {
  readonly workspace: Workspace
  readonly supervisor: Supervisor
  /** Exits that nobody asked for. */
  readonly unexpectedExits: string[] = []
  readonly #eventHandlers: EventHandler[]
  readonly #admins = new Map<string, AdminClient>()

  /** @param changes fields in the place of the demo's, by section, for each node's directory */
  static async start(
    t: Tap,
    nodes: number,
    changes: Changes | ((directory: string) => Changes) = {}
  ): Promise<ProcessCluster> {
    const workspace = await openWorkspace({ nodes, scale: 1, dataDirectory: null })
    t.teardown(() => workspace.release())
    const exits: string[] = []
    const eventHandlers: EventHandler[] = []
    const handlers: SupervisorHandlers = {
      onEvent: (id, event) => {
        for (const handler of eventHandlers) handler(id, event)
      },
      onUnexpectedExit: (id, how) => exits.push(`${id}: ${how}`)
    }
    const supervisor = await Supervisor.prepare(workspace, 0, handlers, mainFile)
    const cluster = new ProcessCluster(workspace, supervisor, exits, eventHandlers)
    for (const id of workspace.nodeIds) {
      const own = typeof changes === 'function' ? changes(join(workspace.directory, id)) : changes
      await changeConfig(cluster.configFile(id), { engine: lightEngine, ...own })
    }
    t.teardown(() => cluster.#end())
    await supervisor.start(startTimeoutMs)
    return cluster
  }

  private constructor(
    workspace: Workspace,
    supervisor: Supervisor,
    exits: string[],
    eventHandlers: EventHandler[]
  ) {
    this.workspace = workspace
    this.supervisor = supervisor
    this.unexpectedExits = exits
    this.#eventHandlers = eventHandlers
    for (const { options } of supervisor.nodes) {
      const client = new AdminClient({
        url: options.admin,
        token: workspace.token,
        socketsMax: 64
      })
      this.#admins.set(options.id, client)
    }
  }

  onEvent(handler: EventHandler): void {
    this.#eventHandlers.push(handler)
  }

  get ids(): readonly string[] {
    return this.workspace.nodeIds
  }

  others(...except: string[]): string[] {
    return this.ids.filter((id) => !except.includes(id))
  }

  node(id: string) {
    return must(
      this.supervisor.nodes.find(({ options }) => options.id === id),
      id
    )
  }

  admin(id: string): AdminClient {
    return must(this.#admins.get(id), id)
  }

  configFile(id: string): string {
    return join(this.workspace.directory, `${id}.json`)
  }

  certificates(): string {
    return join(this.workspace.directory, 'certs')
  }

  /** Host and port that the nodes talk to each other on. */
  port(id: string): number {
    return Number(this.node(id).options.address.split(':')[1])
  }

  /** Nothing is handed over or flushed; resolves when the process is gone. */
  async kill(id: string): Promise<void> {
    const node = this.node(id)
    node.kill()
    await node.exited()
  }

  pause(id: string): void {
    this.#signal(id, 'SIGSTOP')
  }

  resume(id: string): void {
    this.#signal(id, 'SIGCONT')
  }

  query(id: string, sql: string, choices: QueryChoices = {}): Promise<Outcome> {
    const timeoutMs = choices.timeoutMs ?? queryTimeoutMs
    const body = { sql, ...choices, timeoutMs }
    return this.admin(id).post('/v1/query', body, timeoutMs + 1_000)
  }

  /** @throws Error when the node did not do it */
  async run(id: string, sql: string, choices: QueryChoices = {}): Promise<QueryAnswer> {
    const outcome = await this.query(id, sql, choices)
    if (outcome.kind === 'answer') return outcome.body as QueryAnswer
    throw new Error(`${id} did not run ${sql}: ${JSON.stringify(outcome)}`)
  }

  async view(id: string): Promise<ClusterAnswer> {
    const outcome = await this.admin(id).get('/v1/cluster', askTimeoutMs)
    if (outcome.kind === 'answer') return outcome.body as ClusterAnswer
    throw new Error(`${id} does not say what it sees: ${JSON.stringify(outcome)}`)
  }

  async group(id: string): Promise<GroupStatus> {
    return must((await this.view(id)).groups[0], `${id} has no replica`)
  }

  async metrics(id: string): Promise<Metrics> {
    return must(await this.supervisor.metricsOf(id), `metrics of ${id}`)
  }

  async metric(id: string, category: string, name: string): Promise<number> {
    return must((await this.metrics(id))[category]?.[name], `${category}.${name}`)
  }

  async checksum(id: string): Promise<ReplicaChecksum> {
    const outcome = await this.admin(id).get('/v1/checksums', askTimeoutMs)
    if (outcome.kind !== 'answer') throw new Error(`${id} has no checksum`)
    const { replicas } = outcome.body as { readonly replicas: readonly ReplicaChecksum[] }
    return must(replicas[0], `${id} has no replica`)
  }

  /** The leader that all of `among` agree on, in one term. */
  async leader(among: readonly string[] = this.ids, timeoutMs = startTimeoutMs): Promise<string> {
    let leader: string | null = null
    await until('one leader that all know', timeoutMs, async () => {
      const groups = await Promise.all(among.map((id) => this.group(id)))
      leader = groups[0]?.leader ?? null
      const terms = new Set(groups.map(({ term, leader: named }) => `${term} ${named}`))
      return leader !== null && terms.size === 1 && among.includes(leader)
    })
    return must<string>(leader, 'leader')
  }

  #signal(id: string, signal: NodeJS.Signals): void {
    process.kill(must(this.node(id).pid, `${id} runs`), signal)
  }

  /** Nodes are told nothing: what a test wants to see of an orderly stop, it does itself. */
  async #end(): Promise<void> {
    for (const admin of this.#admins.values()) admin.close()
    this.supervisor.kill()
    await Promise.all(this.supervisor.nodes.map((node) => node.exited()))
    await this.supervisor.stop()
  }
}

async function changeConfig(file: string, changes: object): Promise<void> {
  const config = JSON.parse(await readFile(file, 'utf8'))
  for (const [section, fields] of Object.entries(changes)) {
    config[section] = { ...config[section], ...fields }
  }
  await writeFile(file, JSON.stringify(config))
}

/** Asks again and again; a throw counts as no. @throws Error naming what did not come about */
export async function until(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean>
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (let last = 'false'; ; ) {
    try {
      if (await holds()) return
      last = 'false'
    } catch (error) {
      last = (error as Error).message
    }
    if (performance.now() >= deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what} (last: ${last})`)
    }
    await pause(pollIntervalMs)
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))
