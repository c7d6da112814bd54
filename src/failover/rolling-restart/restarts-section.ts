/** The section of the control group that holds the plans, and how its parts look in bytes. */

import type { AppliedAt, ControlSection } from '../../control/index.js'
import type { WallMs } from '../../core/ids.js'
import {
  failureDomains,
  planActions,
  planStatuses,
  stepPhases
} from '../../core/rolling-restart.js'
import {
  type Codec,
  f64,
  list,
  nodeId,
  nullable,
  oneOf,
  struct,
  term,
  text,
  u32,
  u64,
  union
} from '../../wire/index.js'
import {
  noPlans,
  planHistoryMax,
  planReasonLengthMax,
  plansKeptMax,
  type RestartPlans,
  restartNodesMax
} from './plan.js'
import { applyPlanChange, type PlanAnswer, type PlanChange, planRefusals } from './plan-changes.js'

/** A UUID, or a name of the embedder's. */
const planId = text(64)
/** 16 hex digits; empty before the step has begun. */
const boot = text(16)
/** A character takes four bytes at most. */
const reason = text(4 * planReasonLengthMax)
const by = text(256)
const wallMs = u64 as Codec<number> as Codec<WallMs>

const options = struct({
  preCheckTimeoutMs: u32,
  routingTimeoutMs: u32,
  leadersTimeoutMs: u32,
  sessionsTimeoutMs: u32,
  inFlightTimeoutMs: u32,
  restartTimeoutMs: u32,
  rejoinTimeoutMs: u32,
  delayMs: u32,
  canaryDelayMs: u32,
  lagEntriesMax: u32,
  errorRateMax: nullable(f64),
  p99MsMax: nullable(f64),
  failureDomain: oneOf(failureDomains),
  canary: nullable(nodeId)
})

const report = struct({
  leadersMoved: u32,
  sessionsMoved: u32,
  sessionsRefused: u32,
  inFlightLeft: u32
})

const step = struct({ node: nodeId, phase: oneOf(stepPhases), since: wallMs, boot, report })

const plan = struct({
  id: planId,
  options,
  steps: list(step, restartNodesMax),
  status: oneOf(planStatuses),
  reason,
  owner: nullable(nodeId),
  epoch: term,
  revision: u64,
  createdAt: wallMs,
  updatedAt: wallMs,
  history: list(struct({ at: wallMs, revision: u64, node: text(63), what: reason }), planHistoryMax)
})

const fence = { epoch: term, revision: u64 }

/** Numbers are append-only: a change that was ever in a log keeps its meaning. */
const change: Codec<PlanChange> = union({
  start: [0, struct({ plan: planId, nodes: list(nodeId, restartNodesMax), options, by })],
  claim: [1, struct({ plan: planId, owner: nodeId, epoch: term })],
  advance: [
    2,
    struct({
      plan: planId,
      ...fence,
      node: nodeId,
      to: oneOf(stepPhases),
      boot,
      report,
      why: reason
    })
  ],
  halt: [3, struct({ plan: planId, ...fence, reason })],
  operate: [4, struct({ plan: planId, action: oneOf(planActions), by })]
})

const answer: Codec<PlanAnswer> = union({
  accepted: [0, struct({ revision: u64 })],
  refused: [1, struct({ refusal: oneOf(planRefusals), detail: reason })]
})

export const restartsSection: ControlSection<RestartPlans, PlanChange, PlanAnswer> = {
  name: 'restarts',
  state: struct({ plans: list(plan, plansKeptMax) }) as Codec<RestartPlans>,
  change,
  answer,
  initial: (): RestartPlans => noPlans,
  apply: (state: RestartPlans, given: PlanChange, at: AppliedAt) =>
    applyPlanChange(state, given, at)
}
