/**
 * Five nodes with certificates of their own and mutual TLS, one of them slowed, and a sixth that
 * has no replica and routes: all in this process. A node's engine answers a read after its service
 * time, as many at a time as it has workers.
 */
import { join } from 'node:path'
import { counterEngine } from '../../examples/embed.js'
import { ClusterNetworkManager } from '../../lib/index.js'
import type { Engine, EngineProvider, NodeId, WallMs } from '../../src/core/index.js'
import { authorityFiles, createAuthority, issuePeer } from '../../src/network/index.js'

export interface SlowedClusterOptions {
  readonly directory: string
  readonly serviceMs: number
  readonly workers: number
  /** How many times longer the slow node takes. */
  readonly slowness: number
}

export interface LoadResult {
  readonly tookMs: readonly number[]
  /** Of the slow node. */
  readonly share: number
  readonly failures: number
}

const clusterName = 'balancing'
const voters = ['s1', 's2', 's3', 's4', 's5']
const slowNode = 's3'
const routerNode = 'router'
const readyTimeoutMs = 30_000
/** For the engine a name, and a read for the classifier of the node that has none. */
const sql = 'SELECT geese'

export class SlowedCluster {
  readonly #managers: readonly ClusterNetworkManager[]

  private constructor(managers: readonly ClusterNetworkManager[]) {
    this.#managers = managers
  }

  static async start(options: SlowedClusterOptions): Promise<SlowedCluster> {
    const { directory } = options
    const validity = { now: Date.now() as WallMs, days: 2 }
    await createAuthority(directory, clusterName, validity)
    const managers: ClusterNetworkManager[] = []
    const cluster = new SlowedCluster(managers)
    try {
      for (const id of [...voters, routerNode]) {
        const seeds = managers.map((manager) => manager.getClusterView().address)
        managers.push(await startNode(id, seeds, options))
      }
      await cluster.router.executeQuery(sql, { timeoutMs: readyTimeoutMs })
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get router(): ClusterNetworkManager {
    return this.#managers.at(-1) as ClusterNetworkManager
  }

  /** Local reads at an even rate, whether or not earlier ones were answered. */
  async load(strategy: string, perSecond: number, seconds: number): Promise<LoadResult> {
    const { router } = this
    router.setRoutingStrategy(strategy)
    const tookMs: number[] = []
    let slow = 0
    let failures = 0
    const ask = async () => {
      const begun = performance.now()
      try {
        const { node } = await router.executeQuery(sql, { consistency: 'local' })
        if (node === slowNode) slow++
        tookMs.push(performance.now() - begun)
      } catch {
        failures++
      }
    }
    const asked: Promise<void>[] = []
    const begun = performance.now()
    const total = perSecond * seconds
    while (asked.length < total) {
      const due = Math.min(total, ((performance.now() - begun) / 1_000) * perSecond)
      while (asked.length < due) asked.push(ask())
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await Promise.all(asked)
    return { tookMs, share: slow / Math.max(1, tookMs.length), failures }
  }

  async stop(): Promise<void> {
    for (const manager of this.#managers) await manager.stop({ drain: false })
  }
}

async function startNode(
  id: string,
  seeds: readonly string[],
  options: SlowedClusterOptions
): Promise<ClusterNetworkManager> {
  const { directory } = options
  const peer = { kind: 'node', nodeId: id as NodeId, clusterName } as const
  const validity = { now: Date.now() as WallMs, days: 1 }
  const { certificateFile, keyFile } = await issuePeer(directory, { peer }, validity)
  const { caFile, gossipKeyFile } = authorityFiles(directory)
  const isVoter = voters.includes(id)
  const manager = ClusterNetworkManager.create({
    preset: 'local',
    ...(isVoter ? { engine: slowedEngine(id, options) } : {}),
    config: {
      node: { id, listenAddress: '127.0.0.1:0', dataDirectory: join(directory, `data-${id}`) },
      cluster: {
        name: clusterName,
        seeds: [...seeds],
        ...(isVoter ? { bootstrap: { voters } } : {})
      },
      security: { certificateFile, keyFile, caFile, gossipKeyFile }
    }
  })
  await manager.start()
  return manager
}

function slowedEngine(id: string, options: SlowedClusterOptions): EngineProvider {
  const { serviceMs, workers, slowness } = options
  const takesMs = id === slowNode ? serviceMs * slowness : serviceMs
  return {
    classify: () => 'read',
    create(context) {
      const engine = counterEngine.create(context)
      const freeAt = new Float64Array(workers)
      const read: Engine['read'] = async (statements, readOptions) => {
        await new Promise((resolve) => setTimeout(resolve, waitOf(freeAt, takesMs)))
        return engine.read(statements, readOptions)
      }
      return { ...engine, read }
    }
  }
}

/** First come, first served: until the first free worker has done its work for it. */
function waitOf(freeAt: Float64Array, takesMs: number): number {
  const now = performance.now()
  let worker = 0
  for (let i = 1; i < freeAt.length; i++) {
    if ((freeAt[i] as number) < (freeAt[worker] as number)) worker = i
  }
  const doneAt = Math.max(now, freeAt[worker] as number) + takesMs
  freeAt[worker] = doneAt
  return doneAt - now
}
