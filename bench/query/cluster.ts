/**
 * A cluster of three as an embedder has it: this process embeds one node, the two others are
 * `skein node` processes; certificates of their own, mutual TLS, the SQLite engine.
 */
import { join } from 'node:path'
import { type ClientQueryOptions, SkeinClient } from '../../lib/client.js'
import { ClusterNetworkManager } from '../../lib/cluster-network-manager.js'
import { sqliteEngine } from '../../lib/sqlite.js'
import { readConfig } from '../../src/cli/config-file.js'
import { bankTables, loadBatches } from '../../src/cli/demo/bank.js'
import { NodeProcess } from '../../src/cli/demo/node-process.js'
import { choosePorts } from '../../src/cli/demo/ports.js'
import {
  clusterName,
  openWorkspace,
  type Workspace,
  writeNodeConfig
} from '../../src/cli/demo/workspace.js'
import { mainFile } from '../../src/cli/main-file.js'
import {
  type ConfigInput,
  type QueryOptions,
  type QueryResult,
  type Statement,
  silentLogger,
  type WallMs
} from '../../src/core/index.js'
import { issuePeer } from '../../src/network/index.js'

const embeddedId = 'n1'
const loadTimeoutMs = 60_000
const settleMs = 50
const leadAttemptsMax = 20
const untilReadyMs = 30_000

export class BenchCluster {
  readonly #workspace: Workspace
  readonly #configFile: string
  readonly #others: readonly NodeProcess[]
  #manager: ClusterNetworkManager
  #client: Promise<SkeinClient> | null = null

  private constructor(
    workspace: Workspace,
    configFile: string,
    others: readonly NodeProcess[],
    manager: ClusterNetworkManager
  ) {
    this.#workspace = workspace
    this.#configFile = configFile
    this.#others = others
    this.#manager = manager
  }

  static async start(): Promise<BenchCluster> {
    const demo = { once: true, json: true, seconds: 1, nodes: 3, seed: 1, scale: 1, port: 0 }
    const workspace = await openWorkspace({ ...demo, dataDirectory: null })
    const ports = await choosePorts(workspace.nodeIds, 0)
    const others: NodeProcess[] = []
    let configFile = ''
    for (const id of workspace.nodeIds) {
      const file = await writeNodeConfig(workspace, id, ports)
      if (id === embeddedId) configFile = file
      else others.push(nodeProcess(workspace, id, file, ports.get(id)?.cluster ?? 0))
    }
    const manager = await embed(configFile)
    const cluster = new BenchCluster(workspace, configFile, others, manager)
    try {
      await Promise.all([manager.start(), ...others.map((node) => node.start())])
      await cluster.#fill()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  execute(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]> {
    return this.#manager.executeQuery(statements, options)
  }

  /** The same through a client's own connections, beside the embedded node. */
  async executeOutside(
    statements: readonly Statement[],
    options?: ClientQueryOptions
  ): Promise<QueryResult[]> {
    this.#client ??= this.#connect()
    return (await this.#client).execute(statements, options)
  }

  async #connect(): Promise<SkeinClient> {
    const directory = join(this.#workspace.directory, 'certs')
    const peer = { kind: 'client', name: 'bench', clusterName } as const
    const validity = { now: Date.now() as WallMs, days: 1 }
    const files = await issuePeer(directory, { peer }, validity)
    return SkeinClient.connect({
      ...files,
      addresses: this.#others.map(({ options }) => options.address),
      caFile: this.#workspace.authority.caFile,
      clusterName
    })
  }

  /** Counters of the embedded node's consensus. */
  consensusCounters(): Readonly<Record<string, number>> {
    return this.#manager.getAllMetrics().consensus ?? {}
  }

  isLed(where: 'here' | 'elsewhere'): boolean {
    const leader = this.#manager.getClusterView().groups[0]?.leader ?? null
    return leader !== null && (leader === embeddedId) === (where === 'here')
  }

  /** Whoever leads and should not is stopped, which hands over, and started again. */
  async lead(where: 'here' | 'elsewhere'): Promise<void> {
    for (let attempt = 0; attempt < leadAttemptsMax; attempt++) {
      const leader = await this.#untilSettled()
      if ((leader === embeddedId) === (where === 'here')) return
      await this.#restart(leader)
    }
    throw new Error(`the leader does not come to be ${where}`)
  }

  async stop(): Promise<void> {
    await (await this.#client)?.close()
    await this.#manager.stop({ drain: false })
    await Promise.all(this.#others.map((node) => node.stop()))
    await this.#workspace.release()
  }

  async #fill(): Promise<void> {
    const options = { timeoutMs: loadTimeoutMs }
    for (const { create: sql } of bankTables) await this.#manager.executeQuery([{ sql }], options)
    for (const { statements } of loadBatches(1))
      await this.#manager.executeQuery(statements, options)
  }

  async #restart(id: string): Promise<void> {
    if (id === embeddedId) {
      await this.#manager.stop()
      this.#manager = await embed(this.#configFile)
      await this.#manager.start()
      return
    }
    const node = this.#others.find(({ options }) => options.id === id)
    await node?.stop()
    await node?.start()
  }

  /** All three are up, and every replica has what is committed. */
  async #untilSettled(): Promise<string> {
    const until = performance.now() + untilReadyMs
    while (performance.now() < until) {
      const [group] = this.#manager.getClusterView().groups
      const alive = this.#manager.getAliveMembers().length
      if (group?.leader != null && alive === 3 && this.#manager.healthCheck().ready) {
        await this.#manager.executeQuery([{ sql: 'SELECT 1' }], { consistency: 'linearizable' })
        return group.leader
      }
      await new Promise((resolve) => setTimeout(resolve, settleMs))
    }
    throw new Error('the cluster does not settle')
  }
}

async function embed(configFile: string): Promise<ClusterNetworkManager> {
  const config = await readConfig(configFile, {})
  return ClusterNetworkManager.create({
    config: config as ConfigInput,
    engine: sqliteEngine(),
    overrides: { logger: silentLogger }
  })
}

function nodeProcess(workspace: Workspace, id: string, configFile: string, port: number) {
  const options = {
    id,
    mainFile,
    configFile,
    logFile: `${workspace.directory}/${id}.log`,
    dataDirectory: `${workspace.directory}/${id}`,
    address: `127.0.0.1:${port}`,
    admin: ''
  }
  const onUnexpectedExit = (_: NodeProcess, how: string) => {
    process.stderr.write(`node ${id} ended: ${how}\n`)
  }
  return new NodeProcess(options, { onEvent() {}, onRestartDue() {}, onUnexpectedExit })
}
