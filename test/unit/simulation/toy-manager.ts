import {
  type ByteStream,
  type ClusterView,
  DialFailedError,
  IndeterminateError,
  type MonotonicMs,
  type NodeId,
  type QueryOptions,
  type QueryResult,
  type ReplicaSight,
  RequestTimeoutError,
  type TellIncarnation,
  type TellQueue,
  UndeliveredError
} from '../../../src/core/index.js'
import { classifyKv, runKv } from '../../../src/simulation/kv-statements.js'
import type {
  CreateManager,
  SimulatedManager,
  SimulatedPorts
} from '../../../src/simulation/manager.js'
import type { SwarmOptions } from '../../../src/simulation/swarm-options.js'

/** Faults that the simulator must find in an otherwise correct system. */
export interface ToyFaults {
  readonly acknowledgesBeforeSync?: boolean
  readonly forgetsSerials?: boolean
  readonly readsAnywhere?: boolean
  readonly drawsRealTime?: boolean
  /** Its table of open requests grows beyond its bound. */
  readonly boundsNothing?: boolean
  /** A loop of awaits that never ends. */
  readonly spins?: boolean
}

interface Wire {
  readonly id: number
  readonly sql?: string
  readonly tag?: readonly [string, number]
  readonly result?: Pick<QueryResult, 'columns' | 'rows' | 'rowsAffected' | 'lastInsertRowid'>
}

/**
 * A cluster whose first node holds everything in one synced log, and whose others forward: not
 * available when that node is down, but linearizable, exactly-once and durable. It is there to
 * try the simulator.
 */
export const toyManager =
  (faults: ToyFaults = {}): CreateManager =>
  ({ config, overrides }) =>
    new ToyManager(config.node.id as NodeId, overrides, faults) as unknown as SimulatedManager

/** Its members stay, and it knows of no groups, the control group neither. */
export const toySwarm = (drawn: SwarmOptions): SwarmOptions => ({
  ...drawn,
  members: { ...drawn.members, founders: null, meanIntervalMs: null },
  groups: { ...drawn.groups, count: 1 },
  transactions: null,
  sessions: null,
  bounds: {},
  planned: { ...drawn.planned, meanIntervalMs: null },
  control: null
})

const oneKey = {
  primary: '0a',
  rotating: null,
  responses: 5,
  keys: [{ id: '0a', isPrimary: true, installed: 5, used: 5 }]
}

const leader = 'n1' as NodeId
const leaderAddress = 'n1:7946'

class ToyManager {
  readonly nodeId: NodeId
  readonly #ports: SimulatedPorts
  readonly #faults: ToyFaults
  readonly #data = new Map<string, string>()
  readonly #answers = new Map<string, { serial: number; result: Wire['result'] }>()
  readonly #waiting = new Map<number, (wire: Wire) => void>()
  #log: { write(text: string): Promise<void> } | null = null
  #stream: Promise<ByteStream> | null = null
  #counter = 0

  constructor(nodeId: NodeId, ports: SimulatedPorts, faults: ToyFaults) {
    this.nodeId = nodeId
    this.#ports = ports
    this.#faults = faults
  }

  async start(): Promise<void> {
    if (this.nodeId !== leader) return
    await this.#openLog()
    await this.#ports.streams.listen(leaderAddress, (stream) => this.#serve(stream))
  }

  /** It remembers whoever writes. */
  async registerClient(): Promise<void> {}

  async executeQuery(sql: string, options: QueryOptions): Promise<QueryResult> {
    const { client, timeoutMs = 1_000 } = options
    const tag = client ? ([client.clientId, client.serial] as const) : undefined
    const wire: Wire = { id: this.#counter++, sql, ...(tag && { tag }) }
    const isHere = this.nodeId === leader || (this.#faults.readsAnywhere && !tag)
    const deadline = (this.#ports.clock.now() + timeoutMs) as MonotonicMs
    const answer = isHere ? await this.#execute(wire) : await this.#forward(wire, deadline)
    return { ...answer.result, index: 0, group: 0, node: leader } as unknown as QueryResult
  }

  readonly metadata = { set() {}, delete: () => false }

  /** It has one key for ever, knows every list, and believes everybody. */
  readonly security = {
    listKeys: async () => oneKey,
    installKey: async () => ({ ...oneKey, rotating: oneKey.primary }),
    reloadCertificates: async () => ({}),
    revoke: async () => ({}),
    refusalOf: () => null,
    revocations: () => ({ lists: [{ number: Number.POSITIVE_INFINITY }] })
  }

  getAllMetrics(): Record<string, never> {
    return {}
  }

  readonly messages = { onMessage() {}, onRequest() {} }

  async sendMessage(): Promise<void> {
    throw new UndeliveredError('it has no post')
  }

  sights(): { readonly sight: ReplicaSight }[] {
    const role = this.nodeId === leader ? 'leader' : 'follower'
    return [
      { sight: { role, term: 1, commitIndex: 0, appliedIndex: 0, failed: null } as ReplicaSight }
    ]
  }

  tellIncarnations(tell: TellIncarnation): void {
    for (const { nodeId, incarnation } of this.getClusterMembers()) tell(nodeId, incarnation)
  }

  getClusterMembers(): ClusterView['members'] {
    return ['n1', 'n2', 'n3', 'n4', 'n5'].map((nodeId) => ({
      nodeId,
      incarnation: 0,
      liveness: 'alive'
    })) as unknown as ClusterView['members']
  }

  tellQueues(tell: TellQueue): void {
    tell('waiting', this.#waiting.size, this.#faults.boundsNothing ? 0 : 1_000)
  }

  async checksums(): Promise<readonly object[]> {
    return [{ group: 0, index: 0, hash: '' }]
  }

  async #openLog(): Promise<void> {
    const { disk } = this.#ports
    const text = new TextDecoder().decode((await disk.readFile('log')) ?? new Uint8Array())
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    for (const line of whole.split('\n')) {
      if (line !== '') this.#apply(JSON.parse(line) as Wire)
    }
    const file = await disk.open('log')
    await file.truncate(new TextEncoder().encode(whole).length)
    await file.sync()
    await disk.syncDirectory('')
    let offset = file.sizeBytes
    let last: Promise<void> = Promise.resolve()
    const write = (line: string): Promise<void> => {
      const bytes = new TextEncoder().encode(line)
      const at = offset
      offset += bytes.length
      last = last.then(() => file.write(at, [bytes])).then(() => file.sync())
      return last
    }
    this.#log = { write }
  }

  async #execute(wire: Wire): Promise<Wire> {
    for (; this.#faults.spins; ) await null
    const result = this.#apply(wire)
    const synced = this.#log?.write(isWrite(wire) ? `${JSON.stringify(wire)}\n` : '')
    if (!this.#faults.acknowledgesBeforeSync) await synced
    if (this.#faults.drawsRealTime) await this.#sleep(performance.now() % 1)
    return { id: wire.id, result }
  }

  /**
   * In the order of the log; a serial that was executed is answered as before. A lower one comes
   * late, and nobody waits for its answer any more.
   */
  #apply({ sql = '', tag }: Wire): Wire['result'] {
    const known = tag && this.#answers.get(tag[0])
    if (known && known.serial >= tag[1] && !this.#faults.forgetsSerials) return known.result
    const outcome = runKv(sql, {
      get: (key) => this.#data.get(key) ?? null,
      set: (key, value) => this.#data.set(key, value ?? '')
    })
    if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
    if (tag) this.#answers.set(tag[0], { serial: tag[1], result: outcome.result })
    return outcome.result
  }

  async #forward(wire: Wire, deadline: MonotonicMs): Promise<Wire> {
    this.#stream ??= this.#dial(deadline)
    const stream = await this.#stream
    // A write without a serial must not be sent again: nobody could tell that it was executed.
    const isUnsure = isWrite(wire) && wire.tag === undefined
    return new Promise((resolve, reject) => {
      const timer = this.#ports.clock.schedule(deadline, () => {
        this.#waiting.delete(wire.id)
        reject(isUnsure ? new IndeterminateError('sent') : new RequestTimeoutError('no answer'))
      })
      this.#waiting.set(wire.id, (answer) => {
        timer.cancel()
        resolve(answer)
      })
      stream.write(encode(wire))
    })
  }

  async #dial(deadline: MonotonicMs): Promise<ByteStream> {
    try {
      const stream = await this.#ports.streams.dial(leaderAddress, {
        expectedNodeId: leader,
        deadline
      })
      const onWire = (answer: Wire) => this.#waiting.get(answer.id)?.(answer)
      stream.attach(handlersOf(onWire, () => (this.#stream = null)))
      // Half-open streams tell nobody: a fresh one every second is crude, and enough here.
      void this.#sleep(1_000).then(() => {
        this.#stream = null
        stream.end()
      })
      return stream
    } catch (error) {
      this.#stream = null
      throw error instanceof Error ? error : new DialFailedError('dial')
    }
  }

  #serve(stream: ByteStream): void {
    const onWire = (wire: Wire) => {
      void this.#execute(wire).then((answer) => stream.write(encode(answer)))
    }
    stream.attach(handlersOf(onWire, () => {}))
  }

  async #sleep(ms: number): Promise<void> {
    const { clock } = this.#ports
    await new Promise<void>((resolve) => {
      clock.schedule((clock.now() + ms) as MonotonicMs, resolve)
    })
  }
}

const isWrite = ({ sql = '' }: Wire): boolean => classifyKv(sql) === 'write'

const encode = (wire: Wire): Uint8Array => new TextEncoder().encode(`${JSON.stringify(wire)}\n`)

function handlersOf(onWire: (wire: Wire) => void, onClose: () => void) {
  let held = ''
  return {
    onData(chunk: Uint8Array) {
      held += new TextDecoder().decode(chunk)
      const lines = held.split('\n')
      held = lines.pop() ?? ''
      for (const line of lines) onWire(JSON.parse(line) as Wire)
    },
    onDrain() {},
    onClose
  }
}
