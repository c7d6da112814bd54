/**
 * Takes backups on one node: copies of all groups in which every transaction over groups is whole,
 * or not there. Each copy is the group's own, at an index of its log; for the moment in which all
 * are begun the leaders decide nothing:
 *
 * 1. The leader of every group holds its decisions, and says when all that it decided before is at
 *    an end in every group.
 * 2. Then every group is pinned here, at an index that a quorum confirmed after that.
 * 3. Then every leader confirms that it led, and held, all the time. So what was decided before is
 *    in all copies, and what was not decided is in none: its branches are only prepared.
 * 4. Decisions go on; the copies are made from what is pinned.
 *
 * Who restores a copy drops prepared branches: they were aborted, by presumption.
 */

import type { GroupCopy } from '../../consensus/index.js'
import { must } from '../../core/assert.js'
import {
  type Backup,
  type BackupGroup,
  backupPartBytesMax,
  type ClusterBackups,
  type TakeBackupOptions
} from '../../core/backups.js'
import type { PlacementView } from '../../core/cluster-control.js'
import { Counters } from '../../core/counters.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  BackupFailedError,
  InvalidArgumentError,
  NotFoundError,
  SkeinError
} from '../../core/errors.js'
import type { ClusterId, GroupId, MonotonicMs, NodeId, Term } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { EngineSnapshot } from '../../core/ports/engine.js'
import type { Logger } from '../../core/ports/logger.js'
import type { HoldRequest } from '../two-phase/transactions-driver.js'

/** This node's replica of a data group. */
export interface BackedGroup {
  readonly group: GroupId
  term(): Term
  logNow(): number
  begin(): Promise<GroupCopy>
}

export interface BackupsComponents {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly logger: Logger
  groups(): readonly BackedGroup[]
  clusterId(): ClusterId | null
  placement(deadline: MonotonicMs): Promise<PlacementView>
  versions(deadline: MonotonicMs): Promise<Pick<Backup, 'clusterVersion' | 'minVersion'>>
  hold(group: GroupId, request: HoldRequest, deadline: MonotonicMs): Promise<void>
}

export interface BackupsOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  readonly software: string
}

/** Groups of one backup: each is a copier at work. */
export const backupGroupsMax = 64
/** A backup of which nobody reads any more is given up after it. */
export const backupKeepMs = 60_000
/** Leaders hold decisions so long at most, for one attempt. */
export const backupHoldMs = 5_000
/** Times that a common moment is looked for. */
export const backupAttemptsMax = 3
const timeoutMsDefault = 600_000

interface Kept {
  readonly backup: Backup
  readonly copies: ReadonlyMap<GroupId, EngineSnapshot>
  usedAt: MonotonicMs
}

/** One group, pinned and not copied yet. */
interface Pinned {
  readonly copy: GroupCopy
  readonly at: Pick<BackupGroup, 'group' | 'term' | 'logTime'>
}

export const backupCounterNames = [
  'backups_taken',
  /** Not taken; nothing is kept of them. */
  'backups_failed',
  'backup_bytes_copied',
  'backup_bytes_read',
  /** Now, in copies beside the databases. */
  'backup_bytes_kept'
] as const

export class BackupsDriver implements ClusterBackups {
  readonly counters = new Counters(backupCounterNames)
  readonly #components: BackupsComponents
  readonly #options: BackupsOptions
  readonly #timer: DeadlineTimer
  #isTaking = false
  #kept: Kept | null = null

  constructor(components: BackupsComponents, options: BackupsOptions) {
    this.#components = components
    this.#options = options
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  async take({ timeoutMs = timeoutMsDefault }: TakeBackupOptions = {}): Promise<Backup> {
    if (this.#isTaking || this.#kept !== null) {
      throw new BackpressureError('a backup is being taken or read here')
    }
    this.#isTaking = true
    try {
      this.#kept = await this.#takeWithin(after(this.#components.clock.now(), timeoutMs))
    } catch (error) {
      this.counters.add('backups_failed')
      throw error
    } finally {
      this.#isTaking = false
    }
    const { backup, usedAt } = this.#kept
    const sizeBytes = backup.groups.reduce((sum, group) => sum + group.sizeBytes, 0)
    this.counters.add('backups_taken')
    this.counters.add('backup_bytes_copied', sizeBytes)
    this.counters.set('backup_bytes_kept', sizeBytes)
    this.#timer.arm(after(usedAt, backupKeepMs))
    const groups = backup.groups.map(({ group, index, sizeBytes }) => ({ group, index, sizeBytes }))
    this.#components.logger.info({ id: backup.id, groups }, 'a backup was taken')
    return backup
  }

  async read(
    id: string,
    { group, offset, lengthBytes }: Parameters<ClusterBackups['read']>[1]
  ): Promise<Uint8Array> {
    const kept = this.#kept
    if (kept === null || kept.backup.id !== id) throw new NotFoundError(`there is no backup ${id}`)
    const copy = kept.copies.get(group)
    if (copy === undefined) throw new NotFoundError(`group ${group} is not in the backup`)
    const { sizeBytes } = copy.description
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > sizeBytes) {
      throw new InvalidArgumentError('offset', `must be 0 to ${sizeBytes}`)
    }
    const isLength = Number.isSafeInteger(lengthBytes) && lengthBytes >= 1
    if (!isLength || lengthBytes > backupPartBytesMax) {
      throw new InvalidArgumentError('lengthBytes', `must be 1 to ${backupPartBytesMax}`)
    }
    kept.usedAt = this.#components.clock.now()
    const length = Math.min(lengthBytes, sizeBytes - offset)
    this.counters.add('backup_bytes_read', length)
    return length === 0 ? new Uint8Array(0) : copy.read(offset, length)
  }

  async end(id: string): Promise<void> {
    if (this.#kept?.backup.id === id) await this.#drop()
  }

  async stop(): Promise<void> {
    this.#timer.stop()
    await this.#drop()
  }

  async #takeWithin(deadline: MonotonicMs): Promise<Kept> {
    const sources = this.#components.groups()
    if (sources.length > backupGroupsMax) {
      throw new BackupFailedError(`${sources.length} groups, at most ${backupGroupsMax}`)
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(sources, deadline)
      } catch (error) {
        if (!(error instanceof SkeinError) || error instanceof NotFoundError) throw error
        const isLast = attempt === backupAttemptsMax || this.#components.clock.now() >= deadline
        if (isLast) {
          const why = `no moment was found at which all groups can be copied: ${error.message}`
          throw new BackupFailedError(why, { cause: error })
        }
        this.#components.logger.warn({ error, attempt }, 'a backup is begun anew')
      }
    }
  }

  async #attempt(sources: readonly BackedGroup[], deadline: MonotonicMs): Promise<Kept> {
    const { clock, crypto } = this.#components
    const { clusterName, nodeId: node, software } = this.#options
    const before = await this.#components.placement(deadline)
    const versions = await this.#components.versions(deadline)
    const clusterId = this.#components.clusterId()
    const missing = before.groups.find(
      ({ group }) => !sources.some((source) => source.group === group)
    )
    if (clusterId === null || missing !== undefined || sources.length === 0) {
      const which = missing === undefined ? 'the groups have' : `group ${missing.group} has`
      throw new NotFoundError(`${which} no replica on this node; ask one that votes`)
    }
    const begun = await beginAll(sources)
    const takenAt = clock.wallNow()
    try {
      const { pinned, heldMs } = await this.#pinAll(sources, begun, deadline)
      const { tables, version } = await this.#components.placement(deadline)
      if (version !== before.version) throw new BackpressureError('the placement has changed')
      const copies = await copyAll(pinned)
      const groups = pinned.map(({ at }) => describe(at, must(copies.get(at.group), 'a copy')))
      const id = hex(crypto.randomBytes(8))
      const of = { clusterName, clusterId, ...versions, software, node }
      const backup: Backup = { id, ...of, takenAt, heldMs, groups, tables }
      return { backup, copies, usedAt: clock.now() }
    } catch (error) {
      for (const copy of begun) await copy.abandon()
      throw error
    }
  }

  /** All groups at one moment, in which nothing is decided. */
  async #pinAll(
    sources: readonly BackedGroup[],
    begun: readonly GroupCopy[],
    deadline: MonotonicMs
  ): Promise<{ readonly pinned: readonly Pinned[]; readonly heldMs: number }> {
    const { clock, crypto } = this.#components
    const startedAt = clock.now()
    const until = Math.min(deadline, after(startedAt, backupHoldMs)) as MonotonicMs
    const token = hex(crypto.randomBytes(16))
    // Of one group alone nothing can be half.
    const held = sources.length > 1 ? sources : []
    const step = (name: HoldRequest['step']) =>
      Promise.all(
        held.map(({ group }) =>
          this.#components.hold(group, { token, step: name, holdMs: backupHoldMs }, until)
        )
      )
    try {
      await step('hold')
      const pinned = await Promise.all(
        sources.map(async (source, i) => {
          const copy = must(begun[i], 'a copy')
          await copy.pin(until)
          return {
            copy,
            at: { group: source.group, term: source.term(), logTime: source.logNow() }
          }
        })
      )
      await step('confirm')
      const heldMs = held.length === 0 ? 0 : Math.round(clock.now() - startedAt)
      return { pinned, heldMs }
    } finally {
      step('release').catch((error: unknown) => {
        this.#components.logger.debug({ error }, 'a hold ends by itself')
      })
    }
  }

  #handleTimeout(now: MonotonicMs): void {
    const kept = this.#kept
    if (kept === null) return
    const until = after(kept.usedAt, backupKeepMs)
    if (now < until) {
      this.#timer.arm(until)
      return
    }
    this.#drop().catch((error: unknown) => {
      this.#components.logger.warn({ error }, 'a backup could not be removed')
    })
  }

  async #drop(): Promise<void> {
    const kept = this.#kept
    this.#kept = null
    this.counters.set('backup_bytes_kept', 0)
    if (kept !== null) await closeAll(kept.copies)
  }
}

/** @throws what the first that failed says; the others are given up */
async function beginAll(sources: readonly BackedGroup[]): Promise<readonly GroupCopy[]> {
  const begun = await Promise.allSettled(sources.map((source) => source.begin()))
  const failed = begun.find((one) => one.status === 'rejected')
  const copies = begun.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failed === undefined) return copies
  for (const copy of copies) await copy.abandon()
  throw failed.reason
}

/** One after the other: what is pinned does not change, and the cluster has other work to do. */
async function copyAll(pinned: readonly Pinned[]): Promise<ReadonlyMap<GroupId, EngineSnapshot>> {
  const copies = new Map<GroupId, EngineSnapshot>()
  try {
    for (const { at, copy } of pinned) copies.set(at.group, await copy.copy())
    return copies
  } catch (error) {
    await closeAll(copies)
    throw error
  }
}

const describe = (at: Pinned['at'], { description }: EngineSnapshot): BackupGroup => {
  const { index, format, sizeBytes, sha256 } = description
  return { ...at, index, format, sizeBytes, sha256: hex(sha256) }
}

async function closeAll(copies: ReadonlyMap<GroupId, EngineSnapshot>): Promise<void> {
  for (const copy of copies.values()) await copy.close()
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
