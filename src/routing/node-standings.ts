/**
 * What this node holds against others when it chooses among them: health verdicts, ejections after
 * errors, lag, and a slow start for who is new. Each part is a core of its own; this one feeds them
 * and words what they say.
 *
 * The owner calls `handleResult` for each attempt, `handleVerdict`, `handleMemberJoined` and
 * `handleMemberGone` as it hears of them, and drains `takeEvents`.
 */
import type { RoutingEvent } from '../core/events.js'
import { type HealthVerdict, type VerdictStatus, VerdictStatuses } from '../core/health-verdict.js'
import type { NodeId } from '../core/ids.js'
import type { Random } from '../core/ports/random.js'
import type { Expelled, Standings } from './eligibility.js'
import { type FaultVerdict, FaultVerdicts } from './node-faults.js'
import { type Ejection, OutlierEjection } from './outlier-ejection.js'
import { ReplicaLag } from './replica-lag.js'
import { SlowStart } from './slow-start.js'

export interface NodeStandingsOptions {
  readonly ejectionErrorsMax: number
  readonly ejectionIntervalMs: number
  readonly ejectionBaseMs: number
  readonly ejectionMaxMs: number
  readonly ejectedShareMax: number
  readonly ejectionRequestsMin: number
  readonly ejectionDeviations: number
  readonly slowStartMs: number
  /** Zero: no bound. */
  readonly lagEntriesMax: number
  /** Zero: no bound. */
  readonly lagMsMax: number
}

/** Half a sentence for each status that makes a node a last resort. */
const unwell: Partial<Record<VerdictStatus, string>> = {
  [VerdictStatuses.Degraded]: 'degraded by health checks',
  [VerdictStatuses.Unreachable]: 'does not answer health checks'
}

export class NodeStandings implements Standings {
  readonly #options: NodeStandingsOptions
  readonly #ejection: OutlierEjection
  readonly #slowStart: SlowStart
  readonly #lag = new ReplicaLag()
  readonly #degraded = new Map<NodeId, string>()
  readonly #events: RoutingEvent[] = []
  readonly #noEvents: readonly RoutingEvent[] = []
  #replicas = 1
  #version = 0
  #startedAt = Number.NaN

  constructor(components: { readonly random: Random }, options: NodeStandingsOptions) {
    this.#options = options
    this.#slowStart = new SlowStart(options)
    this.#ejection = new OutlierEjection(components, {
      consecutiveErrorsMax: options.ejectionErrorsMax,
      sweepIntervalMs: options.ejectionIntervalMs,
      baseMs: options.ejectionBaseMs,
      maxMs: options.ejectionMaxMs,
      shareMax: options.ejectedShareMax,
      requestsMin: options.ejectionRequestsMin,
      successDeviations: options.ejectionDeviations
    })
  }

  get ejectionsTotal(): number {
    return this.#ejection.total
  }

  get ejectionsRefused(): number {
    return this.#ejection.refused
  }

  /** Another one whenever what is held against somebody may have changed, but for time alone. */
  get version(): number {
    return this.#version + this.#ejection.version
  }

  /** When time alone changes what is held against somebody; infinite: never. */
  nextChange(now: number): number {
    return Math.min(this.#ejection.nextEnd(now), this.#lag.nextForgotten(now))
  }

  ejections(now: number): readonly Ejection[] {
    return this.#ejection.ejections(now)
  }

  /** Nodes known before `now` plus the time of a slow start are not new. */
  start(now: number): void {
    this.#startedAt = now
  }

  /** How many the ejected are a share of. */
  noteReplicas(count: number): void {
    this.#replicas = count
  }

  handleVerdict({ nodeId, status, reason }: HealthVerdict): void {
    const words = unwell[status]
    this.#version++
    if (words === undefined) this.#degraded.delete(nodeId)
    else this.#degraded.set(nodeId, `${words}: ${reason}`)
  }

  handleMemberJoined(node: NodeId, now: number): void {
    if (now - this.#startedAt < this.#options.slowStartMs) return
    this.#slowStart.begin(node, now)
  }

  handleMemberGone(node: NodeId): void {
    this.#version++
    this.#degraded.delete(node)
    this.#ejection.forget(node)
    this.#slowStart.forget(node)
    this.#lag.forget(node)
  }

  handleResult(node: NodeId, verdict: FaultVerdict, now: number): void {
    for (const ejection of this.#ejection.sweep(this.#replicas, now)) this.#tell(ejection, now)
    if (verdict === FaultVerdicts.None) return
    const isFault = verdict === FaultVerdicts.Fault
    const ejection = this.#ejection.handleResult(node, isFault, this.#replicas, now)
    if (ejection !== null) this.#tell(ejection, now)
    this.#welcomeReturned(now)
  }

  /** `node` answered from a state at `index`. */
  handleApplied(node: NodeId, index: number, now: number): void {
    const wasLagging = this.#isLagging(node, now)
    this.#lag.learn(node, index, now)
    if (wasLagging || this.#isLagging(node, now)) this.#version++
  }

  handleCommitted(index: number, now: number): void {
    this.#lag.learnNewest(index, now)
  }

  /** The share of the queries chosen for it that it gets: 0.1…1 */
  shareOf(node: NodeId, now: number): number {
    return this.#slowStart.shareOf(node, now)
  }

  takeEvents(): readonly RoutingEvent[] {
    return this.#events.length === 0 ? this.#noEvents : this.#events.splice(0)
  }

  degradedOf(node: NodeId): string | null {
    return this.#degraded.get(node) ?? null
  }

  ejectedOf(node: NodeId, now: number): Expelled | null {
    const ejection = this.#ejection.ejectionOf(node, now)
    if (ejection === null) this.#welcomeReturned(now)
    return ejection
  }

  /** Whether `behindOf` would say something. */
  isBehind(node: NodeId, atLeastIndex: number, now: number): boolean {
    const applied = this.#lag.appliedBy(node, now)
    return applied !== null && applied < atLeastIndex
  }

  behindOf(node: NodeId, atLeastIndex: number, now: number): string | null {
    if (!this.isBehind(node, atLeastIndex, now)) return null
    return `has applied ${this.#lag.appliedBy(node, now)}, ${atLeastIndex} is needed`
  }

  laggingOf(node: NodeId, now: number): string | null {
    const { lagEntriesMax, lagMsMax } = this.#options
    const lag = this.#lag.lagOf(node, now)
    if (lag === null || !this.#isLagging(node, now)) return null
    if (lagEntriesMax > 0 && lag.entries > lagEntriesMax) {
      return `lags ${lag.entries} entries, at most ${lagEntriesMax}`
    }
    return `lags ${Math.round(lag.ms)} ms, at most ${lagMsMax}`
  }

  #isLagging(node: NodeId, now: number): boolean {
    const { lagEntriesMax, lagMsMax } = this.#options
    const lag = this.#lag.lagOf(node, now)
    if (lag === null) return false
    return (lagEntriesMax > 0 && lag.entries > lagEntriesMax) || (lagMsMax > 0 && lag.ms > lagMsMax)
  }

  #tell({ node, reason, until, times }: Ejection, now: number): void {
    this.#events.push({ type: 'NodeEjected', nodeId: node, reason, forMs: until - now, times })
  }

  #welcomeReturned(now: number): void {
    for (const node of this.#ejection.takeReturned()) {
      this.#slowStart.begin(node, now)
      this.#events.push({ type: 'NodeReturned', nodeId: node })
    }
  }
}
