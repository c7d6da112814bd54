/**
 * The replicas of one node, one per group: opens them, a few at a time, and keeps those that run.
 * All stand on one log, and end together.
 *
 * Owner's duties: `keep` what the log has of each group before `ensure`; no `ensure` after
 * `settled`, which a stop waits for before it stops what is here.
 */
import type { Config } from '../../core/config/schema.js'
import type { ConsensusEvent } from '../../core/events.js'
import type { GroupId, ReplicaId, Term } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Disk } from '../../core/ports/disk.js'
import type { EngineProvider } from '../../core/ports/engine-provider.js'
import type { LogStore, RecoveredGroup } from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type { ReplicaObserver } from '../../core/ports/replica-observer.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { ConsensusCounters } from '../counters.js'
import { GroupDriver, type OpenedGroup } from '../group/group-driver.js'
import type { GroupSection } from '../group/group-section.js'
import { RaftDriver } from '../group/raft-driver.js'
import type { RaftMessage } from '../messages.js'
import { Raft } from '../raft/raft.js'
import type { LostState } from '../raft/types.js'
import type { HostHeartbeats } from './host-heartbeats-driver.js'

export interface HostedReplicasComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly disk: Disk
  readonly log: LogStore
  readonly logger: Logger
  readonly counters: ConsensusCounters
  readonly heartbeats: HostHeartbeats
  /** What a replica replicates beside its data, made for each anew; absent: nothing. */
  readonly sections?: ((group: GroupId) => readonly GroupSection[]) | undefined
  /** For simulation. */
  readonly observer?: ReplicaObserver | undefined
  /** @throws InvalidArgumentError this node never hosts a replica */
  readonly engines: () => EngineProvider
  readonly self: () => ReplicaId
  /** Nothing of this node goes on. */
  readonly isOver: () => boolean
  /** To a host; false: it is not connected. */
  readonly send: (message: RaftMessage) => boolean
  readonly emit: (event: ConsensusEvent) => void
  readonly onOpened: (group: GroupId) => void
  /** The engine or the log lacks what its peers prove that it had. */
  readonly onRolledBack: (group: GroupId, lost: LostState) => void
}

export interface HostedReplicasOptions {
  /** Absolute path of the engine's own directory. */
  readonly engineDirectory: (group: GroupId) => string
  readonly config: Config['consensus']
  /** The same for all groups, so that their heartbeats leave together; another on each host. */
  readonly heartbeatPhaseMs: number
}

/** Engines that are opened at the same time; the others wait for their turn. */
export const enginesOpeningMax = 4

/** What the log has of a group that it has never heard of. */
export const emptyGroup: RecoveredGroup = {
  hardState: { term: 0 as Term, vote: null },
  entries: []
}

export class HostedReplicas {
  readonly #components: HostedReplicasComponents
  readonly #options: HostedReplicasOptions
  readonly #groups = new Map<GroupId, GroupDriver>()
  #sorted: readonly GroupDriver[] = []
  #sortedIds: readonly GroupId[] = []
  /** What the log has of groups that are not open yet. */
  #recovered = new Map<GroupId, RecoveredGroup>()
  /** Those that are being opened: a stop waits for them. */
  readonly #opening = new Map<GroupId, Promise<void>>()

  constructor(components: HostedReplicasComponents, options: HostedReplicasOptions) {
    this.#components = components
    this.#options = options
  }

  /** Null: not here, or not open yet. */
  get(id: GroupId): GroupDriver | null {
    return this.#groups.get(id) ?? null
  }

  get count(): number {
    return this.#groups.size
  }

  /** In the order of their groups' ids. */
  get sorted(): readonly GroupDriver[] {
    return this.#sorted
  }

  get ids(): readonly GroupId[] {
    return this.#sortedIds
  }

  get openingIds(): readonly GroupId[] {
    return [...this.#opening.keys()]
  }

  /** What groups begin with when they are opened; one that is not named has heard nothing. */
  keep(recovered: Map<GroupId, RecoveredGroup>): void {
    this.#recovered = recovered
  }

  /** Opens what was kept. @throws as the engines; those that wait then are not begun any more */
  ensureKept(): Promise<void> {
    return this.ensure([...this.#recovered.keys()])
  }

  /** @throws as the engines; those that wait when one fails are not begun any more */
  async ensure(groups: readonly GroupId[]): Promise<void> {
    const waiting = [...groups]
    const work = async () => {
      try {
        for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
          await this.#ensureOne(group)
        }
      } finally {
        waiting.length = 0
      }
    }
    await Promise.all(Array.from({ length: Math.min(enginesOpeningMax, groups.length) }, work))
  }

  /** Resolves when none is being opened. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#opening.values())
  }

  async stop(): Promise<void> {
    for (const group of this.#sorted) await group.stop()
  }

  tellQueues(tell: TellQueue): void {
    for (const group of this.#groups.values()) group.tellQueues(tell)
  }

  /**
   * Once for each group, whoever wants it: an invitation may come while the start has not reached
   * the group yet, and a replica that is made anew beside its log forgets what it has promised.
   */
  async #ensureOne(group: GroupId): Promise<void> {
    if (this.#components.isOver() || this.#groups.has(group)) return
    let opening = this.#opening.get(group)
    if (opening === undefined) {
      opening = this.#open(group, this.#recovered.get(group) ?? emptyGroup)
      this.#opening.set(group, opening)
    }
    try {
      await opening
      this.#recovered.delete(group)
    } finally {
      this.#opening.delete(group)
    }
  }

  async #open(group: GroupId, recovered: RecoveredGroup): Promise<void> {
    const driver = this.#makeDriver(group)
    const opened = await this.#openDriver(driver, recovered)
    if (opened === null) return
    const { clock, observer, random } = this.#components
    const self = this.#components.self()
    observer?.onRecovered(group, self, opened.recovered)
    const raft = new Raft({
      group,
      self,
      recovered: opened.recovered,
      appliedIndex: opened.appliedIndex,
      random: random.split(`raft ${group}`),
      options: this.#options.config,
      heartbeatPhaseMs: this.#options.heartbeatPhaseMs,
      now: clock.now()
    })
    this.#groups.set(group, driver)
    this.#sorted = [...this.#groups.values()].sort((a, b) => a.group - b.group)
    this.#sortedIds = this.#sorted.map((one) => one.group)
    driver.start(this.#makeRaftDriver(driver, raft))
    this.#components.onOpened(group)
  }

  #makeDriver(group: GroupId): GroupDriver {
    const { clock, counters, disk, emit, messenger, observer } = this.#components
    const logger = this.#components.logger.child({ group })
    const directory = this.#options.engineDirectory(group)
    const made = this.#components.engines().create({ group, directory, clock, logger })
    return new GroupDriver(
      {
        clock,
        messenger,
        disk,
        engine: observer?.watched?.(group, made) ?? made,
        logger,
        counters,
        sections: this.#components.sections?.(group) ?? [],
        emit,
        onRolledBack: (lost) => this.#components.onRolledBack(group, lost)
      },
      { group, self: this.#components.self(), config: this.#options.config }
    )
  }

  #makeRaftDriver(driver: GroupDriver, raft: Raft): RaftDriver {
    const { clock, heartbeats, log, observer, send } = this.#components
    return new RaftDriver({
      clock,
      raft,
      log,
      observer,
      send: (message) => heartbeats.offer(message) || send(message),
      naps: {
        onWoken: () => heartbeats.handleWoken(driver.group),
        heardAt: (replica, asLeader) => heartbeats.heardAt(replica, asLeader)
      },
      onEvent: (event) => driver.handleRaftEvent(event),
      onFailed: (error) => driver.handleRaftFailed(error)
    })
  }

  /** Null: nothing of this node goes on. Whatever was opened in vain is closed again. */
  async #openDriver(driver: GroupDriver, recovered: RecoveredGroup): Promise<OpenedGroup | null> {
    try {
      const opened = await driver.open(recovered)
      if (opened.request !== null) await this.#components.log.persist([opened.request])
      if (!this.#components.isOver()) return opened
    } catch (error) {
      await driver.stop().catch((fault: unknown) => {
        const facts = { group: driver.group, error: fault }
        this.#components.logger.warn(facts, 'an engine that did not open was not closed')
      })
      throw error
    }
    await driver.stop()
    return null
  }
}
