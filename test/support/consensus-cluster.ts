import { ConsensusDriver } from '../../src/consensus/consensus-driver.js'
import type { GroupSection } from '../../src/consensus/group/group-section.js'
import { SegmentedLog } from '../../src/consensus/log/segmented-log-driver.js'
import type { ClusterKnowledge } from '../../src/consensus/members/cluster-members-driver.js'
import type { RecoveryComponents } from '../../src/consensus/recovery/recovery-driver.js'
import { resolveConfig } from '../../src/core/config/resolve.js'
import type { Config } from '../../src/core/config/schema.js'
import { after } from '../../src/core/deadlines.js'
import type { ConsensusEvent } from '../../src/core/events.js'
import { DEFAULT_GROUP, type GroupId, type MonotonicMs, type NodeId } from '../../src/core/ids.js'
import type { Clock } from '../../src/core/ports/clock.js'
import type { Disk } from '../../src/core/ports/disk.js'
import type { Engine } from '../../src/core/ports/engine.js'
import type { EngineProvider } from '../../src/core/ports/engine-provider.js'
import { type Logger, silentLogger } from '../../src/core/ports/logger.js'
import type { Messenger } from '../../src/core/ports/messenger.js'
import type { ClientTag, WriteAnswer } from '../../src/core/ports/replicated-group.js'
import { SplittableRandom } from '../../src/core/splittable-random.js'
import { KvEngine, type KvEngineOptions, kvDirectoryOf } from '../../src/simulation/kv-engine.js'
import { SimulatedDisk } from '../../src/simulation/simulated-disk.js'
import { MemoryNetwork } from './memory-messenger.js'
import { ProcessClock } from './process-clock.js'
import { testCrypto } from './test-crypto.js'
import { VirtualClock } from './virtual-clock.js'

export interface TestNode {
  readonly id: NodeId
  readonly disk: SimulatedDisk
  readonly engineDisk: SimulatedDisk
  driver: ConsensusDriver
  engine: KvEngine | null
  readonly events: ConsensusEvent[]
  readonly clock: ProcessClock
  isUp: boolean
}

export interface TestClusterOptions {
  readonly nodes?: readonly string[]
  readonly seed?: number
  readonly groups?: readonly GroupId[]
  /** Of nodes without a replica; default: they know nothing. */
  readonly knowledge?: ClusterKnowledge
  readonly consensus?: Partial<Config['consensus']>
  readonly engine?: Partial<KvEngineOptions>
  readonly syncLatencyMs?: number
  /** Of each life of a node. */
  readonly sections?: (
    node: string,
    group: GroupId,
    life: { readonly messenger: Messenger; readonly clock: Clock }
  ) => readonly GroupSection[]
  /** What consensus is given in place of an engine. */
  readonly wrap?: (engine: Engine, group: GroupId) => Engine
  readonly logger?: Logger
}

/** Consensus drivers over memory, virtual time and simulated disks; nothing else. */
export class TestCluster {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly random: SplittableRandom
  readonly nodes = new Map<string, TestNode>()
  readonly #names: readonly string[]
  readonly #options: TestClusterOptions
  readonly #config: Config['consensus']
  #groups: readonly GroupId[]

  constructor(options: TestClusterOptions = {}) {
    this.#options = options
    this.#groups = options.groups ?? [DEFAULT_GROUP]
    this.random = SplittableRandom.fromSeed(options.seed ?? 1)
    this.#names = options.nodes ?? ['a', 'b', 'c']
    const cluster = { name: 'test', bootstrap: { voters: [...this.#names] } }
    const node = { id: this.#names[0] as string, dataDirectory: 'unused' }
    const resolved = resolveConfig({
      code: {
        node,
        cluster,
        security: { insecure: true },
        consensus: { heartbeatIntervalMs: 20, electionTimeoutMinMs: 100, electionTimeoutMaxMs: 200 }
      }
    })
    this.#config = { ...resolved.consensus, ...options.consensus }
  }

  /** What nodes that start from now on have in mind. */
  configureGroups(groups: readonly GroupId[]): void {
    this.#groups = groups
  }

  async startAll(): Promise<void> {
    for (const name of this.#names) await this.start(name)
  }

  async start(name: string): Promise<TestNode> {
    const before = this.nodes.get(name)
    const latency = this.#options.syncLatencyMs ?? 0
    const components = { clock: this.clock, random: this.random.split(`disk ${name}`) }
    const makeDisk = () =>
      new SimulatedDisk(components, { syncLatencyMs: [latency / 2, latency] as const })
    const disk = before?.disk ?? makeDisk()
    const node: TestNode = {
      id: name as NodeId,
      disk,
      engineDisk: before?.engineDisk ?? makeDisk(),
      clock: new ProcessClock(this.clock),
      driver: undefined as unknown as ConsensusDriver,
      engine: null,
      events: [],
      isUp: true
    }
    node.driver = this.#makeDriver(node)
    node.driver.onEvent((event) => node.events.push(event))
    this.nodes.set(name, node)
    await this.clock.settle(node.driver.open())
    await this.clock.settle(node.driver.start())
    return node
  }

  /** Power failure of the node. */
  crash(name: string): void {
    const node = this.node(name)
    node.isUp = false
    node.clock.isDead = true
    this.network.leave(node.id)
    node.disk.crash(this.random)
    node.engineDisk.crash(this.random)
  }

  node(name: string): TestNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  group(name: string, id: GroupId = DEFAULT_GROUP) {
    const group = this.node(name).driver.group(id)
    if (group === null) throw new Error(`${name} has no group`)
    return group
  }

  /** The node that leads, by the highest term; null when there is none. */
  leader(id: GroupId = DEFAULT_GROUP): string | null {
    const leading = [...this.nodes]
      .filter(([, node]) => node.isUp && node.driver.group(id)?.isLeader)
      .map(([name]) => ({ name, term: this.group(name, id).status().term }))
      .sort((x, y) => y.term - x.term)
    return leading[0]?.name ?? null
  }

  /** A leader that has applied an entry of its own term. */
  async untilLeader(id: GroupId = DEFAULT_GROUP): Promise<string> {
    await this.clock.until(() => {
      const name = this.leader(id)
      if (name === null) return false
      const group = this.group(name, id)
      const { appliedIndex, commitIndex, term } = group.status()
      return appliedIndex === commitIndex && group.raft.termAt(commitIndex) === term
    })
    return this.leader(id) as string
  }

  deadline(ms = 5_000): MonotonicMs {
    return after(this.clock.now(), ms)
  }

  write(name: string, sql: string | string[], client: ClientTag | null = null, ms = 5_000) {
    const statements = (Array.isArray(sql) ? sql : [sql]).map((text) => ({ sql: text }))
    return this.group(name).write({ statements, client, deadline: this.deadline(ms) })
  }

  /** Writes and moves time until the answer is there. */
  async written(name: string, sql: string | string[], client: ClientTag | null = null) {
    return this.clock.settle<WriteAnswer>(this.write(name, sql, client))
  }

  async read(name: string, key: string): Promise<string | null> {
    const group = this.group(name)
    const index = await this.clock.settle(group.readIndex(this.deadline()))
    const request = {
      statements: [{ sql: `get ${key}` }],
      atLeastIndex: index,
      deadline: this.deadline()
    }
    const { results } = await this.clock.settle(group.read(request))
    return (results[0]?.rows[0]?.[0] as string | undefined) ?? null
  }

  /** Everybody who is up has applied what the leader has committed. */
  async untilCaughtUp(): Promise<void> {
    const name = await this.untilLeader()
    await this.clock.until(() => {
      const { commitIndex } = this.group(name).status()
      return [...this.nodes.values()].every(
        ({ isUp, driver }) =>
          !isUp || driver.group(DEFAULT_GROUP)?.status().appliedIndex === commitIndex
      )
    })
  }

  async hashes(): Promise<string[]> {
    const up = [...this.nodes].filter(([, { isUp }]) => isUp)
    return Promise.all(up.map(async ([name]) => (await this.group(name).checksum()).hash))
  }

  /** Of a node that is down: what a recovery reads and writes. */
  recovery(name: string, disk?: Disk): RecoveryComponents {
    const node = this.node(name)
    const mount = disk ?? node.disk.mount()
    return {
      clock: this.clock,
      crypto: testCrypto(this.random.split(`recovery ${name}`)),
      logger: silentLogger,
      disk: mount,
      log: new SegmentedLog({ disk: mount }, { directory: 'log', segmentBytes: 65_536 }),
      engines: this.#enginesOf(node),
      parts: {
        sections: () => [],
        holding: () => ({ branches: [], decided: [] }),
        isVolatile: () => false,
        entry: async () => null
      },
      engineDirectory: () => 'unused'
    }
  }

  #enginesOf(node: TestNode): EngineProvider {
    const options = { latencyMs: 0, flushEveryApplies: 8, ...this.#options.engine }
    return {
      create: ({ group }) => {
        const directory = kvDirectoryOf(group)
        const components = { clock: node.clock, disk: node.engineDisk.mount() }
        const engine = new KvEngine(components, { ...options, directory })
        if (group === DEFAULT_GROUP) node.engine = engine
        return this.#options.wrap?.(engine, group) ?? engine
      }
    }
  }

  #makeDriver(node: TestNode): ConsensusDriver {
    const { clock, disk } = node
    const messenger = this.network.join(node.id)
    const mount = disk.mount()
    const log = new SegmentedLog({ disk: mount }, { directory: 'log', segmentBytes: 65_536 })
    return new ConsensusDriver(
      {
        clock,
        random: this.random.split(`node ${node.id}`),
        crypto: testCrypto(this.random.split(`crypto ${node.id} ${this.clock.now()}`)),
        messenger,
        disk: mount,
        log,
        engines: this.#enginesOf(node),
        sections: (group) => this.#options.sections?.(node.id, group, { messenger, clock }) ?? [],
        knowledge: this.#options.knowledge,
        logger: this.#options.logger ?? silentLogger
      },
      {
        nodeId: node.id,
        clusterName: 'test',
        bootstrapVoters: this.#names.includes(node.id) ? (this.#names as readonly NodeId[]) : null,
        foundedGroups: this.#groups,
        engineDirectory: () => 'unused',
        config: this.#config
      }
    )
  }
}
