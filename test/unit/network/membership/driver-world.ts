/** Membership drivers over real transports on memory streams, and datagrams in memory. */
import {
  type Address,
  type ClusterId,
  type DatagramNetwork,
  type Disk,
  type Logger,
  type Member,
  type MembershipEvent,
  type MonotonicMs,
  type NodeId,
  SplittableRandom,
  silentLogger,
  unstatedCapacity
} from '../../../../src/core/index.js'
import {
  MembershipDriver,
  type MembershipOptions
} from '../../../../src/network/membership/membership-driver.js'
import { membershipMessages } from '../../../../src/network/membership/messages.js'
import { controlMessages } from '../../../../src/network/mux/messages.js'
import type { TransportDriver } from '../../../../src/network/pool/transport-driver.js'
import { securityMessages } from '../../../../src/network/security/messages.js'
import { nodeCrypto } from '../../../../src/runtime/node-crypto.js'
import { simulatedCrypto } from '../../../../src/simulation/simulated-crypto.js'
import { Catalogue } from '../../../../src/wire/index.js'
import { TransportWorld } from '../../../support/transport-world.js'
import type { VirtualClock } from '../../../support/virtual-clock.js'
import { membershipConfig } from './swim-world.js'

const catalogue = new Catalogue([...controlMessages, ...membershipMessages, ...securityMessages])
export const groupKey = new Uint8Array(32).fill(7)

const noSettings = { mustAgree: [], mayDiffer: [] }

export interface Sent {
  readonly from: Address
  readonly to: Address
  readonly bytes: Uint8Array
}

/** Datagrams that arrive a millisecond later, and are kept for the test. */
class DatagramHub {
  readonly sent: Sent[] = []
  readonly #clock: VirtualClock
  readonly #bound = new Map<Address, (bytes: Uint8Array, from: Address) => void>()

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  readonly network: DatagramNetwork = {
    bind: async (address, onDatagram) => {
      this.#bound.set(address, onDatagram)
      return {
        address,
        send: (to, bytes) => {
          const sent = { from: address, to, bytes: bytes.slice() }
          this.sent.push(sent)
          const at = (this.#clock.now() + 1) as MonotonicMs
          this.#clock.schedule(at, () => this.inject(to, sent.bytes, address))
        },
        close: async () => {
          if (this.#bound.get(address) === onDatagram) this.#bound.delete(address)
        }
      }
    }
  }

  /** Arrives now. */
  inject(to: Address, bytes: Uint8Array, from: Address): void {
    this.#bound.get(to)?.(bytes.slice(), from)
  }
}

export interface DriverNode {
  readonly name: string
  readonly address: Address
  readonly transport: TransportDriver
  readonly driver: MembershipDriver
  readonly events: MembershipEvent[]
  isRunning: boolean
}

export interface DriverNodeOptions extends Partial<MembershipOptions> {
  /** Added to the wall clock. */
  readonly wallOffsetMs?: number
  readonly logger?: Logger
  readonly disk?: Disk
}

export class DriverWorld {
  readonly transports = new TransportWorld()
  readonly datagrams = new DatagramHub(this.transports.clock)
  readonly nodes = new Map<string, DriverNode>()
  #boots = 0

  constructor(t: { teardown(handler: () => unknown): void }) {
    t.teardown(() => this.stopAll())
  }

  get clock(): VirtualClock {
    return this.transports.clock
  }

  async start(name: string, options: DriverNodeOptions = {}): Promise<DriverNode> {
    const { wallOffsetMs = 0, logger = silentLogger, disk, ...change } = options
    const clusterName = change.clusterName ?? 'test'
    const transport = await this.transports.start(name, { catalogue, clusterName })
    const address = this.transports.addressOf(name)
    const { clock } = this
    const random = SplittableRandom.fromSeed(++this.#boots)
    const driver = new MembershipDriver(
      {
        clock: {
          now: () => clock.now(),
          wallNow: () => (clock.wallNow() + wallOffsetMs) as ReturnType<VirtualClock['wallNow']>,
          schedule: (at, callback) => clock.schedule(at, callback)
        },
        random,
        crypto: simulatedCrypto(nodeCrypto(), random.split('crypto')),
        datagrams: this.datagrams.network,
        messenger: transport,
        logger,
        ...(disk === undefined ? {} : { disk })
      },
      {
        nodeId: name as NodeId,
        clusterName,
        clusterId: () => null,
        gossipKeys: [groupKey],
        advertiseAddress: address,
        bindAddress: address,
        datacenter: 'dc',
        rack: 'r',
        metadata: { name },
        capacity: unstatedCapacity,
        tags: [],
        versions: { min: 1, max: 1 },
        clusterVersion: () => null,
        settings: noSettings,
        config: membershipConfig(),
        ...change
      }
    )
    const node = {
      name,
      address,
      transport,
      driver,
      events: [] as MembershipEvent[],
      isRunning: true
    }
    driver.onEvent((event) => node.events.push(event))
    this.nodes.set(name, node)
    await driver.start()
    driver.setLifecycle('up')
    return node
  }

  /** n0…, all joined through n0, and settled. */
  async cluster(count: number, options: DriverNodeOptions = {}): Promise<DriverNode[]> {
    const nodes: DriverNode[] = []
    for (let i = 0; i < count; i++) {
      const node = await this.start(`n${i}`, options)
      nodes.push(node)
      if (i > 0) await this.join(node, [nodes[0] as DriverNode])
    }
    await this.clock.until(() => this.isConverged(), 10_000)
    await this.clock.advance(5_000)
    for (const node of nodes) node.events.length = 0
    return nodes
  }

  async join(node: DriverNode, seeds: readonly DriverNode[], withinMs = 10_000): Promise<number> {
    const addresses = seeds.map(({ address }) => address)
    return this.clock.settle(node.driver.join(addresses, this.deadline(withinMs)))
  }

  deadline(ms: number): MonotonicMs {
    return (this.clock.now() + ms) as MonotonicMs
  }

  /** Gone at once, without a word to the other members. */
  async kill(node: DriverNode): Promise<void> {
    node.isRunning = false
    await node.driver.stop()
    await this.clock.settle(node.transport.stop())
  }

  async stopAll(): Promise<void> {
    for (const node of this.nodes.values()) if (node.isRunning) await this.kill(node)
  }

  running(): DriverNode[] {
    return [...this.nodes.values()].filter(({ isRunning }) => isRunning)
  }

  isConverged(): boolean {
    const running = this.running()
    const names = running.map(({ name }) => name).sort()
    return running.every(({ driver }) => {
      const alive = driver.aliveMembers().filter(({ liveness }) => liveness === 'alive')
      return (
        alive.map(({ nodeId }) => nodeId).join() === names.join() &&
        running.every(
          (other) =>
            driver.member(other.name as NodeId)?.incarnation === other.driver.self().incarnation
        )
      )
    })
  }
}

/** What a node holds of the others, without when it heard of them. */
export const viewOf = (driver: MembershipDriver): Omit<Member, 'lastSeen'>[] =>
  driver.members().map(({ lastSeen: _, ...member }) => member)

export const clusterIdOf = (digit: string): ClusterId => digit.repeat(32) as ClusterId
