import t, { type Test } from 'tap'
import { CONTROL_GROUP, type MonotonicMs, type Term, type WallMs } from '../../../src/core/ids.js'
import { Lifecycles } from '../../../src/core/member.js'
import type {
  PlanStatus,
  RestartPlan,
  RestartStep,
  StepPhase
} from '../../../src/core/rolling-restart.js'
import { emptyReport } from '../../../src/failover/rolling-restart/plan.js'
import {
  type RestartEffect,
  RestartExecutor
} from '../../../src/failover/rolling-restart/restart-executor.js'
import { resolveRestartOptions } from '../../../src/failover/rolling-restart/restart-options.js'
import { node, type SightNode, sightOf } from './sights.js'

const control = CONTROL_GROUP as number
const calm: Readonly<Record<string, SightNode>> = { a: { leads: [control] }, b: {}, c: {} }

interface Situation {
  readonly phases?: Readonly<Record<string, StepPhase>>
  readonly status?: PlanStatus
  readonly nodes?: Readonly<Record<string, SightNode>>
  readonly behind?: Readonly<Record<number, readonly string[]>>
  /** How long the present revision has been looked at. */
  readonly afterMs?: number
  readonly self?: string
  readonly options?: Parameters<typeof resolveRestartOptions>[0]
  readonly errorRate?: number
}

function planOf({ phases = {}, status = 'running', options }: Situation): RestartPlan {
  const steps = ['b', 'c', 'a'].map(
    (name, i): RestartStep => ({
      node: node(name),
      phase: phases[name] ?? 'pending',
      since: i as WallMs,
      boot: `boot-${name}`,
      report: emptyReport
    })
  )
  return {
    id: 'p',
    options: resolveRestartOptions(options),
    steps,
    status,
    reason: '',
    owner: node('a'),
    epoch: 4 as Term,
    revision: 7,
    createdAt: 0 as WallMs,
    updatedAt: 0 as WallMs,
    history: []
  }
}

/** One look, and another one `afterMs` later, whose effect counts. */
function decide(situation: Situation): RestartEffect {
  const { nodes = calm, behind = {}, afterMs = 0, self = 'a', errorRate } = situation
  const executor = new RestartExecutor({ self: node(self), controlGroup: CONTROL_GROUP })
  const plan = { ...planOf(situation), owner: node(self) }
  const seen = sightOf(nodes, { behind })
  const serviceLevel = { errorRate: errorRate ?? null, p99Ms: null }
  const look = (now: number) =>
    executor.next({
      plan,
      sight: { ...seen, serviceLevel },
      term: 4 as Term,
      now: now as MonotonicMs
    })
  look(1_000)
  return look(1_000 + afterMs)
}

/** `b→routing`, `halt: …`, `drain b leaders`. */
function told(effect: RestartEffect): string {
  switch (effect.kind) {
    case 'change': {
      const { change } = effect
      if (change.kind === 'advance') return `${change.node}→${change.to}`
      return change.kind === 'halt' ? `halt: ${change.reason}` : change.kind
    }
    case 'wait':
      return `wait: ${effect.reasons.join(', ')}`
    case 'drain':
      return `drain ${effect.node} ${effect.phase}`
    case 'undrain':
    case 'restart':
      return `${effect.kind} ${effect.node}`
    case 'handOver':
      return `hand over to ${effect.target}`
    case 'idle':
      return 'idle'
  }
}

const is = (t: Test, situation: Situation, expected: string) =>
  t.equal(told(decide(situation)), expected)

const draining = { lifecycle: Lifecycles.Draining, draining: [node('b')] }
const knows = { status: { draining: [node('b')] } }
const away = { a: { ...calm.a, ...knows }, b: { status: draining }, c: knows }

t.test('a plan is claimed for the term in which this node leads, and no other', async (t) => {
  const executor = new RestartExecutor({ self: node('a'), controlGroup: CONTROL_GROUP })
  const next = (plan: RestartPlan | null, term: number) =>
    told(executor.next({ plan, sight: sightOf(calm), term: term as Term, now: 0 as MonotonicMs }))
  t.equal(next(null, 4), 'idle')
  t.equal(next({ ...planOf({}), owner: null, epoch: 0 as Term }, 4), 'claim')
  t.equal(next({ ...planOf({}), owner: node('b') }, 4), 'claim')
  t.equal(next(planOf({}), 5), 'claim', 'it leads anew')
  t.equal(next(planOf({}), 3), 'idle', 'somebody else has led since')
})

t.test('each phase of a node is left when what it is for has happened', async (t) => {
  is(t, {}, 'b→routing')
  is(t, { phases: { b: 'routing' } }, 'drain b routing')
  is(t, { phases: { b: 'routing' }, nodes: { ...away, c: {} } }, 'drain b routing')
  is(t, { phases: { b: 'routing' }, nodes: away }, 'b→leaders')
  const leads = { ...away, b: { leads: [0], status: draining } }
  is(t, { phases: { b: 'leaders' }, nodes: leads }, 'drain b leaders')
  is(t, { phases: { b: 'leaders' }, nodes: away }, 'b→sessions')
  const sessions = { ...away, b: { status: { ...draining, sessions: 3 } } }
  is(t, { phases: { b: 'sessions' }, nodes: sessions }, 'drain b sessions')
  is(t, { phases: { b: 'sessions' }, nodes: away }, 'b→inFlight')
  const busy = { ...away, b: { status: { ...draining, inFlight: 3 } } }
  is(t, { phases: { b: 'inFlight' }, nodes: busy }, 'drain b inFlight')
  is(t, { phases: { b: 'inFlight' }, nodes: away }, 'b→restart')
  is(t, { phases: { b: 'restart' }, nodes: away }, 'restart b')
  is(t, { phases: { b: 'restart' }, nodes: leads }, 'drain b leaders')
  const ordered = { ...away, b: { status: { ...draining, isRestarting: true } } }
  is(t, { phases: { b: 'restart' }, nodes: ordered }, 'wait: a new process of b is awaited')
  const byHand = { ...away, b: { status: { ...draining, canRestart: false } } }
  is(t, { phases: { b: 'restart' }, nodes: byHand }, 'wait: b has to be restarted from outside')
  const anew = { ...calm, b: { status: { boot: 'new' } } }
  for (const phase of ['routing', 'leaders', 'sessions', 'inFlight', 'restart'] as const) {
    is(t, { phases: { b: phase }, nodes: anew }, 'b→rejoin')
  }
  is(t, { phases: { b: 'rejoin' }, nodes: anew }, 'b→settle')
  is(
    t,
    { phases: { b: 'rejoin' }, nodes: anew, behind: { [control]: ['b'] } },
    `wait: b is behind in group ${control}`
  )
  is(t, { phases: { b: 'settle' }, nodes: anew }, 'wait: b is watched')
  is(t, { phases: { b: 'settle' }, nodes: anew, afterMs: 30_000 }, 'b→done')
  is(t, { phases: { b: 'settle', c: 'done' }, nodes: anew, afterMs: 5_000 }, 'b→done')
  is(t, { phases: { b: 'settle' }, nodes: { ...anew, b: { alive: false } } }, 'b→rejoin')
})

t.test('what takes too long halts the plan, or is gone on without', async (t) => {
  const late = { afterMs: 10_000_000 }
  const ill = { ...calm, c: { alive: false } }
  is(t, { nodes: ill }, `wait: c is not alive, group ${control} would have no majority without b`)
  is(
    t,
    { nodes: ill, ...late },
    `halt: c is not alive, group ${control} would have no majority without b`
  )
  is(
    t,
    { phases: { b: 'routing' }, nodes: { ...away, c: {} }, ...late },
    'halt: routing: c does not know that b drains'
  )
  const leads = { ...away, b: { leads: [0], status: draining } }
  is(t, { phases: { b: 'leaders' }, nodes: leads, ...late }, 'halt: leaders: b leads group 0')
  const sessions = { ...away, b: { status: { ...draining, sessions: 3 } } }
  is(t, { phases: { b: 'sessions' }, nodes: sessions, ...late }, 'b→inFlight')
  const busy = { ...away, b: { status: { ...draining, inFlight: 3 } } }
  is(t, { phases: { b: 'inFlight' }, nodes: busy, ...late }, 'b→restart')
  is(t, { phases: { b: 'restart' }, nodes: away, ...late }, 'halt: no new process of b came')
  const silent = { ...calm, b: { status: null } }
  is(t, { phases: { b: 'rejoin' }, nodes: silent, ...late }, 'halt: b does not answer')
})

t.test('nothing goes out while somebody else is missing', async (t) => {
  const missing = { ...away, c: { alive: false } }
  const faults = `c is not alive, group ${control} would have no majority without b`
  is(t, { phases: { b: 'inFlight' }, nodes: missing }, `wait: ${faults}`)
  is(t, { phases: { b: 'inFlight' }, nodes: missing, afterMs: 60_000 }, `halt: ${faults}`)
  is(t, { phases: { b: 'restart' }, nodes: missing }, `wait: ${faults}`)
})

t.test('queries that fail halt the plan, before a node and in its midst', async (t) => {
  const options = { errorRateMax: 0.01 }
  const reason = 'halt: 5.00 % of the queries fail, 1.00 % are allowed'
  is(t, { options, errorRate: 0.05 }, reason)
  is(t, { options, errorRate: 0.05, phases: { b: 'sessions' }, nodes: away }, reason)
  is(t, { options, errorRate: 0.05, phases: { b: 'settle' } }, reason)
  is(t, { options, errorRate: 0.01 }, 'b→routing')
})

t.test('it hands over before its own node goes, and restarts itself never', async (t) => {
  const phases = { b: 'done', c: 'done' } as const
  is(t, { phases }, 'hand over to b')
  for (const phase of ['routing', 'inFlight', 'restart'] as const) {
    is(t, { phases: { ...phases, a: phase } }, 'hand over to b')
  }
  const alone = { a: { leads: [control] } }
  const steps = { phases: { b: 'done', c: 'done' } as const, nodes: alone }
  is(t, steps, `wait: group ${control} would have no majority without a`)
  const anew = { ...calm, a: { leads: [control], status: { boot: 'new' } } }
  is(t, { phases: { ...phases, a: 'rejoin' }, nodes: anew }, 'a→settle')
})

t.test('a plan that is paused brings the node that is out to its end', async (t) => {
  is(t, { status: 'paused' }, 'idle')
  is(t, { status: 'paused', phases: { b: 'inFlight' }, nodes: away }, 'b→restart')
})

t.test('a halted or aborted plan lets a drained node work again', async (t) => {
  for (const status of ['halted', 'aborted'] as const) {
    is(t, { status }, 'idle')
    for (const phase of ['routing', 'inFlight', 'restart'] as const) {
      is(t, { status, phases: { b: phase }, nodes: away }, 'undrain b')
      is(t, { status, phases: { b: phase } }, 'b→pending')
    }
    const ordered = { ...away, b: { status: { ...draining, isRestarting: true } } }
    is(t, { status, phases: { b: 'restart' }, nodes: ordered }, 'idle')
  }
  const anew = { ...calm, b: { status: { boot: 'new' } } }
  is(t, { status: 'halted', phases: { b: 'restart' }, nodes: anew }, 'idle')
  is(t, { status: 'halted', phases: { b: 'rejoin' }, nodes: anew }, 'idle')
  is(t, { status: 'aborted', phases: { b: 'restart' }, nodes: anew }, 'b→rejoin')
  is(t, { status: 'aborted', phases: { b: 'rejoin' }, nodes: anew }, 'b→settle')
})
