import { after } from '../core/deadlines.js'
import { compareText, type GroupId, type MonotonicMs, type NodeId } from '../core/ids.js'
import { isServing, type Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import { shuffle } from '../core/splittable-random.js'
import type { ExecutionDriver } from './execution-driver.js'
import { placement as placementRequest } from './messages.js'
import { newer, type Placement, type PlacementTable } from './placement-table.js'
import type { ShardedTable } from './sharding/shard-map.js'

/** A member is given so long to say where groups live, before another one is asked. */
export const placementTimeoutMs = 500
/** Members asked in one refresh. */
export const placementAsksMax = 3
/** Between two refreshes. */
export const placementPauseMs = 50

interface PlacementComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  readonly members: () => readonly Member[]
  readonly execution: ExecutionDriver
  readonly learned: PlacementTable
  /** Others told which tables are sharded. */
  readonly onShards: (told: { version: number; tables: readonly ShardedTable[] }) => void
  /** Others told of a leader that was not known here. */
  readonly onLeaderLearned?: ((placement: Placement) => void) | undefined
}

/** Where groups live: from this node's own replicas, completed by what other members tell. */
export class PlacementDriver {
  readonly #parts: PlacementComponents
  readonly #nodeId: NodeId
  #refreshing: Promise<void> | null = null
  #notBefore = 0 as MonotonicMs

  constructor(components: PlacementComponents, options: { readonly nodeId: NodeId }) {
    this.#parts = components
    this.#nodeId = options.nodeId
  }

  of(group: GroupId): Placement | null {
    const local = this.#parts.execution.placementOf(group)
    const learned = this.#parts.learned.of(group)
    if (local === null || learned === null) return local ?? learned
    // A replica that hears of no leader may have been removed meanwhile, and says what was.
    return local.leader === null ? newer(local, learned) : newer(learned, local)
  }

  /** This node has a replica of the group that votes, by the newest placement known. */
  votes(group: GroupId, placed: Placement | null): boolean {
    if (!this.#parts.execution.hasReplica(group)) return false
    return placed === null || placed.voters.length === 0 || placed.voters.includes(this.#nodeId)
  }

  /** Every group that this node knows of. */
  all(): Placement[] {
    const own = this.#parts.execution.placements()
    const others = this.#parts.learned.all().filter(({ group }) => !isIn(own, group))
    return [...own, ...others].map((known) => this.of(known.group) ?? known)
  }

  learn(placements: readonly Placement[]): void {
    for (const led of this.#parts.learned.learn(placements)) this.#parts.onLeaderLearned?.(led)
  }

  /** Asks members; one refresh at a time, never rejects. Null when the last one is too fresh. */
  refresh(): Promise<void> | null {
    if (this.#refreshing !== null) return this.#refreshing
    if (this.#parts.clock.now() < this.#notBefore) return null
    this.#refreshing = this.#ask().finally(() => {
      this.#refreshing = null
      this.#notBefore = after(this.#parts.clock.now(), placementPauseMs)
    })
    return this.#refreshing
  }

  async #ask(): Promise<void> {
    const { clock, logger, members, messenger, random } = this.#parts
    const others = members()
      .filter((member) => member.nodeId !== this.#nodeId && isServing(member))
      .map(({ nodeId }) => nodeId)
      .sort(compareText)
    for (const nodeId of shuffle(random, others).slice(0, placementAsksMax)) {
      try {
        const deadline = after(clock.now(), placementTimeoutMs)
        const told = await messenger.request(nodeId, placementRequest, {}, { deadline })
        const { groups, shards } = told
        this.learn(groups)
        if (shards !== undefined) this.#parts.onShards(shards)
        if (groups.some(({ leader }) => leader !== null)) return
      } catch (error) {
        logger.debug({ nodeId, error }, 'a member did not say where groups live')
      }
    }
  }
}

const isIn = (placements: readonly Placement[], group: GroupId): boolean =>
  placements.some((placement) => placement.group === group)
