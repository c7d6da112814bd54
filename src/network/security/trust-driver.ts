import type { HealthCheck } from '../../core/cluster-manager.js'
import type { Config } from '../../core/config/schema.js'
import { Counters } from '../../core/counters.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import type { SecurityEvent } from '../../core/events.js'
import type { NodeId, WallMs } from '../../core/ids.js'
import { describePeer } from '../../core/peer-name.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Credentials, PeerJudge, RevocationList } from '../../core/ports/credentials.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import { factsOf } from '../../core/remote-error.js'
import type { CertificateStatus, RevocationStatus } from '../../core/security-manager.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { bytes, list } from '../../wire/codec.js'
import type { CutConnection } from '../pool/transport-options.js'
import { DurableFile } from './durable-file-driver.js'
import { carriedListsBytesMax, carriedListsMax } from './messages.js'
import { Refusals, Revocations } from './revocations.js'

const dayMs = 86_400_000

/** What of the transport is needed to act on a judgement. */
export interface TrustTransport {
  cut(judge: PeerJudge): readonly CutConnection[]
  renewAll(): void
}

export interface TrustComponents {
  readonly clock: Clock
  readonly credentials: Credentials
  readonly transport: TrustTransport
  readonly disk: Disk
  readonly logger: Logger
  readonly onEvent: (event: SecurityEvent) => void
  /** Lists that this node has from its own operator, and others may lack. */
  readonly onNews: (lists: readonly RevocationList[]) => void
}

const counterNames = [
  'certificate_reloads',
  'certificate_reloads_failed',
  'certificate_days_left',
  'revocation_lists_taken',
  'revocations_refused',
  'revoked_certificates_current',
  'links_cut_revoked',
  'links_cut_expired'
] as const

const storedLists = list(bytes(carriedListsBytesMax), carriedListsMax)
const reasons = {
  [Refusals.Revoked]: 'its certificate is revoked',
  [Refusals.Denied]: 'is denied by the operator',
  [Refusals.Expired]: 'its certificate has expired'
} as const

/**
 * Looks at the certificate and revocation files at an interval, judges who comes in, and cuts who
 * may not stay. Lists that were taken are kept on disk: they count though their file is gone.
 */
export class TrustDriver {
  readonly counters = new Counters(counterNames)
  readonly #components: TrustComponents
  readonly #config: Config['security']
  readonly #revocations = new Revocations()
  readonly #file: DurableFile
  readonly #timer: DeadlineTimer
  /** What is wrong with the files; told once, when it has been seen twice. */
  #failure: string | null = null
  #toldFailure: string | null = null
  #revocationFailure: string | null = null
  readonly #warned = new Set<string>()
  #saving: Promise<unknown> = Promise.resolve()

  constructor(components: TrustComponents, config: Config['security']) {
    this.#components = components
    this.#config = config
    this.#file = new DurableFile(components.disk, 'security', 'revocations')
    this.#timer = new DeadlineTimer(components.clock, () => void this.#tick())
  }

  /** Of a peer whose certificate verified. */
  readonly judge: PeerJudge = (peer, certificate) => {
    const now = this.#components.clock.wallNow()
    const refusal = this.#revocations.refusalOf(peer, certificate, now)
    return refusal === null ? null : reasons[refusal]
  }

  get lists(): readonly RevocationList[] {
    return this.#revocations.lists
  }

  /** Before anybody is let in. */
  async start(): Promise<void> {
    this.#components.credentials.setJudge(this.judge)
    await this.#load()
    await this.#readRevocations()
    this.#warn()
    this.#arm()
  }

  stop(): void {
    this.#timer.stop()
  }

  status(): CertificateStatus {
    const { own, authorities } = this.#components.credentials.current
    return { own, daysLeft: this.#daysLeft(own.notAfter), authorities, failure: this.#failure }
  }

  revocations(): RevocationStatus {
    const lists = this.lists.map(({ authorityId, number, issuedAt, serialNumbers }) => ({
      authorityId,
      number,
      issuedAt,
      revoked: serialNumbers.size
    }))
    return { lists, denied: this.#revocations.denied }
  }

  /** @throws CertificateError what was in use stays */
  async reload(): Promise<void> {
    try {
      await this.#reload(true)
    } catch (error) {
      this.#tellFailure(factsOf(error).message)
      throw error
    }
    await this.#readRevocations()
    this.#cut()
  }

  /**
   * False: nothing of it is newer. When it resolves, what was taken is durable, and who is on it is
   * cut.
   * @throws CertificateError a list that no authority of ours signed
   */
  async take(carried: readonly Uint8Array[], from: NodeId | null): Promise<boolean> {
    const { credentials } = this.#components
    let lists: RevocationList[]
    try {
      lists = carried.map((one) => credentials.verifyRevocationList(one))
    } catch (error) {
      this.counters.add('revocations_refused')
      throw error
    }
    const taken = lists.filter((one) => this.#revocations.take(one))
    if (taken.length === 0) return false
    for (const one of taken) this.#tellTaken(one, from)
    this.#cut()
    await this.#save()
    return true
  }

  checks(): readonly HealthCheck[] {
    const { own } = this.#components.credentials.current
    const days = this.#daysLeft(own.notAfter)
    const isFine = days >= this.#config.expiryWarningDays && this.#failure === null
    const left = `this node's certificate ends in ${days} days`
    const detail = this.#failure === null ? left : `${left}; not taken: ${this.#failure}`
    return [{ name: 'certificate', ok: isFine, detail }]
  }

  metrics(): Readonly<Record<(typeof counterNames)[number], number>> {
    const { own } = this.#components.credentials.current
    this.counters.set('certificate_days_left', this.#daysLeft(own.notAfter))
    return this.counters.snapshot()
  }

  async #tick(): Promise<void> {
    try {
      await this.#reload(false)
    } catch (error) {
      const { message } = factsOf(error)
      // A certificate and its key are replaced one after the other: once is no failure yet.
      if (this.#failure === message) this.#tellFailure(message)
      this.#failure = message
    }
    await this.#readRevocations()
    this.#cut()
    this.#warn()
    this.#arm()
  }

  async #reload(force: boolean): Promise<void> {
    const { credentials, transport, logger } = this.#components
    const before = credentials.current
    const isNew = await credentials.reload(force)
    this.#failure = null
    this.#toldFailure = null
    if (!isNew) return
    const { own, authorities } = credentials.current
    this.counters.add('certificate_reloads')
    this.#warned.clear()
    this.#revocations.keepOnly(authorities)
    logger.info({ serialNumber: own.serialNumber, notAfter: own.notAfter }, 'certificates reloaded')
    const { serialNumber, notAfter } = own
    this.#components.onEvent({ type: 'CertificateReloaded', serialNumber, notAfter })
    const isGone = before.authorities.some(({ id }) => authorities.every((one) => one.id !== id))
    if (isGone) transport.renewAll()
  }

  #tellFailure(reason: string): void {
    this.#failure = reason
    this.counters.add('certificate_reloads_failed')
    if (this.#toldFailure === reason) return
    this.#toldFailure = reason
    this.#components.logger.error({ reason }, 'certificates not reloaded; the old ones stay')
    this.#components.onEvent({ type: 'CertificateReloadFailed', reason })
  }

  async #readRevocations(): Promise<void> {
    const { credentials, logger } = this.#components
    try {
      const file = await credentials.readRevocations(false)
      this.#revocationFailure = null
      if (file === null) return
      this.#revocations.deny(file.denied)
      const taken = file.lists.filter((one) => this.#revocations.take(one))
      for (const one of taken) this.#tellTaken(one, null)
      if (taken.length === 0) return
      await this.#save()
      this.#components.onNews(taken)
    } catch (error) {
      const { message } = factsOf(error)
      this.counters.add('revocations_refused')
      if (this.#revocationFailure === message) return
      this.#revocationFailure = message
      logger.error({ reason: message }, 'the revocation file is not taken')
    }
  }

  #tellTaken({ number, serialNumbers }: RevocationList, from: NodeId | null): void {
    const revoked = serialNumbers.size
    this.counters.add('revocation_lists_taken')
    this.counters.set('revoked_certificates_current', this.#revocations.revokedCount)
    this.#components.logger.warn({ number, revoked, from }, 'revocation list taken')
    this.#components.onEvent({ type: 'RevocationsChanged', number, revoked, from })
  }

  #cut(): void {
    const { transport, logger, onEvent } = this.#components
    for (const { peer, certificate, address, reason } of transport.cut(this.judge)) {
      const isExpired = reason === reasons.expired
      this.counters.add(isExpired ? 'links_cut_expired' : 'links_cut_revoked')
      const { serialNumber } = certificate
      const facts = { peer: describePeer(peer), serialNumber, address, reason }
      logger.warn(facts, 'open connection cut')
      onEvent({ type: 'PeerCut', ...facts })
    }
  }

  #warn(): void {
    const { own, authorities } = this.#components.credentials.current
    const subjects = [
      { subject: 'this node', notAfter: own.notAfter },
      ...authorities.map(({ subject, notAfter }) => ({ subject, notAfter }))
    ]
    for (const { subject, notAfter } of subjects) {
      const daysLeft = this.#daysLeft(notAfter)
      if (daysLeft >= this.#config.expiryWarningDays || this.#warned.has(subject)) continue
      this.#warned.add(subject)
      this.#components.logger.warn({ subject, daysLeft }, 'a certificate ends soon')
      this.#components.onEvent({ type: 'CertificateExpiring', subject, notAfter, daysLeft })
    }
  }

  #arm(): void {
    this.#timer.arm(after(this.#components.clock.now(), this.#config.reloadIntervalMs))
  }

  #daysLeft(notAfter: WallMs): number {
    return Math.max(0, Math.floor((notAfter - this.#components.clock.wallNow()) / dayMs))
  }

  /** What was kept and is not believed any more is left out. */
  async #load(): Promise<void> {
    const { credentials, logger } = this.#components
    let stored: readonly Uint8Array[] = []
    try {
      const content = await this.#file.read()
      if (content !== null) stored = storedLists.read(new ByteReader(content))
    } catch (error) {
      logger.error({ cause: factsOf(error) }, 'the revocation lists on disk cannot be read')
    }
    for (const one of stored) {
      try {
        this.#revocations.take(credentials.verifyRevocationList(one))
      } catch (error) {
        logger.warn({ cause: factsOf(error) }, 'a kept revocation list is left out')
      }
    }
    this.counters.set('revoked_certificates_current', this.#revocations.revokedCount)
  }

  /** One after the other; each writes what is known when its turn comes. */
  #save(): Promise<void> {
    const saved = this.#saving.then(() => {
      const writer = new ByteWriter(2 * carriedListsBytesMax)
      storedLists.write(
        writer,
        this.lists.map((one) => one.bytes)
      )
      return this.#file.replace(writer.take())
    })
    this.#saving = saved.catch(() => {})
    return saved
  }
}
