/**
 * Plans of operators, whatever they are about: a slot for each kind. Whoever carries one out writes
 * how far it has come, and whoever takes over reads it here.
 *
 * 1. At most one plan of a kind is active.
 * 2. A revision is given once. A plan changes only from the revision that its writer has seen, so
 *    of two who believe to carry it out one is refused.
 * 3. Ended plans stay to be looked at, the newest of all kinds.
 */
import {
  bytes,
  list,
  nullable,
  oneOf,
  struct,
  type TypeOf,
  text,
  u64,
  union
} from '../../wire/codec.js'
import { wallMs } from '../change-command.js'
import type { AppliedAt, ControlSection } from '../section.js'

/** Kinds of plans that may be active at once, and ended ones that are kept. */
export const activePlansMax = 16
export const endedPlansMax = 32
/** What a plan says of itself, in the codec of its kind. */
export const planBodyBytesMax = 16 * 1024

const planKind = text(32)
const planId = text(64)
const body = bytes(planBodyBytesMax)

const plan = struct({
  kind: planKind,
  id: planId,
  /** Of its last change. */
  revision: u64,
  begunAt: wallMs,
  changedAt: wallMs,
  /** A word of its kind; null while it is active. */
  outcome: nullable(text(32)),
  body
})
export type OperatorPlan = TypeOf<typeof plan>

const state = struct({
  /** The last one that was given. */
  revision: u64,
  /** In the order of their beginning. */
  active: list(plan, activePlansMax),
  /** In the order of their end. */
  ended: list(plan, endedPlansMax)
})
export type PlansState = TypeOf<typeof state>

const change = union({
  begin: [1, struct({ plan: struct({ kind: planKind, id: planId, body }) })],
  /** From `revision` on. */
  update: [2, struct({ plan: struct({ kind: planKind, id: planId, body }), revision: u64 })],
  end: [
    3,
    struct({
      plan: struct({ kind: planKind, id: planId, body }),
      revision: u64,
      outcome: text(32)
    })
  ]
})
export type PlansChange = TypeOf<typeof change>
type Named = PlansChange['plan']

/** `active`: another one of the kind; `changed`: by somebody else, since it was read. */
export const planRefusals = ['active', 'idUsed', 'unknown', 'changed', 'tooMany'] as const
export type PlanRefusal = (typeof planRefusals)[number]

const answer = struct({
  refusal: nullable(oneOf(planRefusals)),
  /** Of the change when it was done, else of the plan that stands in its way. */
  revision: u64,
  /** The plan of this kind that is active now. */
  activeId: nullable(planId)
})
export type PlansAnswer = TypeOf<typeof answer>

type Outcome = { readonly state: PlansState; readonly answer: PlansAnswer }

export const plansSection: ControlSection<PlansState, PlansChange, PlansAnswer> = {
  name: 'plans',
  state,
  change,
  answer,
  initial: () => ({ revision: 0, active: [], ended: [] }),
  apply(before, change, at) {
    switch (change.kind) {
      case 'begin':
        return begin(before, change.plan, at)
      case 'update':
        return update(before, change.plan, change.revision, at)
      case 'end':
        return end(before, change, at)
    }
  }
}

/** Null: none of this kind is active. */
export const activePlan = ({ active }: PlansState, kind: string): OperatorPlan | null =>
  active.find((one) => one.kind === kind) ?? null

/** Active or ended; null: never begun, or forgotten. */
export const planById = (
  { active, ended }: PlansState,
  kind: string,
  id: string
): OperatorPlan | null => {
  const isIt = (one: OperatorPlan) => one.kind === kind && one.id === id
  return active.find(isIt) ?? ended.findLast(isIt) ?? null
}

function begin(before: PlansState, { kind, id, body }: Named, { now }: AppliedAt): Outcome {
  const active = activePlan(before, kind)
  if (active !== null) return refused(before, 'active', active)
  if (before.ended.some((one) => one.kind === kind && one.id === id)) {
    return refused(before, 'idUsed', null)
  }
  if (before.active.length >= activePlansMax) return refused(before, 'tooMany', null)
  const revision = before.revision + 1
  const begun = { kind, id, revision, begunAt: now, changedAt: now, outcome: null, body }
  return done({ ...before, revision, active: [...before.active, begun] }, kind)
}

function update(
  before: PlansState,
  { kind, id, body }: Named,
  expected: number,
  { now }: AppliedAt
): Outcome {
  const found = expectCurrent(before, kind, id, expected)
  if ('answer' in found) return found
  const revision = before.revision + 1
  const next = { ...found, revision, changedAt: now, body }
  const active = before.active.map((one) => (one === found ? next : one))
  return done({ ...before, revision, active }, kind)
}

function end(
  before: PlansState,
  { plan: { kind, id, body }, revision: expected, outcome }: Extract<PlansChange, { kind: 'end' }>,
  { now }: AppliedAt
): Outcome {
  const found = expectCurrent(before, kind, id, expected)
  if ('answer' in found) return found
  const revision = before.revision + 1
  const active = before.active.filter((one) => one !== found)
  const last = { ...found, revision, changedAt: now, outcome, body }
  const ended = [...before.ended, last].slice(-endedPlansMax)
  return done({ revision, active, ended }, kind)
}

function expectCurrent(
  before: PlansState,
  kind: string,
  id: string,
  revision: number
): OperatorPlan | Outcome {
  const active = activePlan(before, kind)
  if (active?.id !== id) return refused(before, 'unknown', active)
  return active.revision === revision ? active : refused(before, 'changed', active)
}

const done = (state: PlansState, kind: string): Outcome => ({
  state,
  answer: {
    refusal: null,
    revision: state.revision,
    activeId: activePlan(state, kind)?.id ?? null
  }
})

const refused = (
  state: PlansState,
  refusal: PlanRefusal,
  active: OperatorPlan | null
): Outcome => ({
  state,
  answer: {
    refusal,
    revision: active?.revision ?? state.revision,
    activeId: active?.id ?? null
  }
})
