import {
  after,
  type Clock,
  type Config,
  type HealthEvent,
  Lifecycles,
  Livenesses,
  type Member,
  type NodeId,
  resolveConfig,
  SplittableRandom,
  silentLogger,
  unstatedCapacity,
  type WallMs,
  type Workers
} from '../../src/core/index.js'
import { HealthDriver, type ProbeDatagrams } from '../../src/health/index.js'
import { InlineWorkers } from '../../src/runtime/index.js'
import { MemoryNetwork } from './memory-messenger.js'
import { VirtualClock } from './virtual-clock.js'

type Tap = { teardown(handler: () => unknown): void }

/** Links with a delay and a loss each way, which can be cut one by one. */
class LinkedNetwork extends MemoryNetwork {
  readonly delays = new Map<string, number>()
  readonly cuts = new Set<string>()
  readonly losses = new Map<string, number>()
  /** By way: longer datagrams do not pass. */
  readonly datagramBytesMax = new Map<string, number>()

  override delayBetween(from: NodeId, to: NodeId): number {
    return this.delays.get(`${from}>${to}`) ?? this.delayMs
  }

  override isLinked(from: NodeId, to: NodeId): boolean {
    return super.isLinked(from, to) && !this.cuts.has(`${from}>${to}`)
  }
}

export interface HealthNode {
  readonly driver: HealthDriver
  readonly events: HealthEvent[]
  /** What its loop says. */
  loopDelayMs: number
  traffic: { bytesSent: number; bytesReceived: number } | null
}

export interface HealthNodeOptions {
  readonly wallAheadMs?: number
  readonly datagrams?: boolean
  readonly workers?: Workers
}

/** Health rooms on virtual time, connected by links that a test sets. */
export class HealthWorld {
  readonly clock = new VirtualClock()
  readonly network = new LinkedNetwork(this.clock, 5)
  readonly nodes = new Map<string, HealthNode>()
  members: Member[] = []
  readonly #tap: Tap
  readonly #random: SplittableRandom
  readonly #config: Config['health']
  readonly #inboxes = new Map<string, (from: NodeId, payload: Uint8Array) => void>()

  constructor(t: Tap, options: { seed?: number; config?: Partial<Config['health']> } = {}) {
    this.#tap = t
    this.#random = SplittableRandom.fromSeed(options.seed ?? 1)
    this.#config = resolveConfig({
      code: {
        node: { id: 'x', dataDirectory: 'x' },
        cluster: { bootstrap: { voters: ['x'] } },
        security: { insecure: true },
        health: options.config ?? {}
      }
    }).health
  }

  add(name: string, options: HealthNodeOptions = {}): HealthNode {
    const nodeId = name as NodeId
    this.members = [...this.members, memberOf(name)]
    const messenger = this.network.join(nodeId)
    const driver = new HealthDriver(
      {
        clock: this.#clockOf(options.wallAheadMs ?? 0),
        random: this.#random.split(name),
        messenger,
        datagramsProbe: options.datagrams === false ? null : this.#datagramsOf(nodeId),
        workers: options.workers ?? new InlineWorkers(),
        logger: silentLogger,
        members: () => this.members,
        loop: { delayMs: () => node.loopDelayMs },
        traffic: () => node.traffic
      },
      { nodeId, config: this.#config }
    )
    const node: HealthNode = { driver, events: [], loopDelayMs: 0, traffic: null }
    driver.onEvent((event) => node.events.push(event))
    this.nodes.set(name, node)
    driver.start()
    this.#tap.teardown(() => driver.stop())
    return node
  }

  link(a: string, b: string, state: { delayMs?: number; cut?: boolean }): void {
    for (const way of [`${a}>${b}`, `${b}>${a}`]) {
      if (state.delayMs !== undefined) this.network.delays.set(way, state.delayMs)
      if (state.cut === true) this.network.cuts.add(way)
      if (state.cut === false) this.network.cuts.delete(way)
    }
  }

  setLoss(from: string, to: string, rate: number): void {
    this.network.losses.set(`${from}>${to}`, rate)
  }

  #clockOf(wallAheadMs: number): Clock {
    const { clock } = this
    return {
      now: () => clock.now(),
      wallNow: () => (clock.wallNow() + wallAheadMs) as WallMs,
      schedule: (at, callback) => clock.schedule(at, callback)
    }
  }

  #datagramsOf(self: NodeId): ProbeDatagrams {
    const random = this.#random.split(`datagrams ${self}`)
    return {
      send: (to, payload) => {
        const { clock, network } = this
        const lost = random.nextFloat() < (network.losses.get(`${self}>${to}`) ?? 0)
        const isTooLong =
          payload.length > (network.datagramBytesMax.get(`${self}>${to}`) ?? Infinity)
        if (lost || isTooLong || !network.isLinked(self, to)) return true
        const copy = payload.slice()
        clock.schedule(after(clock.now(), network.delayBetween(self, to)), () =>
          this.#inboxes.get(to)?.(self, copy)
        )
        return true
      },
      onDatagram: (handle) => this.#inboxes.set(self, handle)
    }
  }
}

export const memberOf = (name: string): Member => ({
  nodeId: name as NodeId,
  address: `${name}:1`,
  incarnation: 1 as Member['incarnation'],
  liveness: Livenesses.Alive,
  lifecycle: Lifecycles.Up,
  health: 'healthy',
  datacenter: '',
  rack: '',
  metadata: {},
  capacity: unstatedCapacity,
  tags: [],
  lastSeen: 0 as Member['lastSeen']
})
