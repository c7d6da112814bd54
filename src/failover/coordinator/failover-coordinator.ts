/**
 * Decides about leaderships that nobody asked to move: away from a node that is degraded, and
 * spread over those that are well. Who leads is Raft's to say; this asks leaders to hand over, and
 * keeps a record of why, and of those changes that came without being asked for.
 *
 * Runs where the control group is led, over what every node says of itself. Whoever takes over
 * begins with nothing remembered, so it moves nothing before it has seen a trouble last.
 *
 * Invariants:
 * 1. Nothing is moved while it is paused; what happens is recorded all the same.
 * 2. A group is moved once per `gapMs`, and only to a healthy voter that keeps up, answers, and
 *    has a priority above zero.
 * 3. When more than half of the others look ill, it is the observer that is: nothing is moved.
 * 4. Spreading begins above `spreadAbove` and ends at one, so that it does not answer itself; none
 *    while a rolling restart is under way, which moves leaderships itself.
 *
 * Owner's duties: call `next` at an interval with a fresh look, carry its move out, tell
 * `handleMoved`, and `handleMoveFailed` where it fails; tell `handleLeaderChanged` of what is heard
 * of between two looks, `handleNoticed` of what others heard; record what `unrecorded` has.
 */
import type { FailoverOption, FailoverReason } from '../../core/failover.js'
import {
  compareText,
  type GroupId,
  type MonotonicMs,
  type NodeId,
  type Term
} from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import { RingBuffer } from '../../core/ring-buffer.js'
import {
  type ClusterSight,
  ledBy,
  type NodeView,
  type NoticedElection,
  nodeIn
} from '../rolling-restart/cluster-view.js'
import { moveFault } from '../rolling-restart/leadership-moves.js'
import type { FailoverPolicy } from './failover-policy.js'
import { UnrecordedElections } from './unrecorded-elections.js'

/** Decisions and changes that are remembered. */
export const failoverRecordsMax = 256

/** One decision, or one change that was heard of, with what it was made of. */
export interface FailoverRecord {
  readonly at: MonotonicMs
  readonly group: GroupId
  /** Of an elected leader; for a move the term that it ends. */
  readonly term: Term
  readonly reason: FailoverReason
  readonly from: NodeId | null
  readonly to: NodeId
  readonly why: string
  readonly options: readonly FailoverOption[]
}

export interface FailoverMove {
  readonly group: GroupId
  readonly from: NodeId
  readonly target: NodeId
  readonly reason: FailoverReason
  readonly why: string
}

interface Leadership {
  /** The last one that was heard of. */
  readonly term: Term
  /** Who led last, and in which term. */
  readonly leader: NodeId | null
  readonly ledTerm: Term
}

export interface LeaderChange {
  readonly group: GroupId
  readonly term: Term
  readonly leader: NodeId | null
}

export class FailoverCoordinator {
  readonly #self: NodeId
  #policy: FailoverPolicy
  readonly #records = new RingBuffer<FailoverRecord>(failoverRecordsMax)
  /** Of those that were not asked for; whoever records them settles them. */
  readonly unrecorded = new UnrecordedElections()
  readonly #degradedSince = new Map<NodeId, MonotonicMs>()
  readonly #wellSince = new Map<NodeId, MonotonicMs>()
  readonly #movedAt = new Map<GroupId, MonotonicMs>()
  /** Where a group is asked to go, until it is heard of there. */
  readonly #expected = new Map<GroupId, NodeId>()
  readonly #leaderships = new Map<GroupId, Leadership>()
  #spreadAt: MonotonicMs | null = null
  #isSpreading = false
  #pausedBy: string | null = null

  constructor(self: NodeId, policy: FailoverPolicy) {
    this.#self = self
    this.#policy = policy
  }

  set policy(policy: FailoverPolicy) {
    this.#policy = policy
  }

  /** Null: it is not. */
  get pausedBy(): string | null {
    return this.#pausedBy
  }

  pause(by: string): void {
    this.#pausedBy = by
  }

  resume(): void {
    this.#pausedBy = null
  }

  /** Oldest first; of one group, or of all. */
  explain(group?: GroupId): readonly FailoverRecord[] {
    const all = this.#records.toArray()
    return group === undefined ? all : all.filter((record) => record.group === group)
  }

  /** The next move, or none. `isPlanned`: a rolling restart moves leaderships now. */
  next(sight: ClusterSight, now: MonotonicMs, isPlanned: boolean): FailoverMove | null {
    this.#look(sight, now)
    if (this.#pausedBy !== null || this.#isObserverIll(sight)) return null
    return this.#awayFromIll(sight, now) ?? (isPlanned ? null : this.#spread(sight, now))
  }

  /**
   * It was asked for; whether it came about is heard of by `handleLeaderChanged`.
   * @returns what it was made of
   */
  handleMoved(move: FailoverMove, sight: ClusterSight, now: MonotonicMs): FailoverRecord {
    const { group, from, target, reason, why } = move
    this.#movedAt.set(group, now)
    this.#expected.set(group, target)
    if (reason === 'spread') this.#spreadAt = now
    const options = this.#optionsFor(group, from, sight)
    const term = sight.groups.find((one) => one.group === group)?.term ?? (0 as Term)
    const record = { at: now, group, term, reason, from, to: target, why, options }
    this.#records.push(record)
    return record
  }

  /** It may come about all the same, and is an election then. */
  handleMoveFailed({ group, target }: FailoverMove): void {
    if (this.#expected.get(group) === target) this.#expected.delete(group)
  }

  /** Another node heard of it. */
  handleNoticed({ agoMs, ...told }: NoticedElection, now: MonotonicMs): void {
    const at = (now - agoMs) as MonotonicMs
    this.unrecorded.note({ ...told, at, why: formerLeader(told) })
  }

  handleLeaderChanged({ group, term, leader }: LeaderChange, now: MonotonicMs): void {
    const before = this.#leaderships.get(group)
    if (before !== undefined && term < before.term) return
    const isExpected = this.#expected.get(group) === leader
    if (leader !== null) this.#expected.delete(group)
    // While nobody leads, who did is still the one that was lost.
    const led = leader === null ? before : { leader, ledTerm: term }
    this.#leaderships.set(group, {
      term,
      leader: led?.leader ?? null,
      ledTerm: led?.ledTerm ?? term
    })
    if (leader === null || before === undefined || before.leader === leader) return
    this.#movedAt.set(group, now)
    if (isExpected) return
    const { leader: from, ledTerm } = before
    const change = { group, term, from, ledTerm, to: leader }
    const why = `${formerLeader(change)}${this.#illness(from, now)}`
    const reason = 'elected'
    this.#records.push({ at: now, group, term, reason, from, to: leader, why, options: [] })
    this.unrecorded.note({ ...change, at: now, why })
  }

  #illness(node: NodeId | null, now: MonotonicMs): string {
    const since = node === null ? undefined : this.#degradedSince.get(node)
    return since === undefined ? '' : `, ill for ${Math.round(now - since)} ms`
  }

  /** Since when each node is ill, or well; who is gone is forgotten. */
  #look(sight: ClusterSight, now: MonotonicMs): void {
    const present = new Set(sight.nodes.map(({ node }) => node))
    const groups = new Set(sight.groups.map(({ group }) => group))
    for (const view of sight.nodes) {
      const [since, other] = isIll(view)
        ? [this.#degradedSince, this.#wellSince]
        : [this.#wellSince, this.#degradedSince]
      other.delete(view.node)
      if (!since.has(view.node)) since.set(view.node, now)
    }
    for (const { group, term, leader } of sight.groups) {
      this.handleLeaderChanged({ group, term, leader }, now)
    }
    for (const map of [this.#degradedSince, this.#wellSince]) {
      for (const node of map.keys()) if (!present.has(node)) map.delete(node)
    }
    for (const map of [this.#movedAt, this.#expected, this.#leaderships]) {
      for (const group of map.keys()) if (!groups.has(group)) map.delete(group)
    }
  }

  #isObserverIll(sight: ClusterSight): boolean {
    const others = sight.nodes.filter(
      ({ node, lifecycle }) => node !== this.#self && lifecycle !== Lifecycles.Left
    )
    return others.filter(isIll).length * 2 > others.length
  }

  #awayFromIll(sight: ClusterSight, now: MonotonicMs): FailoverMove | null {
    for (const { group, leader } of sight.groups) {
      const since = leader === null ? undefined : this.#degradedSince.get(leader)
      if (leader === null || since === undefined) continue
      const illMs = now - since
      if (illMs < this.#policy.degradedForMs || !this.#mayMove(group, now)) continue
      const target = this.#best(this.#optionsFor(group, leader, sight))
      if (target === null) continue
      const why = `${leader} is ill for ${Math.round(illMs)} ms`
      return { group, from: leader, target, reason: 'degraded', why }
    }
    return null
  }

  #spread(sight: ClusterSight, now: MonotonicMs): FailoverMove | null {
    const { spreadGapMs, spreadAbove } = this.#policy
    if (spreadGapMs === 0) return null
    const able = sight.nodes.filter((view) => this.#isStable(view, now))
    const counts = able.map((view) => ({ node: view.node, leads: ledBy(view).length }))
    counts.sort((a, b) => b.leads - a.leads || compareText(a.node, b.node))
    const [most, least] = [counts[0], counts.at(-1)]
    const difference = (most?.leads ?? 0) - (least?.leads ?? 0)
    this.#isSpreading = this.#isSpreading ? difference > 1 : difference > spreadAbove
    if (!this.#isSpreading || most === undefined) return null
    if (this.#spreadAt !== null && now - this.#spreadAt < spreadGapMs) return null
    for (const { node: target, leads } of [...counts].reverse()) {
      if (most.leads - leads <= 1) return null
      const group = ledBy(nodeIn(sight, most.node)).find(
        (id) => this.#mayMove(id, now) && moveFault(id, target, sight) === null
      )
      if (group === undefined) continue
      const why = `${most.node} leads ${most.leads} groups, ${target} ${leads}`
      return { group, from: most.node, target, reason: 'spread', why }
    }
    return null
  }

  #isStable(view: NodeView, now: MonotonicMs): boolean {
    const since = this.#wellSince.get(view.node)
    const isLongWell = since !== undefined && now - since >= this.#policy.stableForMs
    return isLongWell && this.#priorityOf(view.node) > 0
  }

  #mayMove(group: GroupId, now: MonotonicMs): boolean {
    const movedAt = this.#movedAt.get(group)
    return movedAt === undefined || now - movedAt >= this.#policy.gapMs
  }

  #optionsFor(id: GroupId, from: NodeId, sight: ClusterSight): readonly FailoverOption[] {
    const voters = sight.groups.find(({ group }) => group === id)?.voters ?? []
    return [...new Set(voters)]
      .filter((node) => node !== from)
      .map((node) => ({
        node,
        priority: this.#priorityOf(node),
        leads: ledBy(nodeIn(sight, node)).length,
        fault: moveFault(id, node, sight)
      }))
  }

  #best(options: readonly FailoverOption[]): NodeId | null {
    const [best] = options
      .filter(({ fault, priority }) => fault === null && priority > 0)
      .sort((a, b) => b.priority - a.priority || a.leads - b.leads || compareText(a.node, b.node))
    return best?.node ?? null
  }

  #priorityOf(node: NodeId): number {
    return this.#policy.priorities.get(node) ?? 1
  }
}

const formerLeader = ({ term, from, ledTerm }: Omit<NoticedElection, 'agoMs'>): string =>
  `term ${term}: ${from ?? 'nobody'} led in term ${ledTerm}`

/** Not to be trusted with leaderships: badly reached, or not answering. */
const isIll = ({ verdict, status, alive }: NodeView): boolean =>
  !alive || status === null || verdict === 'degraded' || verdict === 'unreachable'
