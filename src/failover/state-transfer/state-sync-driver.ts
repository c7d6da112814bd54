import type { Config } from '../../core/config/schema.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { StateSyncEvent } from '../../core/events.js'
import type { NodeId } from '../../core/ids.js'
import type { Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type {
  BreakerView,
  FetchOptions,
  FileOffer,
  StateSync,
  SyncedService,
  SyncReport,
  SyncServiceOptions,
  Tenants,
  TransferOptions,
  TransferView
} from '../../core/state-sync.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { createStateSyncCounters, type StateSyncCounterName } from './counters.js'
import { isFileName } from './file-name.js'
import { FileShelf } from './file-shelf-driver.js'
import { FileTransfersDriver } from './file-transfers-driver.js'
import { GuardedRequestsDriver } from './guarded-requests-driver.js'
import { ServiceSyncDriver } from './service-sync-driver.js'
import { TenantsDriver } from './tenants-driver.js'

export interface StateSyncComponents {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly disk: Disk
  readonly messenger: Messenger
  readonly logger: Logger
  readonly members: () => readonly Member[]
}

export interface StateSyncOptions {
  readonly nodeId: NodeId
  readonly config: Config['sync']
}

/** Files, states of services and what is known of tenants, between this node and others. */
export class StateSyncDriver implements StateSync {
  readonly #config: Config['sync']
  readonly #counters = createStateSyncCounters()
  readonly #requests: GuardedRequestsDriver
  readonly #files: FileTransfersDriver
  readonly #services: ServiceSyncDriver
  readonly #tenants: TenantsDriver
  readonly #handlers: ((event: StateSyncEvent) => void)[] = []

  constructor(components: StateSyncComponents, options: StateSyncOptions) {
    const { clock, random, crypto, disk, messenger, logger, members } = components
    const { nodeId, config } = options
    const counters = this.#counters
    const publish = (event: StateSyncEvent) => {
      for (const handle of this.#handlers) handle(event)
    }
    this.#config = config
    const shelf = new FileShelf({ disk, crypto }, config.partialsMax)
    const guarded = { clock, random: random.split('breakers'), messenger, counters, publish }
    this.#requests = new GuardedRequestsDriver(guarded, {
      failuresMax: config.breakerFailuresMax,
      windowMs: config.breakerWindowMs,
      backoffMinMs: config.breakerBackoffMinMs,
      backoffMaxMs: config.breakerBackoffMaxMs
    })
    const common = { clock, crypto, messenger, counters, publish, shelf, requests: this.#requests }
    const ofFiles = { ...common, logger, random: random.split('files') }
    this.#files = new FileTransfersDriver(ofFiles, config)
    this.#services = new ServiceSyncDriver({ ...common, files: this.#files }, { nodeId, config })
    this.#tenants = new TenantsDriver(
      { ...common, logger, members, random: random.split('tenants') },
      { nodeId, tenantsMax: config.tenantsMax, intervalMs: config.tenantIntervalMs }
    )
  }

  start(): void {
    this.#tenants.start()
  }

  async stop(): Promise<void> {
    this.#tenants.stop()
    await this.#files.stop()
  }

  /** The fields that `reloadable` names; others stay. */
  reconfigure(config: Config['sync']): void {
    this.#files.reconfigure({ ...this.#config, ...reloadedOf(config) })
  }

  onEvent(handle: (event: StateSyncEvent) => void): void {
    this.#handlers.push(handle)
  }

  metrics(): Readonly<Record<StateSyncCounterName, number>> {
    this.#counters.set('transfers_active', this.#files.active)
    this.#counters.set('tenants_known', this.#tenants.size)
    return this.#counters.snapshot()
  }

  tellQueues(tell: TellQueue): void {
    const { transfersMax, transfersServedMax, serviceSyncsMax, tenantsMax } = this.#config
    tell('sync.transfersMax', this.#files.received, transfersMax)
    tell('sync.transfersServedMax', this.#files.served, transfersServedMax)
    tell('sync.serviceSyncsMax', this.#services.active, serviceSyncsMax)
    tell('sync.tenantsMax', this.#tenants.size, tenantsMax)
  }

  get tenants(): Tenants {
    return this.#tenants
  }

  async sendFile(to: NodeId, file: string, options: TransferOptions = {}): Promise<TransferView> {
    checkName('file', file)
    return this.#files.send(to, file, options)
  }

  async fetchFile(from: NodeId, file: string, options: FetchOptions = {}): Promise<TransferView> {
    const { as = file } = options
    checkName('file', file)
    checkName('as', as)
    return this.#files.receive(from, file, { ...options, as })
  }

  acceptFiles(decide: (offer: FileOffer) => string | null): void {
    this.#files.acceptFiles(decide)
  }

  transfers(): readonly TransferView[] {
    return this.#files.views()
  }

  registerService(name: string, service: SyncedService): void {
    this.#services.register(name, service)
  }

  syncService(
    from: NodeId,
    service: string,
    tenant: string,
    options: SyncServiceOptions = {}
  ): Promise<SyncReport> {
    return this.#services.sync(from, service, tenant, options)
  }

  breakers(): readonly BreakerView[] {
    return this.#requests.views()
  }
}

const reloadedOf = ({ bytesPerSecond, chunksInFlightMax }: Config['sync']) => ({
  bytesPerSecond,
  chunksInFlightMax
})

function checkName(field: string, name: string): void {
  if (isFileName(name)) return
  throw new InvalidArgumentError(
    field,
    'must be a plain name: letters, digits, ".", "_" and "-", no dot in front, 128 at most'
  )
}
