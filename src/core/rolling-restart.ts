/**
 * Planned work on nodes, as values: drains, switchovers, and rolling restarts as they are
 * replicated, previewed and reported. What decides about them is the room `failover`.
 */
import type { GroupId, NodeId, Term, WallMs } from './ids.js'

/**
 * What is done with one node, in this order. From `routing` to `settle` the node is _out_: no
 * other one may be. Append only: the position is the number in the log.
 */
export const stepPhases = [
  'pending',
  /** The others learn that it drains, and choose it no more. */
  'routing',
  /** What it leads is led by others. */
  'leaders',
  /** SQL sessions move to other nodes. */
  'sessions',
  /** What it had begun ends. */
  'inFlight',
  /** Its process is to be replaced. */
  'restart',
  /** A new process is there; it is to be healthy and caught up. */
  'rejoin',
  /** It is watched for a while before the next one goes. */
  'settle',
  'done'
] as const
export type StepPhase = (typeof stepPhases)[number]

/** Phases before the process is touched: leaving them costs nothing but an undrain. */
export const drainPhases = ['routing', 'leaders', 'sessions', 'inFlight'] as const
export type DrainPhase = (typeof drainPhases)[number]

/** Append only: the position is the number in the log. */
export const planStatuses = [
  'running',
  /** By an operator: the node that is out is brought to its end, no further one begins. */
  'paused',
  /** By itself, for a reason: nothing goes on, and a node that only drained takes work again. */
  'halted',
  /** For good. The node that is out is brought to its end. */
  'aborted',
  'finished'
] as const
export type PlanStatus = (typeof planStatuses)[number]

/** What operators may do with a plan. Append only: the position is the number in the log. */
export const planActions = ['pause', 'resume', 'abort'] as const
export type PlanAction = (typeof planActions)[number]

/** Where nodes that may fail together are: those of one are restarted before those of the next. */
export const failureDomains = ['rack', 'datacenter', 'none'] as const
export type FailureDomain = (typeof failureDomains)[number]

/** How long each phase of a drain may take, in ms. */
export interface DrainTimeouts {
  /** Until every other node knows that it drains. */
  readonly routingTimeoutMs: number
  /** Until it leads nothing. */
  readonly leadersTimeoutMs: number
  /** For its sessions to move; those that have not by then are closed with a coded error. */
  readonly sessionsTimeoutMs: number
  /** For what it had begun; what has not ended by then is cut off when it stops. */
  readonly inFlightTimeoutMs: number
}

/** When the time of `routing` or `leaders` is up the plan halts; of the other two it goes on. */
export interface RestartOptions extends DrainTimeouts {
  /** ms that a node may wait until the cluster can do without it; then the plan halts. */
  readonly preCheckTimeoutMs: number
  /** ms until a new process is there; then the plan halts. */
  readonly restartTimeoutMs: number
  /** ms until it is healthy and caught up; then the plan halts. */
  readonly rejoinTimeoutMs: number
  /** ms that it is watched before the next node. 0: not at all. */
  readonly delayMs: number
  /** The same for the first node of the plan. */
  readonly canaryDelayMs: number
  /** Entries that a replica may lack and count as caught up. */
  readonly lagEntriesMax: number
  /** Share of failed queries, 0…1, above which the plan halts; null: nobody looks. */
  readonly errorRateMax: number | null
  /** ms of the slowest hundredth of queries above which the plan halts; null: nobody looks. */
  readonly p99MsMax: number | null
  readonly failureDomain: FailureDomain
  /** The first node; null: the one that leads least. */
  readonly canary: NodeId | null
}

/** What the phases of one node's drain came to. */
export interface StepReport {
  readonly leadersMoved: number
  readonly sessionsMoved: number
  readonly sessionsRefused: number
  /** Left when the time was up. */
  readonly inFlightLeft: number
}

export interface RestartStep {
  readonly node: NodeId
  readonly phase: StepPhase
  /** Log time at which it came to this phase. */
  readonly since: WallMs
  /** Of the process that is to be replaced; empty before the step begins. */
  readonly boot: string
  readonly report: StepReport
}

export interface PlanRecord {
  readonly at: WallMs
  readonly revision: number
  /** Empty: it is about the plan as a whole. */
  readonly node: string
  readonly what: string
}

export interface RestartPlan {
  readonly id: string
  readonly options: RestartOptions
  /** One per node, in the order that was planned. */
  readonly steps: readonly RestartStep[]
  readonly status: PlanStatus
  /** Why it is in this status. */
  readonly reason: string
  /** Who carries it out; null: nobody yet. */
  readonly owner: NodeId | null
  /** Term of the control group in which the owner led. */
  readonly epoch: Term
  /** Rises with every change. */
  readonly revision: number
  readonly createdAt: WallMs
  readonly updatedAt: WallMs
  /** Oldest first; at its bound the oldest goes. */
  readonly history: readonly PlanRecord[]
}

export interface LeadershipMove {
  readonly group: GroupId
  readonly target: NodeId
}

export interface PreviewedStep {
  readonly node: NodeId
  readonly domain: string
  readonly isCanary: boolean
  /** It would be the coordinator, and hand over first. */
  readonly isCoordinator: boolean
  readonly leads: readonly GroupId[]
  readonly moves: readonly LeadershipMove[]
  readonly sessions: number
  readonly inFlight: number
  /** It is restarted by its own hook; otherwise the plan waits for somebody to do it. */
  readonly canRestart: boolean
  /** Why it could not go now. */
  readonly faults: readonly string[]
}

/** What a rolling restart would do, by the code that does it. */
export interface RestartPreview {
  readonly steps: readonly PreviewedStep[]
  /** Nothing stands in the way of any step now. */
  readonly ok: boolean
  /** Queries fare too badly to begin; null: well enough. */
  readonly serviceFault: string | null
}

export interface RollingRestartRequest extends Partial<RestartOptions> {
  /** Default: every member. */
  readonly nodes?: readonly NodeId[] | undefined
  /** Who asks, for the record. */
  readonly by?: string | undefined
}

/** A plan that was started or attached to. */
export interface RollingRestart {
  readonly id: string
  /**
   * Resolves with the plan when it is finished or aborted.
   * @throws PlanRefusedError it halted; `details.reason` says why
   * @throws ContinuedElsewhereError this node goes away itself
   */
  done(): Promise<RestartPlan>
}

export interface DrainReport {
  readonly node: NodeId
  /** Every phase came to its end in time. */
  readonly complete: boolean
  readonly phases: readonly {
    readonly phase: DrainPhase
    readonly tookMs: number
    /** What was left when the time was up. */
    readonly left: readonly string[]
  }[]
  readonly report: StepReport
}

export interface SwitchoverRequest {
  readonly group: GroupId
  /** Default: a healthy voter that keeps up, whoever leads least. */
  readonly target?: NodeId | undefined
  readonly timeoutMs?: number | undefined
}

export interface SwitchoverReport {
  readonly group: GroupId
  readonly from: NodeId
  readonly to: NodeId
  readonly tookMs: number
}

/** Planned work on nodes. */
export interface ClusterOperations {
  /**
   * Has a node give its work away, phase by phase; it stays a member and keeps its replicas.
   * Again is harmless.
   * @throws UnknownNodeError; the errors of a request when the node does not answer
   */
  drain(node: NodeId, timeouts?: Partial<DrainTimeouts>): Promise<DrainReport>
  /** It takes work again. @throws UnknownNodeError */
  undrain(node: NodeId): Promise<void>
  /**
   * Hands the leadership of a group over, as planned: the leader stays one until the other one is.
   * @throws NotFoundError, NotVoterError there is no such group, or the node has no vote in it
   * @throws TransferFailedError nobody can take it, or did not in time
   */
  switchover(request: SwitchoverRequest): Promise<SwitchoverReport>
}

/** Rolling restarts of the cluster: `manager.restarts`. */
export interface RollingRestarts {
  /** @throws InvalidArgumentError; PlanRefusedError another plan is active */
  start(request?: RollingRestartRequest): Promise<RollingRestart>
  /** What `start` would do; nothing is proposed. */
  preview(request?: RollingRestartRequest): Promise<RestartPreview>
  attach(id: string): RollingRestart
  /** Oldest first; the last few are remembered. */
  plans(): Promise<readonly RestartPlan[]>
  /** @throws NotFoundError */
  plan(id: string): Promise<RestartPlan>
  /** @throws NotFoundError, PlanRefusedError */
  operate(id: string, action: PlanAction, by?: string): Promise<void>
}
