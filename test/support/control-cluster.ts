import { ConsensusDriver, SegmentedLog } from '../../src/consensus/index.js'
import {
  type AnySection,
  ControlDriver,
  ownSections,
  supportedVersions
} from '../../src/control/index.js'
import { resolveConfig } from '../../src/core/config/resolve.js'
import type { Config } from '../../src/core/config/schema.js'
import { after } from '../../src/core/deadlines.js'
import { CONTROL_GROUP, type GroupId, type MonotonicMs, type NodeId } from '../../src/core/ids.js'
import { silentLogger } from '../../src/core/ports/logger.js'
import { SplittableRandom } from '../../src/core/splittable-random.js'
import { KvEngine } from '../../src/simulation/kv-engine.js'
import { SimulatedDisk } from '../../src/simulation/simulated-disk.js'
import { type MemoryMessenger, MemoryNetwork } from './memory-messenger.js'
import { ProcessClock } from './process-clock.js'
import { testCrypto } from './test-crypto.js'
import { VirtualClock } from './virtual-clock.js'

export interface ControlNode {
  readonly id: NodeId
  readonly disk: SimulatedDisk
  readonly messenger: MemoryMessenger
  readonly control: ControlDriver
  /** Null on a node without a replica. */
  readonly consensus: ConsensusDriver | null
  kill(): void
}

/** The control group, over memory, virtual time and simulated disks. */
export class ControlCluster {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly nodes = new Map<string, ControlNode>()
  /** What founders found. */
  groups: readonly GroupId[] = [CONTROL_GROUP]
  readonly #random = SplittableRandom.fromSeed(1)
  readonly #voters: readonly string[]
  readonly #sections: readonly AnySection[]
  readonly #config: Config['consensus']

  constructor(
    options: {
      readonly voters?: readonly string[]
      readonly sections?: readonly AnySection[]
      readonly consensus?: Partial<Config['consensus']>
    } = {}
  ) {
    this.#voters = options.voters ?? ['a', 'b', 'c']
    this.#sections = [...ownSections, ...(options.sections ?? [])]
    const { consensus } = resolveConfig({
      code: {
        node: { id: 'a', dataDirectory: 'unused' },
        cluster: { name: 'test', bootstrap: { voters: ['a'] } },
        security: { insecure: true },
        consensus: { heartbeatIntervalMs: 20, electionTimeoutMinMs: 100, electionTimeoutMaxMs: 200 }
      }
    })
    this.#config = { ...consensus, ...options.consensus }
  }

  async startAll(): Promise<void> {
    for (const name of this.#voters) await this.start(name)
    await this.untilLeader()
  }

  /** One that is no voter has no replica. */
  async start(name: string): Promise<ControlNode> {
    const random = this.#random.split(`${name} ${this.clock.now()}`)
    const components = { clock: this.clock, random: random.split('disk') }
    const disk =
      this.nodes.get(name)?.disk ?? new SimulatedDisk(components, { syncLatencyMs: [0, 0] })
    const clock = new ProcessClock(this.clock)
    const id = name as NodeId
    const messenger = this.network.join(id)
    const consensus = this.#voters.includes(name)
      ? new ConsensusDriver(
          {
            clock,
            random: random.split('consensus'),
            crypto: testCrypto(random.split('crypto')),
            messenger,
            disk: disk.mount(),
            log: new SegmentedLog(
              { disk: disk.mount() },
              { directory: 'log', segmentBytes: 65_536 }
            ),
            engines: {
              create: ({ group }) =>
                group === CONTROL_GROUP
                  ? control.createEngine()
                  : new KvEngine({ clock, disk: disk.mount() })
            },
            logger: silentLogger
          },
          {
            nodeId: id,
            clusterName: 'test',
            bootstrapVoters: this.#voters as readonly NodeId[],
            foundedGroups: this.groups,
            engineDirectory: () => 'unused',
            config: this.#config
          }
        )
      : null
    const control: ControlDriver = new ControlDriver(
      {
        clock,
        random: random.split('control'),
        crypto: testCrypto(random.split('crypto')),
        disk: disk.mount(),
        messenger,
        logger: silentLogger,
        sections: this.#sections,
        replica: () => consensus?.group(CONTROL_GROUP) ?? null,
        members: () => [...this.network.nodes.keys()]
      },
      { nodeId: id, formatMax: supportedVersions.max }
    )
    const kill = () => {
      clock.isDead = true
      this.network.leave(id)
      disk.crash(random)
    }
    const node = { id, disk, messenger, control, consensus, kill }
    this.nodes.set(name, node)
    consensus?.onEvent((event) => control.handleEvent(event))
    control.start()
    if (consensus !== null) {
      await this.clock.settle(consensus.open())
      await this.clock.settle(consensus.start())
    }
    return node
  }

  node(name: string): ControlNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  control(name: string): ControlDriver {
    return this.node(name).control
  }

  /** Of those that are up, one that leads and knows it. */
  leader(): string | null {
    const up = [...this.nodes].filter(([, { id }]) => this.network.nodes.has(id))
    return up.find(([, { control }]) => control.isLeader)?.[0] ?? null
  }

  async untilLeader(): Promise<string> {
    await this.clock.until(() => this.leader() !== null)
    return this.leader() as string
  }

  /** Another voter than the leader. */
  follower(): string {
    return this.#voters.find((name) => name !== this.leader()) as string
  }

  deadline(ms = 5_000): MonotonicMs {
    return after(this.clock.now(), ms)
  }
}
