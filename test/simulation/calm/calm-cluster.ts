import { ClusterNetworkManager, type CreateOptions } from '../../../lib/index.js'
import { type EngineProvider, SplittableRandom, silentLogger } from '../../../src/core/index.js'
import { nodeCompression, nodeCrypto } from '../../../src/runtime/index.js'
import { noFaults } from '../../../src/simulation/fault-counts.js'
import { Links } from '../../../src/simulation/links.js'
import {
  type ClusterComponents,
  type ClusterOptions,
  type ClusterWatch,
  SimulatedCluster
} from '../../../src/simulation/simulated-cluster.js'
import { SimulatedAuthority } from '../../../src/simulation/simulated-credentials.js'
import { SimulatedDatagramWorld } from '../../../src/simulation/simulated-datagram-network.js'
import { SimulatedStreamWorld } from '../../../src/simulation/simulated-stream-network.js'
import { drawSwarmOptions, type SwarmOptions } from '../../../src/simulation/swarm-options.js'
import { TraceHash } from '../../../src/simulation/trace-hash.js'
import { VirtualTime } from '../../../src/simulation/virtual-clock.js'

const nothing = () => {}
const watch: ClusterWatch = {
  onStarted: nothing,
  onStartFailed(host, error) {
    throw new Error(`host ${host} does not start`, { cause: error })
  },
  onExit: nothing,
  onOpenedTwice: nothing,
  observerOf: () => ({
    onRecovered: nothing,
    onPersist: nothing,
    onPersisted: nothing,
    onSend: nothing
  }),
  isLeader: () => false,
  ledCommitIndex: () => 0
}

/** Everything that takes time takes exactly this. */
export interface EvenTimes {
  readonly latencyMs: number
  readonly syncMs: number
}

/** A simulated cluster in which nothing happens but what its test does. */
export function calmCluster(
  seed: number,
  size: number,
  config: Record<string, object>,
  {
    versionsAt,
    loggerOf = () => silentLogger,
    even,
    groups = 1,
    wrap = (engine) => engine,
    ...parts
  }: Pick<CreateOptions, 'restart'> &
    Pick<ClusterOptions, 'versionsAt'> &
    Partial<Pick<ClusterComponents, 'loggerOf'>> & {
      readonly even?: EvenTimes
      readonly groups?: number
      /** What nodes are given in place of their engines. */
      readonly wrap?: (engines: EngineProvider) => EngineProvider
    } = {}
) {
  const authority = new SimulatedAuthority()
  const random = SplittableRandom.fromSeed(seed)
  const time = new VirtualTime(new TraceHash())
  const drawn = drawSwarmOptions(random.split('swarm'), size)
  const calm = {
    latencyMinMs: even?.latencyMs ?? 0.2,
    latencyMeanMs: even === undefined ? 0.5 : 0,
    lossProbability: 0,
    duplicateProbability: 0,
    reorderProbability: 0,
    delayProbability: 0,
    delaySpikeMsMax: 0,
    splitProbability: 0,
    breakProbability: 0
  }
  const settled = {
    members: { ...drawn.members, founders: null },
    groups: { ...drawn.groups, count: groups },
    bounds: {},
    disk: even === undefined ? drawn.disk : evenDisk(drawn.disk, even)
  }
  const links = new Links(calm, random.split('links'), noFaults())
  const streams = new SimulatedStreamWorld(time, links)
  const cluster = new SimulatedCluster(
    {
      time,
      random: random.split('cluster'),
      streams,
      datagrams: new SimulatedDatagramWorld(time, links),
      crypto: nodeCrypto(),
      compression: nodeCompression(),
      create: (init) =>
        ClusterNetworkManager.create({
          ...init,
          ...parts,
          engine: wrap(init.engine),
          config: { ...init.config, ...config }
        }),
      loggerOf,
      watch,
      authority,
      mail: { attach: nothing }
    },
    {
      size,
      swarm: { ...drawn, preset: 'lan', ...settled },
      ...(versionsAt === undefined ? {} : { versionsAt })
    }
  )
  const run = async (ms: number) => {
    const until = time.now + ms
    while (time.step(until) !== null) await new Promise((resolve) => setImmediate(resolve))
  }
  /** @throws Error when it is not settled by then */
  const settle = async <T>(promise: Promise<T>, withinMs = 30_000): Promise<T> => {
    let isSettled = false
    const mark = () => {
      isSettled = true
    }
    promise.then(mark, mark)
    for (let at = 0; at < withinMs && !isSettled; at += 100) await run(100)
    if (!isSettled) throw new Error(`not within ${withinMs} ms`)
    return promise
  }
  return { authority, cluster, links, random, run, settle, streams, time }
}

const evenDisk = (disk: SwarmOptions['disk'], { syncMs }: EvenTimes): SwarmOptions['disk'] => ({
  ...disk,
  writeLatencyMs: [0, 0],
  syncLatencyMs: [syncMs, syncMs],
  slowDisks: 0
})
