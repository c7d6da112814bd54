/** State that travels between nodes: the sub-facade `manager.stateSync`. */
import type { BreakerState } from './circuit-breaker.js'
import type { MonotonicMs, NodeId, WallMs } from './ids.js'

export const TransferStates = {
  /** The sender is asked what the file is, or the receiver whether it takes it. */
  Asking: 'asking',
  Moving: 'moving',
  /** Everything is there; its digests are compared. */
  Verifying: 'verifying',
  Done: 'done',
  Failed: 'failed',
  Cancelled: 'cancelled'
} as const
export type TransferState = (typeof TransferStates)[keyof typeof TransferStates]

/** One file on its way to or from this node, or that was. */
export interface TransferView {
  readonly id: string
  readonly direction: 'in' | 'out'
  readonly peer: NodeId
  /** Its name at the sender. */
  readonly file: string
  readonly state: TransferState
  /** Null: not known yet. */
  readonly sizeBytes: number | null
  /** Of these bytes the receiver has so many. */
  readonly doneBytes: number
  /** Were there already when it began: it goes on where an earlier one stopped. */
  readonly resumedBytes: number
  /** Chunks that came with another digest than their own and were sent again. */
  readonly chunksDamaged: number
  readonly startedAt: MonotonicMs
  readonly endedAt: MonotonicMs | null
  /** The code of the error that ended it. */
  readonly failure: string | null
}

export interface TransferOptions {
  readonly signal?: AbortSignal
  /** Told with every chunk; must not throw. */
  readonly onProgress?: (transfer: TransferView) => void
}

export interface FetchOptions extends TransferOptions {
  /** The file's name here; the same as there when absent. */
  readonly as?: string
}

/** What another node would like this one to take. */
export interface FileOffer {
  readonly from: NodeId
  /** As its sender calls it; checked to be a plain name. */
  readonly file: string
  readonly sizeBytes: number
  /** 64 hex digits. */
  readonly sha256: string
}

/**
 * How much of each origin's changes a state has in it: origin → count of its changes. One is newer
 * than another when no count is lower and one is higher; two of which neither is newer are in
 * conflict.
 */
export type VersionVector = Readonly<Record<string, number>>

/** What a service holds for one tenant, or what changed of it. */
export interface ServiceState {
  /** `incremental`: what changed since the version that was asked for. */
  readonly mode: 'full' | 'incremental'
  readonly version: VersionVector
  /** By the wall clock of whoever changed it last; `last-writer-wins` goes by it. */
  readonly changedAt: WallMs
  readonly data: Uint8Array
}

/** Two states of one tenant, each with changes that the other has not; both are `full`. */
export interface StateConflict {
  readonly tenant: string
  readonly local: ServiceState
  readonly remote: ServiceState
}

export const MergeStrategies = {
  LastWriterWins: 'last-writer-wins',
  HigherVersion: 'higher-version',
  Reject: 'reject'
} as const
export type MergeStrategyName = (typeof MergeStrategies)[keyof typeof MergeStrategies]
/** Answers the data of the state that has both in it. */
export type MergeFunction = (conflict: StateConflict) => Uint8Array | Promise<Uint8Array>

/** A service of the embedder's whose state nodes bring one another. */
export interface SyncedService {
  /** `{}`: nothing of this tenant is here. */
  version(tenant: string): VersionVector | Promise<VersionVector>
  /**
   * Whole, or what changed since `fromVersion`, if the state here has been at that very version and
   * was not replaced as a whole since; `{}` asks for the whole. Null: nothing of this tenant is
   * here.
   */
  snapshot(tenant: string, fromVersion: VersionVector): Promise<ServiceState | null>
  /**
   * Takes the state over, with its version. False, and nothing is changed: the tenant's version is
   * no longer `over`, which this was decided on; it is decided anew.
   */
  merge(tenant: string, state: ServiceState, over: VersionVector): Promise<boolean>
  /** What becomes of states in conflict; `reject` when absent. */
  readonly onConflict?: MergeStrategyName | MergeFunction
}

export interface SyncServiceOptions {
  /** `full`: whole, also where a part would do. */
  readonly mode?: 'full' | 'incremental'
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * - `unchanged`: the other node has nothing that is not here;
 * - `merged`: its newer state was taken over;
 * - `keptLocal`, `tookRemote`, `combined`: there was a conflict, and this is how it was resolved.
 */
export type SyncResult = 'unchanged' | 'merged' | 'keptLocal' | 'tookRemote' | 'combined'

export interface SyncReport {
  readonly service: string
  readonly tenant: string
  readonly from: NodeId
  readonly result: SyncResult
  /** Of the state here, afterwards. */
  readonly version: VersionVector
  readonly bytesReceived: number
  /** It was too large for a message and came as a file. */
  readonly asFile: boolean
}

/** What the cluster knows of one tenant; of two the higher version is kept, everywhere. */
export interface TenantMetadata {
  readonly tenant: string
  readonly version: number
  /** Who said so. */
  readonly origin: NodeId
  readonly services: readonly string[]
  readonly clients: number
  readonly sizeBytes: number
  readonly changedAt: WallMs
}

export type TenantInput = Pick<TenantMetadata, 'tenant' | 'services' | 'clients' | 'sizeBytes'>

export interface Tenants {
  /** By name. */
  list(): readonly TenantMetadata[]
  get(tenant: string): TenantMetadata | null
  /**
   * From now on, everywhere: with a version above every one that is known here.
   * @throws InvalidArgumentError
   * @throws BackpressureError as many tenants are known as may be
   */
  set(tenant: TenantInput): TenantMetadata
  /** False: it was not known. */
  remove(tenant: string): boolean
  /** With one node, now; it is done with some node at every `sync.tenantIntervalMs` anyway. */
  exchange(nodeId: NodeId): Promise<void>
}

/** Whether a peer is worth asking, as the breaker of this node sees it. */
export interface BreakerView {
  readonly nodeId: NodeId
  readonly state: BreakerState
  /** Null: it is not open. */
  readonly retryInMs: number | null
}

export interface StateSync {
  /**
   * Has `to` fetch a file from the shelf of this node; resolves when it is there, whole and
   * durable. Cut connections and restarts of either end are outlived.
   *
   * @throws NotFoundError there is no such file
   * @throws FileTransferError `details.reason` says why; what was moved is kept for the next time
   * @throws CancelledError
   */
  sendFile(to: NodeId, file: string, options?: TransferOptions): Promise<TransferView>
  /** Fetches a file from the shelf of another node onto this one's; otherwise as `sendFile`. */
  fetchFile(from: NodeId, file: string, options?: FetchOptions): Promise<TransferView>
  /**
   * Decides what others may send here: the answer is the file's name on this node's shelf, null
   * refuses it. Without it everything is refused.
   */
  acceptFiles(decide: (offer: FileOffer) => string | null): void
  /** Those under way, and the latest that ended; the oldest first. */
  transfers(): readonly TransferView[]
  /** @throws InvalidArgumentError the name is taken, or none */
  registerService(name: string, service: SyncedService): void
  /**
   * Brings the state of a tenant up to what `from` has.
   * @throws StateConflictError neither is newer, and the service rejects that
   * @throws NotFoundError no such service is registered there
   */
  syncService(
    from: NodeId,
    service: string,
    tenant: string,
    options?: SyncServiceOptions
  ): Promise<SyncReport>
  readonly tenants: Tenants
  /** Peers whose breaker is not at rest, by name. */
  breakers(): readonly BreakerView[]
}
