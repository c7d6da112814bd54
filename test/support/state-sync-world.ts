import type { ConfigInput } from '../../src/core/config/schema.js'
import { CancelledError, type SkeinError } from '../../src/core/errors.js'
import type { ClusterEventBody } from '../../src/core/events.js'
import type { NodeId } from '../../src/core/ids.js'
import { resolveConfig, type TransferView } from '../../src/core/index.js'
import { HealthStatuses, Lifecycles, Livenesses, type Member } from '../../src/core/member.js'
import { silentLogger } from '../../src/core/ports/logger.js'
import type {
  Inbound,
  MessageType,
  Messenger,
  RequestOptions,
  RequestType,
  SendOptions
} from '../../src/core/ports/messenger.js'
import { SplittableRandom } from '../../src/core/splittable-random.js'
import type { StateSync } from '../../src/core/state-sync.js'
import { fileTransferChunk } from '../../src/failover/state-transfer/messages.js'
import { StateSyncDriver } from '../../src/failover/state-transfer/state-sync-driver.js'
import { SimulatedDisk } from '../../src/simulation/simulated-disk.js'
import type { TypeOf } from '../../src/wire/index.js'
import { MemoryNetwork } from './memory-messenger.js'
import { testCrypto } from './test-crypto.js'
import { VirtualClock } from './virtual-clock.js'

export const node = (name: string) => name as NodeId

type Chunk = TypeOf<(typeof fileTransferChunk)['codec']>

/** What becomes of a chunk on its way to a node; null: it is lost. */
export type Tamper = (to: NodeId, chunk: Chunk) => Chunk | null

/** Cancels requests, and lets a test lay hands on chunks. */
class TestMessenger implements Messenger {
  readonly #inner: Messenger
  readonly #self: NodeId
  readonly #tamper: () => Tamper

  constructor(inner: Messenger, self: NodeId, tamper: () => Tamper) {
    this.#inner = inner
    this.#self = self
    this.#tamper = tamper
  }

  send<Body>(to: NodeId, type: MessageType<Body>, body: Body, options?: SendOptions): boolean {
    return this.#inner.send(to, type, body, options)
  }

  request<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    options: RequestOptions
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const cancel = () => reject(new CancelledError('cancelled'))
      options.signal?.addEventListener('abort', cancel, { once: true })
      if (options.signal?.aborted) cancel()
      const asked = this.#inner.request(to, type, body, options)
      asked
        .finally(() => options.signal?.removeEventListener('abort', cancel))
        .then(resolve, reject)
    })
  }

  onMessage<Body>(type: MessageType<Body>, handle: (inbound: Inbound<Body>) => void): void {
    this.#inner.onMessage(type, handle)
  }

  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void {
    this.#inner.onRequest(type, (inbound) => {
      if (type.number !== fileTransferChunk.number) return handle(inbound)
      const chunk = this.#tamper()(this.#self, inbound.body as unknown as Chunk)
      if (chunk === null) return new Promise(() => {})
      return handle({ ...inbound, body: chunk as unknown as Body })
    })
  }

  onPeer(handle: (change: { nodeId: NodeId; connected: boolean }) => void): void {
    this.#inner.onPeer(handle)
  }

  isConnected(to: NodeId): boolean {
    return this.#inner.isConnected(to)
  }
}

type SyncInput = NonNullable<ConfigInput['sync']>

/** One machine: its disk outlives its processes. */
export class SyncNode {
  readonly nodeId: NodeId
  readonly disk: SimulatedDisk
  readonly events: ClusterEventBody[] = []
  /** Set up in every new process. */
  prepare: (sync: StateSync) => void = () => {}
  readonly #world: StateSyncWorld
  #driver: StateSyncDriver | null = null
  #lives = 0

  constructor(world: StateSyncWorld, name: string) {
    this.#world = world
    this.nodeId = node(name)
    this.disk = new SimulatedDisk({ clock: world.clock, random: world.random.split(name) })
  }

  get sync(): StateSyncDriver {
    if (this.#driver === null) throw new Error(`${this.nodeId} is down`)
    return this.#driver
  }

  get isUp(): boolean {
    return this.#driver !== null
  }

  start(config: SyncInput = this.#world.config): void {
    const { clock, network, random } = this.#world
    const inner = network.join(this.nodeId)
    const ofLife = random.split(`${this.nodeId} ${this.#lives++}`)
    this.#driver = new StateSyncDriver(
      {
        clock,
        random: ofLife.split('sync'),
        crypto: testCrypto(ofLife.split('crypto')),
        disk: this.disk.mount(),
        messenger: new TestMessenger(inner, this.nodeId, () => this.#world.tamper),
        logger: silentLogger,
        members: () => this.#world.members()
      },
      { nodeId: this.nodeId, config: configOf(config) }
    )
    this.#driver.onEvent((event) => this.events.push(event))
    this.prepare(this.#driver)
    this.#driver.start()
  }

  /** The process dies; with `power` the machine does too. */
  crash(power = false): void {
    this.#world.network.leave(this.nodeId)
    this.#driver = null
    if (power) this.disk.crash(this.#world.random.split(`power ${this.nodeId} ${this.#lives}`))
    else this.disk.kill()
  }

  /** Where an embedder would put a file. */
  async put(name: string, bytes: Uint8Array): Promise<void> {
    const disk = this.disk.mount()
    await disk.makeDirectory('files')
    const file = await disk.open(`files/${name}`)
    await file.truncate(0)
    await file.write(0, [bytes])
    await file.sync()
    await disk.syncDirectory('files')
    await disk.syncDirectory('')
  }

  read(name: string): Promise<Uint8Array | null> {
    return this.disk.mount().readFile(`files/${name}`)
  }

  list(directory: string): Promise<string[]> {
    return this.disk.mount().list(directory)
  }
}

/** Nodes with state sync alone, on one virtual clock. */
export class StateSyncWorld {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly random: SplittableRandom
  readonly nodes = new Map<string, SyncNode>()
  config: SyncInput
  tamper: Tamper = (_to, chunk) => chunk

  constructor(seed: number, config: SyncInput = {}) {
    this.random = SplittableRandom.fromSeed(seed)
    this.config = config
  }

  start(...names: readonly string[]): SyncNode[] {
    return names.map((name) => {
      const made = new SyncNode(this, name)
      this.nodes.set(name, made)
      made.start()
      return made
    })
  }

  /** The connection between two nodes breaks, and stands again. */
  breakConnection(a: SyncNode, b: SyncNode): void {
    for (const connected of [false, true]) {
      this.network.nodes.get(a.nodeId)?.tellPeer(b.nodeId, connected)
      this.network.nodes.get(b.nodeId)?.tellPeer(a.nodeId, connected)
    }
  }

  /** With what is not given. */
  resolved() {
    return configOf(this.config)
  }

  members(): Member[] {
    return [...this.nodes.values()].map(({ nodeId, isUp }) => ({
      nodeId,
      address: `${nodeId}:1`,
      incarnation: 1,
      liveness: isUp ? Livenesses.Alive : Livenesses.Dead,
      lifecycle: Lifecycles.Up,
      health: HealthStatuses.Healthy
    })) as unknown as Member[]
  }

  /** `done`, or the code of the error, moving time until it is told. */
  outcome(promise: Promise<TransferView>, withinMs = 3_600_000): Promise<string> {
    const told = promise.then(
      ({ state }) => state as string,
      (error: SkeinError) => reasonOf(error)
    )
    return this.clock.settle(told, withinMs)
  }
}

/** The code of an error, and its reason where it has one. */
export function reasonOf(error: SkeinError): string {
  const reason = error.details?.reason
  return reason === undefined ? String(error.code ?? error) : `${error.code} ${reason}`
}

export function randomBytes(random: SplittableRandom, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = random.nextInt(256)
  return bytes
}

export const flipped = (chunk: Chunk, bit: number): Chunk => {
  const data = chunk.data.slice()
  const at = bit % Math.max(1, data.length * 8)
  data[at >> 3] = (data[at >> 3] as number) ^ (1 << (at & 7))
  return { ...chunk, data }
}

function configOf(sync: SyncInput) {
  return resolveConfig({
    code: {
      node: { id: 'a', dataDirectory: 'data' },
      security: { insecure: true },
      cluster: { bootstrap: { voters: ['a'] } },
      sync
    }
  }).sync
}
