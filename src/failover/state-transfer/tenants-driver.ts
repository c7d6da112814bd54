import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import { InvalidArgumentError, NotAuthorizedError } from '../../core/errors.js'
import type { StateSyncEvent } from '../../core/events.js'
import type { NodeId, WallMs } from '../../core/ids.js'
import { Lifecycles, Livenesses, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import { factsOf } from '../../core/remote-error.js'
import type { TenantInput, TenantMetadata, Tenants } from '../../core/state-sync.js'
import type { TypeOf } from '../../wire/index.js'
import type { StateSyncCounters } from './counters.js'
import type { GuardedRequestsDriver } from './guarded-requests-driver.js'
import { metadataExchange, tenantServicesMax, tenantsMax } from './messages.js'
import { isName } from './names.js'
import { type TenantRange, type TenantRecord, TenantStore } from './tenant-store.js'

const answerTimeoutMs = 10_000
/** Of one message of an exchange. */
const tenantBytesMax = 512 * 1024

type Exchanged = TypeOf<(typeof metadataExchange)['codec']>
type Answered = TypeOf<(typeof metadataExchange)['response']['codec']>

export interface TenantsComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  readonly requests: GuardedRequestsDriver
  readonly counters: StateSyncCounters
  readonly members: () => readonly Member[]
  readonly publish: (event: StateSyncEvent) => void
}

export interface TenantsOptions {
  readonly nodeId: NodeId
  readonly tenantsMax: number
  readonly intervalMs: number
}

/** What is known of tenants, compared with one member after another: anti-entropy. */
export class TenantsDriver implements Tenants {
  readonly #components: TenantsComponents
  readonly #options: TenantsOptions
  readonly #store: TenantStore
  readonly #timer: DeadlineTimer
  #isExchanging = false

  constructor(components: TenantsComponents, options: TenantsOptions) {
    const { nodeId, tenantsMax: known } = options
    this.#components = components
    this.#options = options
    this.#store = new TenantStore({ nodeId, tenantsMax: known })
    this.#timer = new DeadlineTimer(components.clock, () => this.#handleDue())
    components.messenger.onRequest(metadataExchange, (inbound) => this.#serve(inbound))
  }

  get size(): number {
    return this.#store.size
  }

  start(): void {
    this.#arm(this.#components.random.nextFloat())
  }

  stop(): void {
    this.#timer.stop()
  }

  list(): readonly TenantMetadata[] {
    return this.#store.list().map(toMetadata)
  }

  get(tenant: string): TenantMetadata | null {
    const record = this.#store.get(tenant)
    return record === null || record.removed ? null : toMetadata(record)
  }

  set(input: TenantInput): TenantMetadata {
    checkTenant(input)
    const record = this.#store.set(input, this.#wallNow())
    this.#tell(record)
    return toMetadata(record)
  }

  remove(tenant: string): boolean {
    const record = this.#store.remove(tenant, this.#wallNow())
    if (record !== null) this.#tell(record)
    return record !== null
  }

  async exchange(nodeId: NodeId): Promise<void> {
    const { counters } = this.#components
    counters.add('tenant_exchanges')
    try {
      await this.#exchange(nodeId)
    } catch (error) {
      counters.add('tenant_exchanges_failed')
      throw error
    }
  }

  async #exchange(nodeId: NodeId): Promise<void> {
    const nothing = { after: '', upTo: '', tenants: [] }
    const { version } = await this.#ask(nodeId, nothing, true)
    if (version === this.#store.digest) return
    let from = ''
    do {
      const page = this.#store.page(from, tenantBytesMax, tenantsMax)
      const answer = await this.#ask(nodeId, page, false)
      for (const told of answer.newer) this.#hear(told as TenantRecord)
      from = page.upTo
    } while (from !== '')
  }

  #ask(
    nodeId: NodeId,
    page: TenantRange & { readonly tenants: readonly TenantRecord[] },
    digestOnly: boolean
  ): Promise<Answered> {
    const { clock, requests } = this.#components
    const origin = this.#options.nodeId
    const body = { origin, version: this.#store.digest, digestOnly, ...page }
    const deadline = after(clock.now(), answerTimeoutMs)
    return requests.request(nodeId, metadataExchange, body, { deadline })
  }

  async #serve({ peer, body }: Inbound<Exchanged>): Promise<Answered> {
    if (peer.kind !== 'node') throw new NotAuthorizedError('tenants are told to members')
    if (body.digestOnly) return { version: this.#store.digest, newer: [] }
    const told = body.tenants as readonly TenantRecord[]
    for (const record of told) this.#hear(record)
    const newer = this.#store.newerThan(told, body, tenantBytesMax, tenantsMax)
    return { version: this.#store.digest, newer }
  }

  #hear(record: TenantRecord): void {
    const { counters } = this.#components
    const heard = isName(record.tenant) ? this.#store.hear(record, this.#wallNow()) : 'refused'
    if (heard === 'refused') counters.add('tenants_refused')
    if (heard === 'kept') this.#tell(record)
  }

  #tell(record: TenantRecord): void {
    const metadata = record.removed ? null : toMetadata(record)
    const { tenant, origin } = record
    this.#components.publish({ type: 'TenantChanged', tenant, metadata, origin })
  }

  #handleDue(): void {
    this.#arm(0.5 + this.#components.random.nextFloat())
    this.#store.forget(this.#wallNow())
    const peer = this.#pickPeer()
    if (peer === null || this.#isExchanging) return
    this.#isExchanging = true
    this.exchange(peer)
      .catch((error) => {
        this.#components.logger.debug({ peer, ...factsOf(error) }, 'tenants were not exchanged')
      })
      .finally(() => {
        this.#isExchanging = false
      })
  }

  #pickPeer(): NodeId | null {
    const { members, random } = this.#components
    const peers = members()
      .filter(
        ({ nodeId, liveness, lifecycle }) =>
          nodeId !== this.#options.nodeId &&
          liveness === Livenesses.Alive &&
          lifecycle !== Lifecycles.Left
      )
      .map(({ nodeId }) => nodeId)
      .sort()
    return peers.length === 0 ? null : (peers[random.nextInt(peers.length)] as NodeId)
  }

  #arm(share: number): void {
    const { clock } = this.#components
    this.#timer.arm(after(clock.now(), share * this.#options.intervalMs))
  }

  #wallNow(): WallMs {
    return Math.floor(this.#components.clock.wallNow()) as WallMs
  }
}

function toMetadata({ removed, ...metadata }: TenantRecord): TenantMetadata {
  return metadata
}

/** @throws InvalidArgumentError */
function checkTenant({ tenant, services, clients, sizeBytes }: TenantInput): void {
  const refuse = (field: string, reason: string) => {
    throw new InvalidArgumentError(field, reason)
  }
  if (!isName(tenant)) refuse('tenant', 'must be 1 to 63 bytes of text')
  if (services.length > tenantServicesMax) refuse('services', `at most ${tenantServicesMax}`)
  if (!services.every(isName)) refuse('services', 'each must be 1 to 63 bytes of text')
  const isCount = (value: number, max: number) =>
    Number.isSafeInteger(value) && value >= 0 && value <= max
  if (!isCount(clients, 0xffff_ffff)) refuse('clients', 'must be from 0 to 2^32-1')
  if (!isCount(sizeBytes, Number.MAX_SAFE_INTEGER)) refuse('sizeBytes', 'must be from 0 to 2^53-1')
}
