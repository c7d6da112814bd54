import type { HealthCheck } from '../../core/cluster-manager.js'
import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import { CertificateError, KeyChangeRefusedError } from '../../core/errors.js'
import type { SecurityEvent } from '../../core/events.js'
import type { NodeId } from '../../core/ids.js'
import { isServing } from '../../core/member.js'
import type { Credentials, RevocationList } from '../../core/ports/credentials.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Random } from '../../core/ports/random.js'
import type { PeerCertificate, PeerIdentity } from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import type {
  CertificateStatus,
  GossipKeyId,
  GossipKeysReport,
  InstallKeyOptions,
  KeyChangeOptions,
  RevocationStatus,
  SecurityManager,
  TellReport
} from '../../core/security-manager.js'
import { KeyRingDriver } from './key-ring-driver.js'
import { compareSecurity, reloadCertificates, tellRevocations } from './messages.js'
import {
  membersToTell,
  reportOf,
  type TellComponents,
  tellAll,
  tellTimeoutMs
} from './tell-driver.js'
import { TrustDriver, type TrustTransport } from './trust-driver.js'

export interface SecurityComponents extends TellComponents {
  readonly random: Random
  readonly crypto: Crypto
  readonly disk: Disk
  readonly logger: Logger
  readonly transport: TrustTransport
  /** Absent: nobody proves anything (`insecure`). */
  readonly credentials?: Credentials | undefined
  readonly onKeys: (keys: readonly Uint8Array[]) => void
}

export interface SecurityOptions {
  readonly nodeId: NodeId
  /** Of the key file; null: datagrams are in the clear (`insecure`). */
  readonly gossipKeys: readonly Uint8Array[] | null
  readonly config: Config['security']
}

/**
 * What this node proves itself with, whom it believes, and which gossip keys it has; and what it
 * tells the other members of it. Whatever a member missed it learns when a connection opens, or
 * from a member that it compares with at an interval.
 *
 * Life: `start` before the transport listens and membership speaks; `stop` after both.
 */
export class SecurityDriver implements SecurityManager {
  readonly #components: SecurityComponents
  readonly #options: SecurityOptions
  readonly #trust: TrustDriver | null
  readonly #ring: KeyRingDriver | null
  readonly #timer: DeadlineTimer
  readonly #handlers: ((event: SecurityEvent) => void)[] = []
  readonly #comparing = new Set<NodeId>()
  #isStopped = false

  constructor(components: SecurityComponents, options: SecurityOptions) {
    this.#components = components
    this.#options = options
    const { credentials } = components
    const { gossipKeys, nodeId, config } = options
    const onEvent = (event: SecurityEvent) => this.#emit(event)
    const onNews = (lists: readonly RevocationList[]) => void this.#tell(lists)
    this.#trust =
      credentials === undefined
        ? null
        : new TrustDriver({ ...components, credentials, onEvent, onNews }, config)
    this.#ring =
      gossipKeys === null
        ? null
        : new KeyRingDriver({ ...components, onEvent }, { nodeId, keys: gossipKeys })
    this.#timer = new DeadlineTimer(components.clock, () => this.#compareWithOne())
  }

  async start(): Promise<void> {
    await this.#trust?.start()
    await this.#ring?.start()
    this.#serve()
    this.#armComparison()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
    this.#trust?.stop()
  }

  onEvent(handler: (event: SecurityEvent) => void): void {
    this.#handlers.push(handler)
  }

  checks(): readonly HealthCheck[] {
    return this.#trust?.checks() ?? []
  }

  metrics(): Readonly<Record<string, number>> {
    return { ...this.#trust?.metrics(), ...this.#ring?.counters.snapshot() }
  }

  certificates(): CertificateStatus {
    return this.#trust?.status() ?? { own: null, daysLeft: null, authorities: [], failure: null }
  }

  async reloadCertificates(): Promise<CertificateStatus> {
    await this.#proven().reload()
    return this.certificates()
  }

  async reloadEverywhere(): Promise<TellReport> {
    this.#proven()
    const nodes = membersToTell(this.#components)
    return reportOf(await tellAll(this.#components, nodes, reloadCertificates, {}))
  }

  revocations(): RevocationStatus {
    return this.#trust?.revocations() ?? { lists: [], denied: [] }
  }

  refusalOf(peer: PeerIdentity, certificate: PeerCertificate): string | null {
    return this.#trust?.judge(peer, certificate) ?? null
  }

  async revoke(list: Uint8Array): Promise<TellReport> {
    const trust = this.#proven()
    await trust.take([list], null)
    return this.#tell(trust.lists)
  }

  async listKeys(): Promise<GossipKeysReport> {
    return this.#keyed().list()
  }

  async installKey(options?: InstallKeyOptions): Promise<GossipKeysReport> {
    return this.#keyed().install(options)
  }

  async useKey(id: GossipKeyId, options?: KeyChangeOptions): Promise<GossipKeysReport> {
    return this.#keyed().use(id, options)
  }

  async removeKey(id: GossipKeyId, options?: KeyChangeOptions): Promise<GossipKeysReport> {
    return this.#keyed().remove(id, options)
  }

  #serve(): void {
    const { messenger } = this.#components
    messenger.onRequest(reloadCertificates, async () => {
      const { own, daysLeft } = await this.reloadCertificates()
      return { serialNumber: own?.serialNumber ?? '', daysLeft: daysLeft ?? 0 }
    })
    messenger.onRequest(tellRevocations, async ({ from, body }) => ({
      taken: (await this.#proven().take(body.lists, from)) ? 1 : 0
    }))
    messenger.onRequest(compareSecurity, async ({ body }) => ({
      lists: this.#listsBeyond(body.lists),
      keyRing: body.keyRing === null ? null : (this.#ring?.newerThan(body.keyRing) ?? null)
    }))
    messenger.onPeer(({ nodeId, connected }) => {
      if (connected && nodeId !== this.#options.nodeId) void this.#compareWith(nodeId)
    })
  }

  #listsBeyond(known: readonly { authorityId: string; number: number }[]): Uint8Array[] {
    const lists = this.#trust?.lists ?? []
    return lists
      .filter(({ authorityId, number }) =>
        known.every((one) => one.authorityId !== authorityId || one.number < number)
      )
      .map(({ bytes }) => bytes)
  }

  #compareWithOne(): void {
    this.#armComparison()
    const { members, messenger, random } = this.#components
    const others = members().filter(
      (member) => member.nodeId !== this.#options.nodeId && isServing(member)
    )
    const connected = others.filter(({ nodeId }) => messenger.isConnected(nodeId))
    if (connected.length === 0) return
    const chosen = connected[random.nextInt(connected.length)]
    if (chosen !== undefined) void this.#compareWith(chosen.nodeId)
  }

  /** Takes over what the other has and this node has not. */
  async #compareWith(nodeId: NodeId): Promise<void> {
    if (this.#isStopped || this.#comparing.has(nodeId)) return
    const { clock, messenger, logger } = this.#components
    this.#comparing.add(nodeId)
    try {
      const lists = (this.#trust?.lists ?? []).map(({ authorityId, number }) => ({
        authorityId,
        number
      }))
      const deadline = after(clock.now(), tellTimeoutMs)
      const keyRing = this.#ring === null ? null : { ...this.#ring.version }
      const answer = await messenger.request(
        nodeId,
        compareSecurity,
        { lists, keyRing },
        { deadline }
      )
      if (answer.lists.length > 0) await this.#trust?.take(answer.lists, nodeId)
      if (answer.keyRing !== null) await this.#ring?.takeOver(answer.keyRing, nodeId)
    } catch (error) {
      logger.debug({ nodeId, cause: factsOf(error) }, 'comparing security failed')
    } finally {
      this.#comparing.delete(nodeId)
    }
  }

  async #tell(lists: readonly RevocationList[]): Promise<TellReport> {
    const body = { lists: lists.map(({ bytes }) => bytes) }
    const nodes = membersToTell(this.#components)
    return reportOf(await tellAll(this.#components, nodes, tellRevocations, body))
  }

  #armComparison(): void {
    const { clock } = this.#components
    this.#timer.arm(after(clock.now(), this.#options.config.compareIntervalMs))
  }

  #proven(): TrustDriver {
    if (this.#trust !== null) return this.#trust
    throw new CertificateError('this node is insecure: it has no certificates')
  }

  #keyed(): KeyRingDriver {
    if (this.#ring !== null) return this.#ring
    throw new KeyChangeRefusedError('this node is insecure: it has no gossip keys')
  }

  #emit(event: SecurityEvent): void {
    for (const handle of this.#handlers) handle(event)
  }
}
