import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AdminClient } from '../../src/cli/admin-client.js'
import type { ClientAccess } from '../../src/cli/demo/cluster-client.js'
import { choosePorts } from '../../src/cli/demo/ports.js'
import { groupOf, leaderAmong, type ReplicaChecksum } from '../../src/cli/demo/supervisor.js'
import type { ClusterAnswer } from '../../src/cli/status-command.js'
import {
  type ConfigInput,
  must,
  type PeerIdentity,
  toNodeId,
  type WallMs
} from '../../src/core/index.js'
import { authorityFiles, createAuthority, issuePeer, peerFiles } from '../../src/network/index.js'
import type { Namespaces } from '../netns/namespaces.js'
import { mainFile } from '../support/main-file.js'
import { type Armed, armedText } from './crash-points/crash-points.js'
import { TortureNode } from './torture-node.js'

export interface TortureClusterOptions {
  readonly nodes: number
  /** Hosts of their own for the nodes; null: all on the loopback interface. */
  readonly hosts: Namespaces | null
  /** Kills are power failures; the seed says what of the un-synced survives. */
  readonly volatileSeed: number | null
  /** Fields in the place of those of `#configureNode`. */
  readonly changes?: Pick<ConfigInput, 'cluster' | 'consensus'>
  /** Before the nodes are started for the first time. */
  readonly beforeStart?: (cluster: TortureCluster) => Promise<void>
}

const endSignals = ['SIGINT', 'SIGTERM'] as const
const clusterName = 'torture'
const hostPort = 7946
const askTimeoutMs = 2_000
const checksumTimeoutMs = 10_000
const memberChangeTimeoutMs = 20_000
const wholeTimeoutMs = 180_000
const adminSockets = 32
const validity = { now: Date.now() as WallMs, days: 30 }
const volatileMainFile = fileURLToPath(new URL('volatile-node-main.js', import.meta.url))

interface Place {
  readonly cluster: string
  readonly admin: string
}

/** Real node processes with mutual TLS and the SQLite engine, under the hands of a nemesis. */
export class TortureCluster {
  readonly ids: readonly string[]
  /** Ends that nobody asked for. */
  readonly crashes: string[] = []
  readonly directory: string
  readonly hosts: Namespaces | null
  readonly #options: TortureClusterOptions
  readonly #nodes = new Map<string, TortureNode>()
  readonly #admins = new Map<string, AdminClient>()
  #access: ClientAccess | null = null
  #starts = 0
  #isInterrupted = false
  /** Whoever interrupts a run leaves neither processes nor namespaces behind. */
  readonly #interrupt = () => {
    // A terminal tells the whole group, and who started it tells it again.
    if (this.#isInterrupted) return
    this.#isInterrupted = true
    void this.#release().finally(() => process.exit(1))
  }

  private constructor(directory: string, options: TortureClusterOptions) {
    this.directory = directory
    this.hosts = options.hosts
    this.#options = options
    this.ids = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`)
  }

  /** Resolves when all serve and one leads. */
  static async start(options: TortureClusterOptions): Promise<TortureCluster> {
    const directory = await mkdtemp(join(tmpdir(), 'skein-torture-'))
    const cluster = new TortureCluster(directory, options)
    for (const signal of endSignals) process.on(signal, cluster.#interrupt)
    try {
      await cluster.#configure()
      await options.beforeStart?.(cluster)
      await cluster.startAll()
      await cluster.untilWhole(wholeTimeoutMs)
    } catch (error) {
      await cluster.stop({ keepsFiles: true })
      throw error
    }
    return cluster
  }

  /** For one run; what it leaves is kept when the run is not sound. */
  static async during<Report extends { readonly ok: boolean }>(
    options: TortureClusterOptions,
    tell: (line: string) => void,
    run: (cluster: TortureCluster) => Promise<Report>
  ): Promise<Report> {
    const cluster = await TortureCluster.start(options)
    let isSound = false
    try {
      const report = await run(cluster)
      isSound = report.ok
      return report
    } finally {
      await cluster.stop({ keepsFiles: !isSound })
      if (!isSound) tell(`logs and data are kept in ${cluster.directory}`)
    }
  }

  get access(): ClientAccess {
    return must(this.#access, 'access')
  }

  get nodes(): readonly TortureNode[] {
    return this.ids.map((id) => this.node(id))
  }

  node(id: string): TortureNode {
    return must(this.#nodes.get(id), id)
  }

  admin(id: string): AdminClient {
    return must(this.#admins.get(id), id)
  }

  others(...except: string[]): string[] {
    return this.ids.filter((id) => !except.includes(id))
  }

  /** The place of a node among the hosts. */
  hostOf(id: string): number {
    return this.ids.indexOf(id) + 1
  }

  async startAll(): Promise<void> {
    const down = this.nodes.filter((node) => !node.isRunning)
    const starts = await Promise.allSettled(down.map((node) => node.start()))
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async isReady(id: string): Promise<boolean> {
    return (await this.admin(id).get('/readyz', askTimeoutMs)).kind === 'answer'
  }

  /** The node that says that it leads, in the highest term that anyone knows. */
  async leader(): Promise<string | null> {
    return leaderAmong(await this.#views())
  }

  /** Where the log of group 0 begins and ends there; null: it does not say. */
  async logOf(id: string): Promise<{ firstIndex: number; lastIndex: number } | null> {
    return groupOf((await this.#views()).find((view) => view.id === id)) ?? null
  }

  /** Whether the admin API takes nodes out of groups and into them. */
  async changesMembers(): Promise<boolean> {
    const outcome = await this.admin(must(this.ids[0], 'a node')).get(
      '/v1/openapi.json',
      askTimeoutMs
    )
    if (outcome.kind !== 'answer') return false
    const { paths } = outcome.body as { readonly paths: Record<string, Record<string, unknown>> }
    return paths['/v1/members']?.post !== undefined
  }

  /** Asked of another node. @returns what became of it */
  async changeMember(change: 'add' | 'remove', nodeId: string): Promise<string> {
    const admin = this.admin(must(this.others(nodeId)[0], 'another node'))
    const timeout = `timeoutMs=${memberChangeTimeoutMs}`
    const patienceMs = memberChangeTimeoutMs + askTimeoutMs
    const outcome =
      change === 'add'
        ? await admin.post(`/v1/members?${timeout}`, { nodeId }, patienceMs)
        : await admin.change('DELETE', `/v1/members/${nodeId}?${timeout}`, null, patienceMs)
    if (outcome.kind !== 'refused') return outcome.kind
    return `${outcome.error.code}: ${outcome.error.message}`
  }

  /** Every node is ready and has applied what was committed when this was asked. */
  async untilWhole(timeoutMs: number): Promise<void> {
    let target: number | null = null
    await poll('every node is ready and has caught up', timeoutMs, async () => {
      const views = await this.#views()
      const leader = leaderAmong(views)
      target ??= groupOf(views.find(({ id }) => id === leader))?.commitIndex ?? null
      const ready = await Promise.all(this.ids.map((id) => this.isReady(id)))
      const least = target
      return (
        least !== null &&
        ready.every(Boolean) &&
        views.every((view) => (groupOf(view)?.appliedIndex ?? -1) >= least)
      )
    })
  }

  /** Whether all replicas come to the same content at the same index. */
  async replicasIdentical(timeoutMs: number): Promise<boolean> {
    let seen = new Set<string>()
    const isSame = async () => {
      const answers = await Promise.all(this.ids.map((id) => this.#checksums(id)))
      seen = new Set(answers.map((replicas) => JSON.stringify(replicas)))
      return seen.size === 1 && answers[0] !== null
    }
    return poll('', timeoutMs, isSame).then(
      () => true,
      () => false
    )
  }

  /** @param options.keepsFiles logs and data stay, for whoever looks for a cause */
  async stop(options: { readonly keepsFiles: boolean }): Promise<void> {
    await this.#release()
    if (!this.#isInterrupted) {
      for (const signal of endSignals) process.off(signal, this.#interrupt)
    }
    if (!options.keepsFiles) await rm(this.directory, { recursive: true, force: true })
  }

  async #release(): Promise<void> {
    for (const admin of this.#admins.values()) admin.close()
    await Promise.all([...this.#nodes.values()].map((node) => node.kill()))
    await this.hosts?.remove()
  }

  async #views(): Promise<{ id: string; view: ClusterAnswer | null }[]> {
    return Promise.all(
      this.ids.map(async (id) => {
        const outcome = await this.admin(id).get('/v1/cluster', askTimeoutMs)
        const view = outcome.kind === 'answer' ? (outcome.body as ClusterAnswer) : null
        return { id, view }
      })
    )
  }

  async #checksums(id: string): Promise<readonly ReplicaChecksum[] | null> {
    const outcome = await this.admin(id).get('/v1/checksums', checksumTimeoutMs)
    if (outcome.kind !== 'answer') return null
    return (outcome.body as { readonly replicas: readonly ReplicaChecksum[] }).replicas
  }

  async #configure(): Promise<void> {
    const certificates = join(this.directory, 'certs')
    await createAuthority(certificates, clusterName, validity)
    const token = (await readFile(authorityFiles(certificates).tokenFile, 'utf8')).trim()
    const places = await this.#choosePlaces()
    for (const id of this.ids) {
      const { cluster, admin } = must(places.get(id), id)
      const configFile = await this.#configureNode(id, certificates, places)
      const url = `http://${admin}`
      this.#admins.set(id, new AdminClient({ url, token, socketsMax: adminSockets }))
      this.#nodes.set(
        id,
        new TortureNode({
          id,
          command: (armed) => this.#command(id, configFile, armed),
          logFile: join(this.directory, `${id}.log`),
          dataDirectory: join(this.directory, id),
          address: cluster,
          admin: url,
          onCrash: (how) => this.crashes.push(`${id}: ${how}`)
        })
      )
    }
    const client: PeerIdentity = { kind: 'client', name: 'load', clusterName }
    await issuePeer(certificates, { peer: client }, validity)
    const { certificateFile, keyFile } = peerFiles(certificates, client)
    const { caFile } = authorityFiles(certificates)
    this.#access = { clusterName, certificateFile, keyFile, caFile }
  }

  async #choosePlaces(): Promise<ReadonlyMap<string, Place>> {
    const { hosts } = this
    if (hosts !== null) {
      return new Map(
        this.ids.map((id) => {
          const address = hosts.addressOf(this.hostOf(id))
          return [id, { cluster: `${address}:${hostPort}`, admin: `${address}:${hostPort + 1}` }]
        })
      )
    }
    const ports = await choosePorts(this.ids, 0)
    return new Map(
      [...ports].map(([id, { cluster, admin }]) => [
        id,
        { cluster: `127.0.0.1:${cluster}`, admin: `127.0.0.1:${admin}` }
      ])
    )
  }

  #command(id: string, configFile: string, armed: Armed | null): [string, string[]] {
    const { volatileSeed } = this.#options
    const args =
      volatileSeed === null
        ? [mainFile, 'node', '--config', configFile]
        : [volatileMainFile, configFile, String(volatileSeed * 10_000 + ++this.#starts)]
    if (armed !== null) args.push(armedText(armed))
    return this.hosts === null
      ? [process.execPath, args]
      : this.hosts.within(this.hostOf(id), process.execPath, args)
  }

  async #configureNode(
    id: string,
    certificates: string,
    places: ReadonlyMap<string, Place>
  ): Promise<string> {
    const peer: PeerIdentity = { kind: 'node', nodeId: toNodeId(id), clusterName }
    const { certificateFile, keyFile } = await issuePeer(certificates, { peer }, validity)
    const { caFile, gossipKeyFile, tokenFile } = authorityFiles(certificates)
    const dataDirectory = join(this.directory, id)
    await mkdir(dataDirectory, { mode: 0o700 })
    const place = (of: string) => must(places.get(of), of)
    const config = {
      preset: 'local',
      node: { id, listenAddress: place(id).cluster, dataDirectory },
      cluster: {
        name: clusterName,
        seeds: this.others(id).map((other) => place(other).cluster),
        bootstrap: { voters: this.ids },
        ...this.#options.changes?.cluster
      },
      security: { certificateFile, keyFile, caFile, gossipKeyFile },
      // All nodes and the load share one machine. Small segments: new ones begin all the time.
      consensus: {
        heartbeatIntervalMs: 150,
        electionTimeoutMinMs: 750,
        electionTimeoutMaxMs: 1_500,
        logSegmentBytes: 1 << 17,
        checkIntervalMs: 3_000,
        ...this.#options.changes?.consensus
      },
      admin: { listenAddress: place(id).admin, tokenFile }
    }
    const file = join(this.directory, `${id}.json`)
    await writeFile(file, JSON.stringify(config), { mode: 0o600 })
    return file
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))

const pollIntervalMs = 50

/** Asks again and again. @throws Error naming what did not come about */
export async function poll(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean>
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() >= deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await pause(pollIntervalMs)
  }
}
