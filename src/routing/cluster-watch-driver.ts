/**
 * Tells clients who the members are and where groups live: at once when they know less than this
 * node does, else when something changes. A client that watches is told of a new leader by the
 * answer to a request of its own, so that nothing is ever sent to a client that did not ask.
 *
 * 1. A revision is never given to two different views: it begins with the wall clock and rises.
 * 2. Changes of members are told at most once per `watchPauseMs`, new leaders at once.
 */
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import { type ClusterId, compareText, type MonotonicMs, type NodeId } from '../core/ids.js'
import { Lifecycles, type Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import { type ClusterAnswer, toldMembersMax } from './messages.js'
import type { Placement } from './placement-table.js'
import { type ShardMap, toldShards } from './sharding/shard-map.js'
import { WaitingDriver } from './waiting-driver.js'

/** Requests that wait for a change; one beyond is answered at once. */
export const clusterWatchesMax = 4_096
/** No request waits longer for a change, whatever its deadline. */
const watchHoldMs = 30_000
/** An answer needs time for its way back. */
const answerMarginShare = 0.1
const watchPauseMs = 50

interface ClusterWatchComponents {
  readonly clock: Clock
  readonly members: () => readonly Member[]
  readonly placements: () => readonly Placement[]
  readonly clusterId: () => ClusterId | null
  readonly shards: () => ShardMap
}

export class ClusterWatchDriver {
  readonly #parts: ClusterWatchComponents
  readonly #options: { readonly nodeId: NodeId; readonly version: string }
  readonly #waiting: WaitingDriver
  readonly #timer: DeadlineTimer
  #revision: number
  #toldAt: MonotonicMs

  constructor(
    components: ClusterWatchComponents,
    options: { readonly nodeId: NodeId; readonly version: string }
  ) {
    const { clock } = components
    this.#parts = components
    this.#options = options
    this.#waiting = new WaitingDriver(clock)
    this.#timer = new DeadlineTimer(clock, () => this.#tell())
    this.#revision = Math.max(1, Math.floor(clock.wallNow()))
    this.#toldAt = clock.now()
  }

  get watching(): number {
    return this.#waiting.waiting
  }

  /** @throws CancelledError nobody waits for it any more */
  async watch(
    revision: number,
    deadline: MonotonicMs,
    signal: AbortSignal
  ): Promise<ClusterAnswer> {
    if (revision === this.#revision && this.watching < clusterWatchesMax) {
      const now = this.#parts.clock.now()
      const holdMs = Math.min(watchHoldMs, (deadline - now) * (1 - answerMarginShare))
      await this.#waiting.pauseUntil(after(now, holdMs), signal)
    }
    return this.#answer()
  }

  /** Members came, went or changed. */
  handleMembersChanged(): void {
    this.#revision++
    this.#timer.arm(after(this.#toldAt, watchPauseMs))
  }

  handleShardsChanged(): void {
    this.#revision++
    this.#tell()
  }

  handleLeaderChanged(): void {
    this.#revision++
    this.#tell()
  }

  /** Everybody is answered; nobody waits any more. */
  stop(): void {
    this.#timer.stop()
    this.#revision++
    this.#waiting.wakeAll()
  }

  #tell(): void {
    this.#toldAt = this.#parts.clock.now()
    this.#waiting.wakeAll()
  }

  #answer(): ClusterAnswer {
    const { members, placements, clusterId } = this.#parts
    const shards = toldShards(this.#parts.shards())
    const told = members()
      .filter(({ lifecycle }) => lifecycle !== Lifecycles.Left)
      .sort((a, b) => compareText(a.nodeId, b.nodeId))
      .slice(0, toldMembersMax)
    return {
      node: this.#options.nodeId,
      version: this.#options.version,
      revision: this.#revision,
      clusterId: clusterId(),
      members: told,
      groups: placements(),
      ...(shards === undefined ? {} : { shards })
    }
  }
}
