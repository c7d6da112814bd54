/**
 * Which peers are better reached by way of another, for priority traffic. A relay costs its node
 * and hides what is wrong, so the direct path is kept unless it is out or severely worse.
 *
 * Invariants:
 * 1. at most one relay on a path, never this node or the target; only for what this node measured;
 * 2. a relay comes at once when the direct path is out, and else after `confirmations` searches in
 *    a row in which it is `severeFactor` times cheaper and `severeFloorMs` cheaper;
 * 3. it goes after `confirmations` searches in a row in which the direct path costs at most
 *    `keepFactor` times as much, at once when it no longer reaches the target, and when no search
 *    has confirmed it for `ttlMs`;
 * 4. it is exchanged for another only when it is out of reach or `keepFactor` times as dear.
 */
import { after, NEVER } from '../core/deadlines.js'
import type { RelayRoute } from '../core/health-views.js'
import { compareText, type MonotonicMs, type NodeId } from '../core/ids.js'
import { type CostTable, pathCost, type RelayProposal } from './route-search.js'

export interface RouteLimits {
  readonly confirmations: number
  readonly severeFactor: number
  readonly severeFloorMs: number
  readonly keepFactor: number
  readonly ttlMs: number
}

export interface RouteChange {
  readonly target: NodeId
  /** Null: back to the direct path. */
  readonly route: RelayRoute | null
  readonly reason: string
}

interface Streak {
  severe: number
  good: number
}

export class RouteTable {
  readonly #self: NodeId
  readonly #limits: RouteLimits
  readonly #routes = new Map<NodeId, RelayRoute>()
  readonly #streaks = new Map<NodeId, Streak>()

  constructor(self: NodeId, limits: RouteLimits) {
    this.#self = self
    this.#limits = limits
  }

  handleSearch(
    table: CostTable,
    proposals: readonly RelayProposal[],
    now: MonotonicMs
  ): RouteChange[] {
    const changes = this.handleTimeout(now)
    const proposalOf = new Map(proposals.map((proposal) => [proposal.target, proposal]))
    for (const target of table.nodes) {
      if (target === this.#self) continue
      const change = this.#judge(table, target, proposalOf.get(target), now)
      if (change !== null) changes.push(change)
    }
    for (const target of [...this.#streaks.keys()]) {
      if (table.nodes.includes(target)) continue
      this.#streaks.delete(target)
      if (this.#routes.has(target)) changes.push(this.#drop(target, 'the target is gone'))
    }
    return changes
  }

  /** Routes that no search confirmed any more. */
  handleTimeout(now: MonotonicMs): RouteChange[] {
    return this.routes()
      .filter(({ expiresAt }) => expiresAt <= now)
      .map(({ target }) => this.#drop(target, 'not confirmed any more'))
  }

  nextDeadline(): MonotonicMs {
    let next = NEVER
    for (const { expiresAt } of this.#routes.values()) if (expiresAt < next) next = expiresAt
    return next
  }

  relayFor(target: NodeId, now: MonotonicMs): NodeId | null {
    const route = this.#routes.get(target)
    return route === undefined || route.expiresAt <= now ? null : route.relay
  }

  /** In the order of the targets' names. */
  routes(): RelayRoute[] {
    return [...this.#routes.values()].sort((a, b) => compareText(a.target, b.target))
  }

  #judge(
    table: CostTable,
    target: NodeId,
    proposal: RelayProposal | undefined,
    now: MonotonicMs
  ): RouteChange | null {
    const directMs = pathCost(table, this.#self, target)
    const route = this.#routes.get(target)
    const streak = this.#streakOf(target)
    if (route === undefined) return this.#maybeTake(streak, directMs, proposal, now)
    if (Number.isNaN(directMs)) return this.#drop(target, 'not measured any more')
    const heldMs = reachable(pathCost(table, this.#self, target, route.relay))
    if (proposal === undefined) return this.#drop(target, `${route.relay} does not reach it`)
    const isGood = directMs <= Math.min(heldMs, proposal.viaMs) * this.#limits.keepFactor
    streak.good = isGood ? streak.good + 1 : 0
    if (streak.good >= this.#limits.confirmations) {
      return this.#drop(target, 'the direct path is well again')
    }
    const isWorse = heldMs > proposal.viaMs * this.#limits.keepFactor
    const relay = isWorse ? proposal.relay : route.relay
    const viaMs = isWorse ? proposal.viaMs : heldMs
    const since = isWorse ? now : route.since
    const kept = this.#set({ target, relay, viaMs }, directMs, since, now)
    return isWorse ? { target, route: kept, reason: `${route.relay} became worse` } : null
  }

  #maybeTake(
    streak: Streak,
    directMs: number,
    proposal: RelayProposal | undefined,
    now: MonotonicMs
  ): RouteChange | null {
    const { severeFactor, severeFloorMs, confirmations } = this.#limits
    const viaMs = proposal?.viaMs ?? Number.POSITIVE_INFINITY
    const isOut = directMs === Number.POSITIVE_INFINITY
    const isSevere = directMs >= viaMs * severeFactor && directMs - viaMs >= severeFloorMs
    streak.severe = isSevere ? streak.severe + 1 : 0
    if (proposal === undefined || !(isOut || streak.severe >= confirmations)) return null
    const route = this.#set(proposal, directMs, now, now)
    const reason = isOut ? 'the direct path is out' : 'the direct path is severely worse'
    return { target: proposal.target, route, reason }
  }

  #set(
    { target, relay, viaMs }: RelayProposal,
    directMs: number,
    since: MonotonicMs,
    now: MonotonicMs
  ): RelayRoute {
    const isOut = directMs === Number.POSITIVE_INFINITY
    const route: RelayRoute = {
      target,
      relay,
      why: isOut ? 'outage' : 'degraded',
      directMs,
      viaMs,
      expectedImprovement: isOut ? 1 : Math.max(0, 1 - viaMs / directMs),
      since,
      expiresAt: after(now, this.#limits.ttlMs)
    }
    this.#routes.set(target, route)
    return route
  }

  #drop(target: NodeId, reason: string): RouteChange {
    this.#routes.delete(target)
    const streak = this.#streakOf(target)
    streak.good = 0
    streak.severe = 0
    return { target, route: null, reason }
  }

  #streakOf(target: NodeId): Streak {
    let streak = this.#streaks.get(target)
    if (streak === undefined) {
      streak = { severe: 0, good: 0 }
      this.#streaks.set(target, streak)
    }
    return streak
  }
}

const reachable = (ms: number): number => (Number.isNaN(ms) ? Number.POSITIVE_INFINITY : ms)
