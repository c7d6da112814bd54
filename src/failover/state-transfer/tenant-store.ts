/**
 * What is known of tenants: a register each, of which the higher version is kept, and of two alike
 * that of the higher origin. So whatever order news come in, and however often, all who have heard
 * the same know the same.
 *
 * 1. A change of ours has a version above the one that is known, and not below the wall clock: a
 *    node that forgot everything in a restart still speaks above what it said before.
 * 2. A removed tenant is remembered for `tombstoneMs`, so that nobody who missed it brings it back,
 *    and is then forgotten everywhere: news that are older than that are not taken.
 * 3. A version further ahead of the wall clock than `versionAheadMsMax` is not believed, or one
 *    wrong clock could have the last word for good.
 * 4. Beyond `tenantsMax` new tenants are refused; those that are known go on being told.
 */
import { BackpressureError } from '../../core/errors.js'
import { compareText, type NodeId, type WallMs } from '../../core/ids.js'
import type { TenantInput, TenantMetadata } from '../../core/state-sync.js'
import { crc32c } from '../../wire/crc32c.js'

export interface TenantRecord extends TenantMetadata {
  readonly removed: boolean
}

export interface TenantStoreOptions {
  readonly nodeId: NodeId
  readonly tenantsMax: number
}

/** A removed tenant is remembered so long. */
export const tombstoneMs = 86_400_000
/** So far ahead of this node's wall clock a version may be. */
export const versionAheadMsMax = 86_400_000
/** Digests are sums modulo this, so that they can be taken apart again. */
const digestModulus = 2 ** 48

export type Heard = 'kept' | 'known' | 'refused'

/** Of names in order, those behind `after` and up to `upTo`; an empty one is no bound. */
export interface TenantRange {
  readonly after: string
  readonly upTo: string
}

export class TenantStore {
  readonly #options: TenantStoreOptions
  readonly #records = new Map<string, TenantRecord>()
  #digest = 0

  constructor(options: TenantStoreOptions) {
    this.#options = options
  }

  /** Removed ones included. */
  get size(): number {
    return this.#records.size
  }

  /** The same for the same knowledge; who have another know something else, almost certainly. */
  get digest(): number {
    return this.#digest
  }

  get(tenant: string): TenantRecord | null {
    return this.#records.get(tenant) ?? null
  }

  /** By name, without the removed ones. */
  list(): TenantRecord[] {
    return this.#sorted().filter(({ removed }) => !removed)
  }

  /** @throws BackpressureError */
  set(input: TenantInput, now: WallMs): TenantRecord {
    if (!this.#hasRoomFor(input.tenant)) {
      throw new BackpressureError(`${this.#options.tenantsMax} tenants are known`)
    }
    const { tenant, clients, sizeBytes } = input
    const services = [...input.services].sort(compareText)
    return this.#change({ tenant, services, clients, sizeBytes, removed: false }, now)
  }

  /** Null: there is none. */
  remove(tenant: string, now: WallMs): TenantRecord | null {
    const known = this.#records.get(tenant)
    if (known === undefined || known.removed) return null
    return this.#change({ tenant, services: [], clients: 0, sizeBytes: 0, removed: true }, now)
  }

  hear(record: TenantRecord, now: WallMs): Heard {
    const known = this.#records.get(record.tenant)
    if (known !== undefined && !isNewer(record, known)) return 'known'
    if (record.removed && now - record.changedAt > tombstoneMs) return 'known'
    if (record.version > now + versionAheadMsMax) return 'refused'
    if (!this.#hasRoomFor(record.tenant)) return 'refused'
    this.#put(record)
    return 'kept'
  }

  /** Forgets tenants that were removed long ago. */
  forget(now: WallMs): void {
    for (const record of this.#records.values()) {
      if (record.removed && now - record.changedAt > tombstoneMs) this.#delete(record)
    }
  }

  /** As many of the tenants behind `after` as `bytesMax` and `countMax` hold, and their range. */
  page(
    after: string,
    bytesMax: number,
    countMax: number
  ): TenantRange & { tenants: TenantRecord[] } {
    const tenants: TenantRecord[] = []
    let bytes = 0
    for (const record of this.#sorted()) {
      if (record.tenant <= after) continue
      bytes += weightOf(record)
      if (tenants.length > 0 && (bytes > bytesMax || tenants.length >= countMax)) {
        return { after, upTo: tenants.at(-1)?.tenant ?? '', tenants }
      }
      tenants.push(record)
    }
    return { after, upTo: '', tenants }
  }

  /** What is known here of the range that `theirs` lacks or has an older version of. */
  newerThan(
    theirs: readonly TenantRecord[],
    range: TenantRange,
    bytesMax: number,
    countMax: number
  ): TenantRecord[] {
    const told = new Map(theirs.map((record) => [record.tenant, record]))
    const newer: TenantRecord[] = []
    let bytes = 0
    for (const record of this.#sorted()) {
      const { tenant } = record
      if (tenant <= range.after || (range.upTo !== '' && tenant > range.upTo)) continue
      const their = told.get(tenant)
      if (their !== undefined && !isNewer(record, their)) continue
      bytes += weightOf(record)
      if (newer.length > 0 && (bytes > bytesMax || newer.length >= countMax)) break
      newer.push(record)
    }
    return newer
  }

  #change(
    change: Omit<TenantRecord, 'version' | 'origin' | 'changedAt'>,
    now: WallMs
  ): TenantRecord {
    const known = this.#records.get(change.tenant)
    const version = Math.max((known?.version ?? 0) + 1, now)
    const record = { ...change, version, origin: this.#options.nodeId, changedAt: now }
    this.#put(record)
    return record
  }

  #put(record: TenantRecord): void {
    const known = this.#records.get(record.tenant)
    if (known !== undefined) this.#delete(known)
    this.#records.set(record.tenant, record)
    this.#digest = (this.#digest + digestOf(record)) % digestModulus
  }

  #delete(record: TenantRecord): void {
    this.#records.delete(record.tenant)
    this.#digest = (this.#digest + digestModulus - digestOf(record)) % digestModulus
  }

  #hasRoomFor(tenant: string): boolean {
    return this.#records.has(tenant) || this.#records.size < this.#options.tenantsMax
  }

  #sorted(): TenantRecord[] {
    return [...this.#records.values()].sort((a, b) => compareText(a.tenant, b.tenant))
  }
}

const isNewer = (a: TenantRecord, b: TenantRecord): boolean =>
  a.version > b.version || (a.version === b.version && a.origin > b.origin)

function digestOf({ tenant, version, origin }: TenantRecord): number {
  const bytes = new TextEncoder().encode(`${tenant}\n${version}\n${origin}`)
  return crc32c(bytes) * 65_536 + (crc32c(bytes.reverse()) % 65_536)
}

/** At most what it takes on the wire. */
const weightOf = ({ tenant, services }: TenantRecord): number =>
  128 + 4 * tenant.length + services.reduce((sum, service) => sum + 1 + 4 * service.length, 0)
