/** States of the embedder's services, which nodes bring one another up to. */
import type { Config } from '../../core/config/schema.js'
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  FileTransferError,
  InvalidArgumentError,
  MessageTooLargeError,
  NotAuthorizedError,
  NotFoundError,
  StateConflictError
} from '../../core/errors.js'
import type { StateSyncEvent } from '../../core/events.js'
import type { NodeId, WallMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import {
  MergeStrategies,
  type ServiceState,
  type SyncedService,
  type SyncReport,
  type SyncResult,
  type SyncServiceOptions,
  type VersionVector
} from '../../core/state-sync.js'
import type { TypeOf } from '../../wire/index.js'
import type { StateSyncCounters } from './counters.js'
import { stateFileName } from './file-name.js'
import { type FileShelf, hexOf } from './file-shelf-driver.js'
import type { FileTransfersDriver } from './file-transfers-driver.js'
import type { GuardedRequestsDriver } from './guarded-requests-driver.js'
import { keptOf } from './merge-strategy.js'
import { serviceStateBytesMax, syncService } from './messages.js'
import { isName } from './names.js'
import { equalBytes } from './partial-file-driver.js'
import {
  advanced,
  compareVersions,
  fromWireVersion,
  joinVersions,
  toWireVersion,
  VersionOrders
} from './version-vector.js'

const answerTimeoutMs = 30_000
/** A state that changes while it is merged is asked for again. */
const mergesMax = 4
/** States that wait as files for those who asked for them; the oldest goes first. */
const stateFilesMax = 8
/** Of a state's file name, which is random. */
const stateTagBytes = 16

type Asked = TypeOf<(typeof syncService)['codec']>
type Answer = TypeOf<(typeof syncService)['response']['codec']>

export interface ServiceSyncComponents {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly messenger: Messenger
  readonly requests: GuardedRequestsDriver
  readonly files: FileTransfersDriver
  readonly shelf: FileShelf
  readonly counters: StateSyncCounters
  readonly publish: (event: StateSyncEvent) => void
}

export interface ServiceSyncOptions {
  readonly nodeId: NodeId
  readonly config: Config['sync']
}

/** One call of `sync`. */
interface Call {
  readonly from: NodeId
  readonly name: string
  readonly service: SyncedService
  readonly tenant: string
  readonly options: SyncServiceOptions
  bytesReceived: number
  asFile: boolean
}

export class ServiceSyncDriver {
  readonly #components: ServiceSyncComponents
  readonly #options: ServiceSyncOptions
  readonly #services = new Map<string, SyncedService>()
  readonly #stateFiles: string[] = []
  #asked = 0
  #answered = 0

  constructor(components: ServiceSyncComponents, options: ServiceSyncOptions) {
    this.#components = components
    this.#options = options
    components.messenger.onRequest(syncService, (inbound) => this.#serve(inbound))
  }

  /** Being asked for and answered. */
  get active(): number {
    return Math.max(this.#asked, this.#answered)
  }

  register(name: string, service: SyncedService): void {
    if (!isName(name)) throw new InvalidArgumentError('name', 'must be 1 to 63 bytes of text')
    if (this.#services.has(name)) throw new InvalidArgumentError('name', `${name} is registered`)
    this.#services.set(name, service)
  }

  async sync(
    from: NodeId,
    name: string,
    tenant: string,
    options: SyncServiceOptions
  ): Promise<SyncReport> {
    const service = this.#serviceOf(name)
    if (!isName(tenant)) throw new InvalidArgumentError('tenant', 'must be 1 to 63 bytes of text')
    if (this.#asked >= this.#options.config.serviceSyncsMax) {
      throw new BackpressureError(`${this.#asked} states are being asked for`)
    }
    this.#asked++
    try {
      const call = { from, name, service, tenant, options, bytesReceived: 0, asFile: false }
      const result = await this.#syncUntilDone(call)
      this.#components.counters.add('services_synced')
      this.#components.publish({ type: 'ServiceSynced', service: name, tenant, from, result })
      const version = await service.version(tenant)
      const { bytesReceived, asFile } = call
      return { service: name, tenant, from, result, version, bytesReceived, asFile }
    } finally {
      this.#asked--
    }
  }

  async #syncUntilDone(call: Call): Promise<SyncResult> {
    let mode = call.options.mode ?? 'incremental'
    for (let merges = 0; merges < mergesMax; merges++) {
      const local = await call.service.version(call.tenant)
      const answer = await this.#ask(call, mode, local)
      if (answer.mode === 'unchanged') return 'unchanged'
      const state = await this.#stateOf(call, answer)
      const order = compareVersions(local, state.version)
      if (order === VersionOrders.Equal || order === VersionOrders.Newer) return 'unchanged'
      if (order === VersionOrders.Older) {
        if (await call.service.merge(call.tenant, state, local)) return 'merged'
      } else if (state.mode === 'incremental') mode = 'full'
      else {
        const result = await this.#resolve(call, state, local)
        if (result !== null) return result
      }
    }
    throw new BackpressureError('the state changes faster than it can be merged')
  }

  /** Null: the state here is another by now. */
  async #resolve(
    { from, name, service, tenant }: Call,
    remote: ServiceState,
    over: VersionVector
  ): Promise<SyncResult | null> {
    const { counters, publish, clock } = this.#components
    counters.add('state_conflicts')
    const strategy = service.onConflict ?? MergeStrategies.Reject
    if (strategy === MergeStrategies.Reject) {
      publish({ type: 'StateConflictFound', service: name, tenant, from })
      throw new StateConflictError(`${name} of ${tenant} was changed here and on ${from}`, {
        nodeId: from
      })
    }
    const local = await service.snapshot(tenant, {})
    if (local === null || compareVersions(local.version, over) !== VersionOrders.Equal) return null
    const version = joinVersions(local.version, remote.version)
    const merge = async (state: ServiceState, result: SyncResult) =>
      (await service.merge(tenant, state, over)) ? result : null
    if (typeof strategy === 'function') {
      const data = await strategy({ tenant, local, remote })
      const changedAt = Math.floor(clock.wallNow()) as WallMs
      const own = advanced(version, this.#options.nodeId)
      return merge({ mode: 'full', version: own, changedAt, data }, 'combined')
    }
    return keptOf(strategy, local, remote) === 'local'
      ? merge({ ...local, version }, 'keptLocal')
      : merge({ ...remote, version }, 'tookRemote')
  }

  #ask(
    { from, name, tenant, options }: Call,
    mode: 'full' | 'incremental',
    have: VersionVector
  ): Promise<Answer> {
    const { clock, requests } = this.#components
    const body = { service: name, tenant, mode, fromVersion: toWireVersion(have) }
    const deadline = after(clock.now(), options.timeoutMs ?? answerTimeoutMs)
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    return requests.request(from, syncService, body, { deadline, ...signal })
  }

  async #stateOf(call: Call, answer: Answer): Promise<ServiceState> {
    const version = fromWireVersion(answer.version)
    const changedAt = answer.changedAt as WallMs
    const isFile = answer.mode === 'tooLarge'
    const data = isFile ? await this.#fetchState(call, answer) : answer.data
    call.bytesReceived += data.length
    if (!equalBytes(this.#components.crypto.sha256(data), answer.sha256)) {
      throw new FileTransferError('the state has another digest than its own', {
        details: { reason: 'damaged' }
      })
    }
    const mode = answer.mode === 'incremental' ? 'incremental' : 'full'
    return { mode: isFile ? answer.fileMode : mode, version, changedAt, data }
  }

  async #fetchState(call: Call, answer: Answer): Promise<Uint8Array> {
    const { files, shelf, crypto } = this.#components
    const as = stateFileName(hexOf(crypto.randomBytes(stateTagBytes)))
    const { signal } = call.options
    const options = { as, sha256: answer.sha256, sizeBytesMax: this.#options.config.stateBytesMax }
    call.asFile = true
    try {
      await files.receive(call.from, answer.file, { ...options, ...(signal && { signal }) })
      return await shelf.readAll(as)
    } finally {
      await shelf.remove(as)
    }
  }

  async #serve({ peer, body }: Inbound<Asked>): Promise<Answer> {
    if (peer.kind !== 'node') throw new NotAuthorizedError('states are for members')
    const service = this.#serviceOf(body.service)
    if (this.#answered >= this.#options.config.serviceSyncsMax) {
      throw new BackpressureError(`${this.#answered} states are being answered`)
    }
    this.#answered++
    try {
      return await this.#answer(service, body)
    } finally {
      this.#answered--
    }
  }

  async #answer(service: SyncedService, asked: Asked): Promise<Answer> {
    const { tenant, mode } = asked
    const have = fromWireVersion(asked.fromVersion)
    const here = await service.version(tenant)
    const order = compareVersions(have, here)
    if (order === VersionOrders.Equal || order === VersionOrders.Newer) {
      return this.#unchanged(asked, here)
    }
    const isPart = mode === 'incremental' && order === VersionOrders.Older
    const state = await service.snapshot(tenant, isPart ? have : {})
    if (state === null) return this.#unchanged(asked, {})
    const { crypto, shelf } = this.#components
    const { stateBytesMax } = this.#options.config
    const { data, changedAt } = state
    if (data.length > stateBytesMax) {
      throw new MessageTooLargeError(`${data.length} bytes, at most ${stateBytesMax} are exchanged`)
    }
    const sha256 = crypto.sha256(data)
    const version = toWireVersion(state.version)
    const answer = { service: asked.service, version, changedAt, sha256, fileMode: state.mode }
    if (data.length <= serviceStateBytesMax) return { ...answer, mode: state.mode, data, file: '' }
    const file = stateFileName(hexOf(sha256.subarray(0, stateTagBytes)))
    await shelf.write(file, data)
    await this.#keepStateFile(file)
    return { ...answer, mode: 'tooLarge', data: new Uint8Array(0), file }
  }

  #unchanged({ service }: Asked, here: VersionVector): Answer {
    const data = new Uint8Array(0)
    return {
      ...{ service, data, mode: 'unchanged', fileMode: 'full', changedAt: 0, file: '' },
      version: toWireVersion(here),
      sha256: this.#components.crypto.sha256(data)
    }
  }

  async #keepStateFile(file: string): Promise<void> {
    const at = this.#stateFiles.indexOf(file)
    if (at >= 0) this.#stateFiles.splice(at, 1)
    this.#stateFiles.push(file)
    if (this.#stateFiles.length <= stateFilesMax) return
    const oldest = this.#stateFiles.shift()
    if (oldest !== undefined) await this.#components.shelf.remove(oldest)
  }

  #serviceOf(name: string): SyncedService {
    const service = this.#services.get(name)
    if (service === undefined) throw new NotFoundError(`no service ${name} is registered`)
    return service
  }
}
