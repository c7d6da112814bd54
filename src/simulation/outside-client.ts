/**
 * A program outside of the cluster: a process of its own with a client, which finds the nodes over
 * the simulated wires. It stands at some node's place, so what cuts the one off cuts the other off
 * too; it does not crash with it.
 */
import {
  type Address,
  after,
  type Clock,
  Consistencies,
  type Crypto,
  type EngineProvider,
  type GroupId,
  type Logger,
  NotStartedError,
  type QueryOptions,
  type QueryResult,
  type Random,
  type Statement,
  type StreamNetwork
} from '../core/index.js'
import { classifyKv } from './kv-statements.js'
import { clusterName } from './simulated-cluster.js'
import { simulatedCrypto } from './simulated-crypto.js'
import type { SimulatedStreamWorld } from './simulated-stream-network.js'
import { MachineClock, NodeClock, SimulatedProcess, type VirtualTime } from './virtual-clock.js'

/** What the simulator needs of a client; it is handed in, because its house imports us. */
export interface SimulatedClient {
  query(
    sql: string,
    params: undefined,
    options: Pick<QueryOptions, 'consistency' | 'group' | 'timeoutMs'>
  ): Promise<QueryResult>
  execute(
    statements: readonly Statement[],
    options: Pick<QueryOptions, 'timeoutMs'>
  ): Promise<QueryResult[]>
  openSession(options: {
    readonly settings: Readonly<Record<string, string>>
    readonly timeoutMs: number
  }): Promise<SimulatedSession>
}

/** A SQL session of a client. */
export interface SimulatedSession {
  readonly id: string
  readonly settings: Readonly<Record<string, string>>
  query(
    sql: string,
    params: undefined,
    options: Pick<QueryOptions, 'consistency' | 'group' | 'timeoutMs'>
  ): Promise<QueryResult>
  run(
    name: string,
    params: undefined,
    options: Pick<QueryOptions, 'consistency' | 'group' | 'timeoutMs'>
  ): Promise<QueryResult>
  prepare(name: string, sql: string): Promise<void>
  set(name: string, value: string): Promise<void>
  close(): Promise<void>
}

export type ConnectClient = (options: {
  readonly addresses: Address[]
  readonly clusterName: string
  readonly clientName: string
  readonly insecure: boolean
  readonly connectTimeoutMs: number
  readonly classify: NonNullable<EngineProvider['classify']>
  readonly overrides: {
    readonly clock: Clock
    readonly random: Random
    readonly crypto: Crypto
    readonly streams: StreamNetwork
    readonly logger: Logger
  }
}) => Promise<SimulatedClient>

export interface OutsideComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly streams: SimulatedStreamWorld
  readonly crypto: Crypto
  readonly connect: ConnectClient
  readonly logger: Logger
}

const connectTimeoutMs = 5_000
const reconnectPauseMs = 200

export class OutsideClient {
  readonly process: SimulatedProcess
  readonly #components: OutsideComponents
  readonly #addresses: readonly Address[]
  readonly #clock: NodeClock
  #client: SimulatedClient | null = null

  constructor(
    components: OutsideComponents,
    options: {
      readonly name: string
      readonly host: number
      readonly addresses: readonly Address[]
    }
  ) {
    const { time, random } = components
    this.process = new SimulatedProcess(options.name, options.host, 0)
    const bootedMsAgo = Math.floor(random.split('boot').nextFloat() * 1e6)
    this.#clock = new NodeClock(time, new MachineClock(time, bootedMsAgo), this.process)
    this.#components = components
    this.#addresses = options.addresses
  }

  start(): void {
    const { time } = this.#components
    time.post(time.now, 'connect', this.process, () => this.#connect())
  }

  /** In a turn of its own process. */
  query(sql: string, group: GroupId, timeoutMs: number): Promise<QueryResult> {
    const options = { consistency: Consistencies.Linearizable, group, timeoutMs }
    if (this.#client !== null) return this.#client.query(sql, undefined, options)
    return Promise.reject(notConnected())
  }

  /** A list of statements, in a turn of its own process. */
  execute(statements: readonly Statement[], timeoutMs: number): Promise<QueryResult[]> {
    return this.#client?.execute(statements, { timeoutMs }) ?? Promise.reject(notConnected())
  }

  /** In a turn of its own process. */
  openSession(settings: Record<string, string>, timeoutMs: number): Promise<SimulatedSession> {
    const opening = this.#client?.openSession({ settings, timeoutMs })
    return opening ?? Promise.reject(notConnected())
  }

  #connect(): void {
    const { connect, crypto, logger, random, streams } = this.#components
    const { name } = this.process
    const clock = this.#clock
    const identity = { kind: 'client', name, clusterName } as const
    const connecting = connect({
      addresses: [...this.#addresses],
      clusterName,
      clientName: name,
      insecure: true,
      connectTimeoutMs,
      classify: classifyKv,
      overrides: {
        clock,
        random: random.split('random'),
        crypto: simulatedCrypto(crypto, random.split('crypto')),
        streams: streams.networkOf({ process: this.process, clock, hostName: name, identity }),
        logger
      }
    })
    connecting.then(
      (client) => {
        this.#client = client
      },
      () => clock.schedule(after(clock.now(), reconnectPauseMs), () => this.#connect())
    )
  }
}

const notConnected = () => new NotStartedError('the client is not connected yet')
