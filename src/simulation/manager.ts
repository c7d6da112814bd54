/**
 * What the simulator needs of the facade; it is handed in, because the facade's house imports us.
 */
import type {
  ClientId,
  Clock,
  ClusterManager,
  Compression,
  ConfigInput,
  Credentials,
  Crypto,
  DatagramNetwork,
  Disk,
  EngineProvider,
  GroupId,
  Logger,
  PresetName,
  Random,
  ReplicaObserver,
  ReplicaSight,
  StreamNetwork,
  TellIncarnation,
  TellQueue,
  VersionRange,
  Workers
} from '../core/index.js'
import type { CustomDeclaration } from '../wire/index.js'

export interface SimulatedPorts {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly compression: Compression
  readonly logger: Logger
  readonly streams: StreamNetwork
  readonly datagrams: DatagramNetwork
  readonly disk: Disk
  readonly workers: Workers
  readonly observer: ReplicaObserver
  /** Traces take real time to load, and go nowhere here. */
  readonly tracer: null
  readonly credentials: Credentials
  readonly gossipKeys: readonly Uint8Array[]
}

export interface SimulatedManager extends ClusterManager {
  start(): Promise<void>
  stop(options?: { readonly drain?: boolean }): Promise<void>
  /** What is judged after each event; nothing is copied. */
  sights(): readonly { readonly sight: ReplicaSight }[]
  tellIncarnations(tell: TellIncarnation): void
  tellQueues(tell: TellQueue): void
  registerClient(
    clientId: ClientId,
    options?: { readonly timeoutMs?: number; readonly group?: GroupId }
  ): Promise<void>
}

export type CreateManager = (options: {
  readonly config: ConfigInput
  readonly preset: PresetName
  readonly engine: EngineProvider
  readonly messages: readonly CustomDeclaration[]
  /** What the node's software speaks; absent: all that it can. */
  readonly versions?: VersionRange
  readonly overrides: SimulatedPorts
}) => SimulatedManager
