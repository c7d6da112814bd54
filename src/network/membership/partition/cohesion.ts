/**
 * How far the cluster holds together, as this node sees it: which members it lost together, which
 * it reaches only by a detour, whether a quorum of voters is in reach, and which side of a split it
 * is on. Nothing here declares anybody dead, and nothing here touches a Raft group.
 *
 * Owner's duties: `review` after anything that may have changed a member's standing;
 * `handleTimeout` when `next` has come.
 */

import type { PartitionView } from '../../../core/cluster-membership.js'
import { after, NEVER } from '../../../core/deadlines.js'
import type { PartitionEvent } from '../../../core/events.js'
import type { MonotonicMs, NodeId, WallMs } from '../../../core/ids.js'
import { type HealthStatus, HealthStatuses } from '../../../core/member.js'
import { isLive } from '../member-table.js'
import { Ranks } from '../precedence.js'
import type { SwimState } from '../swim-state.js'
import type { BrokenLink } from './links.js'
import { type Quorum, QuorumGuard } from './quorum-guard.js'
import { type Lost, type Split, Splits } from './splits.js'
import { splitStrategyOf } from './strategies.js'
import { SplitDecisions, type SplitMember, type SplitStrategy } from './strategy.js'

export class Cohesion {
  readonly #state: SwimState
  readonly #setHealth: (health: HealthStatus, now: MonotonicMs) => void
  readonly #strategy: SplitStrategy | null
  readonly #splits: Splits
  readonly #guard = new QuorumGuard()
  #reviewed = -1
  #decideAt: MonotonicMs = NEVER
  #hasYielded = false

  constructor(state: SwimState, setHealth: (health: HealthStatus, now: MonotonicMs) => void) {
    this.#state = state
    this.#setHealth = setHealth
    this.#strategy = splitStrategyOf(state.config)
    this.#splits = new Splits({ togetherMs: state.config.splitTogetherMs })
  }

  get quorum(): Quorum {
    return this.#guard.quorum
  }

  get split(): Split | null {
    return this.#splits.current
  }

  /** What is not healed: the split, then broken links by their node. */
  partitions(): PartitionView[] {
    const links = this.#state.links.broken().map(({ nodeId, fault, since }) => ({
      kind: fault,
      unreachable: [nodeId],
      since
    }))
    const { current } = this.#splits
    return current === null ? links : [{ kind: 'split', ...current }, ...links]
  }

  /** Whether the strategy decided that the other side goes on. */
  get hasYielded(): boolean {
    return this.#hasYielded
  }

  /** The last committed voters of the groups that count. */
  setVoters(voters: readonly NodeId[], now: MonotonicMs): void {
    this.#guard.setVoters(voters)
    this.#judge(now)
  }

  /** Cheap when nobody's standing changed. */
  review(now: MonotonicMs): void {
    const { table, links } = this.#state
    if (table.version === this.#reviewed) return
    this.#reviewed = table.version
    for (const { nodeId } of links.broken()) if (!this.#isReachable(nodeId)) links.forget(nodeId)
    const healed = this.#splits.review(this.#lost(), now)
    if (healed !== null) this.#tellHealed('split', healed.unreachable, healed.since, now)
    this.#judge(now)
    this.#armDecision(now)
  }

  handleTimeout(now: MonotonicMs): void {
    if (this.#splits.next() <= now) this.#judgeSplit(now)
    if (this.#decideAt <= now) this.#decide(now)
  }

  next(): MonotonicMs {
    return Math.min(this.#splits.next(), this.#decideAt) as MonotonicMs
  }

  onLinkBroken({ nodeId, fault }: BrokenLink): void {
    this.#tell({ type: 'PartitionDetected', kind: fault, unreachable: [nodeId] })
  }

  onLinkWhole({ nodeId, fault, since }: BrokenLink, now: MonotonicMs): void {
    this.#tellHealed(fault, [nodeId], since, now)
  }

  #judgeSplit(now: MonotonicMs): void {
    const called = this.#splits.handleTimeout(this.#lost(), this.#members().length, now)
    if (called === null) return
    this.#tell({ type: 'PartitionDetected', kind: 'split', unreachable: called.unreachable })
    this.#armDecision(now)
  }

  #judge(now: MonotonicMs): void {
    const change = this.#guard.judge((nodeId) => this.#isReachable(nodeId))
    if (change === null) return
    const { needed, present, missing } = this.#guard.quorum
    const type = change === 'lost' ? 'QuorumLost' : 'QuorumRegained'
    this.#tell({ type, needed, present, missing })
    this.#armDecision(now)
  }

  /** Each change of who is lost starts the wait anew; when all is well, nothing is decided. */
  #armDecision(now: MonotonicMs): void {
    const isBroken = this.#splits.current !== null || !this.#guard.quorum.isPresent
    if (isBroken && this.#strategy !== null) {
      this.#decideAt = after(now, this.#state.config.splitStableAfterMs)
      return
    }
    this.#decideAt = NEVER
    if (!this.#hasYielded) return
    this.#hasYielded = false
    if (!this.#state.hasLeft) this.#setHealth(HealthStatuses.Healthy, now)
  }

  #decide(now: MonotonicMs): void {
    this.#decideAt = NEVER
    if (this.#strategy === null || this.#state.hasLeft) return
    const { decision, reason } = this.#strategy.decide({ electorate: this.#electorate() })
    const dead = this.#lost().filter(({ isDead }) => isDead)
    const unreachable = dead.map(({ nodeId }) => nodeId)
    const strategy = this.#strategy.name
    this.#tell({ type: 'SplitDecided', strategy, decision, reason, unreachable })
    this.#hasYielded = decision === SplitDecisions.Yield
    this.#setHealth(this.#hasYielded ? HealthStatuses.Degraded : HealthStatuses.Healthy, now)
  }

  #electorate(): SplitMember[] {
    const { table } = this.#state
    const { voters } = this.#guard
    const ids = voters.length > 0 ? voters : this.#members()
    return ids.map((nodeId) => ({
      nodeId,
      bornAt: (table.get(nodeId)?.statement.bornAt ?? Number.MAX_SAFE_INTEGER) as WallMs,
      isReachable: this.#isReachable(nodeId)
    }))
  }

  #members(): NodeId[] {
    const present = this.#state.table.all().filter(({ rank }) => rank !== Ranks.Left)
    return present.map(({ statement }) => statement.nodeId)
  }

  #isReachable(nodeId: NodeId): boolean {
    const record = this.#state.table.get(nodeId)
    return record !== undefined && isLive(record)
  }

  #lost(): Lost[] {
    return this.#state.table
      .others(({ rank }) => rank === Ranks.Suspect || rank === Ranks.Dead)
      .map(({ statement, rank, changedAt }) => ({
        nodeId: statement.nodeId,
        isDead: rank === Ranks.Dead,
        at: changedAt
      }))
  }

  #tellHealed(
    kind: 'split' | BrokenLink['fault'],
    unreachable: readonly NodeId[],
    since: MonotonicMs,
    now: MonotonicMs
  ): void {
    this.#tell({ type: 'PartitionHealed', kind, unreachable, lastedMs: now - since })
  }

  #tell(event: PartitionEvent): void {
    const { counters } = this.#state
    if (event.type === 'PartitionDetected') counters.add('partition_detections')
    if (event.type === 'PartitionHealed') counters.add('partitions_healed')
    this.#state.effects.emit(event)
  }
}
