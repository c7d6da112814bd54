import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { LogIndex, NodeId, Term, WallMs } from '../../../src/core/ids.js'
import { messageSizeBytesMax } from '../../../src/core/limits.js'
import {
  planActions,
  planStatuses,
  type RestartPlan,
  stepPhases
} from '../../../src/core/rolling-restart.js'
import {
  cutReason,
  emptyReport,
  isActive,
  isOut,
  noPlans,
  planHistoryMax,
  plansKeptMax,
  type RestartPlans,
  restartNodesMax
} from '../../../src/failover/rolling-restart/plan.js'
import {
  applyPlanChange,
  type PlanAnswer,
  type PlanChange,
  successors
} from '../../../src/failover/rolling-restart/plan-changes.js'
import { restartDefaults } from '../../../src/failover/rolling-restart/restart-options.js'
import { restartsSection } from '../../../src/failover/rolling-restart/restarts-section.js'
import { ByteReader } from '../../../src/wire/byte-reader.js'
import { ByteWriter } from '../../../src/wire/byte-writer.js'
import type { Codec } from '../../../src/wire/codec.js'

const [a, b, c] = ['a', 'b', 'c'].map((name) => name as NodeId) as [NodeId, NodeId, NodeId]

/** A state that changes are applied to, one after the other. */
class Plans {
  state: RestartPlans = noPlans
  #now = 1_000

  apply(change: PlanChange): PlanAnswer {
    const at = { index: 1 as LogIndex, now: ++this.#now as WallMs }
    const { state, answer } = applyPlanChange(this.state, change, at)
    this.state = state
    return answer
  }

  start(nodes: readonly NodeId[], plan = 'p'): PlanAnswer {
    return this.apply({ kind: 'start', plan, nodes, options: restartDefaults, by: 'operator' })
  }

  get(plan = 'p'): RestartPlan {
    return this.state.plans.find(({ id }) => id === plan) as RestartPlan
  }

  claim(owner: NodeId, epoch: number, plan = 'p'): PlanAnswer {
    return this.apply({ kind: 'claim', plan, owner, epoch: epoch as Term })
  }

  advance(node: NodeId, to: (typeof stepPhases)[number], fence = this.get()): PlanAnswer {
    const { id, epoch, revision } = fence
    const parts = { node, to, boot: 'b', report: emptyReport, why: '' }
    return this.apply({ kind: 'advance', plan: id, epoch, revision, ...parts })
  }

  halt(fence = this.get()): PlanAnswer {
    const { id, epoch, revision } = fence
    return this.apply({ kind: 'halt', plan: id, epoch, revision, reason: 'errors' })
  }

  operate(action: (typeof planActions)[number], plan = 'p'): PlanAnswer {
    return this.apply({ kind: 'operate', plan, action, by: 'operator' })
  }
}

const refusalOf = (answer: PlanAnswer) => (answer.kind === 'refused' ? answer.refusal : null)
const whole = stepPhases.slice(1)

t.test('a plan goes through all phases of each node and is finished', async (t) => {
  const plans = new Plans()
  plans.start([a, b])
  plans.claim(a, 3)
  for (const node of [b, a])
    for (const to of whole) t.equal(plans.advance(node, to).kind, 'accepted')
  t.match(plans.get(), { status: 'finished', owner: a, epoch: 3, revision: 2 + 2 * whole.length })
  t.equal(refusalOf(plans.advance(a, 'routing')), 'step')
})

t.test('a second plan is refused while one is active or has a node out', async (t) => {
  const plans = new Plans()
  plans.start([a, b])
  t.equal(refusalOf(plans.start([c], 'q')), 'otherPlan')
  t.equal(plans.start([a, b]).kind, 'accepted', 'the same one again is no other one')
  plans.claim(a, 1)
  plans.advance(b, 'routing')
  plans.operate('abort')
  t.equal(refusalOf(plans.start([c], 'q')), 'otherPlan', 'b is still out')
  t.equal(plans.advance(b, 'pending').kind, 'accepted')
  t.equal(plans.start([c], 'q').kind, 'accepted')
})

t.test('a plan has nodes, not too many, each once', async (t) => {
  const plans = new Plans()
  t.equal(refusalOf(plans.start([])), 'nodes')
  t.equal(refusalOf(plans.start([a, a])), 'nodes')
  const many = Array.from({ length: restartNodesMax + 1 }, (_, i) => `n${i}` as NodeId)
  t.equal(refusalOf(plans.start(many)), 'nodes')
  t.equal(plans.start(many.slice(1)).kind, 'accepted')
})

t.test('of two owners the later one alone moves the plan', async (t) => {
  const plans = new Plans()
  plans.start([a, b, c])
  plans.claim(a, 1)
  const asA = plans.get()
  plans.claim(b, 2)
  t.equal(refusalOf(plans.advance(c, 'routing', asA)), 'fenced')
  t.equal(refusalOf(plans.halt(asA)), 'fenced')
  t.equal(refusalOf(plans.claim(a, 1)), 'fenced', 'an epoch never goes back')
  t.equal(refusalOf(plans.claim(a, 2)), 'fenced', 'an epoch has one owner')
  t.equal(plans.claim(b, 2).kind, 'accepted')
  const asB = plans.get()
  t.equal(plans.advance(c, 'routing', asB).kind, 'accepted')
  t.equal(refusalOf(plans.advance(c, 'leaders', asB)), 'fenced', 'it has moved since')
})

t.test('no second node goes out', async (t) => {
  const plans = new Plans()
  plans.start([a, b])
  plans.claim(c, 1)
  for (const to of whole.slice(0, -1)) {
    plans.advance(a, to)
    t.equal(refusalOf(plans.advance(b, 'routing')), 'step', `while a is in ${to}`)
  }
  plans.advance(a, 'done')
  t.equal(plans.advance(b, 'routing').kind, 'accepted')
})

t.test('each status lets go on what it should', async (t) => {
  const at = (action: 'pause' | 'abort' | 'halt') => {
    const plans = new Plans()
    plans.start([a, b])
    plans.claim(c, 1)
    plans.advance(a, 'routing')
    if (action === 'halt') plans.halt()
    else plans.operate(action)
    return plans
  }
  t.equal(at('pause').advance(a, 'leaders').kind, 'accepted', 'who is out is brought to its end')
  t.equal(refusalOf(at('pause').advance(a, 'pending')), 'status')
  const paused = at('pause')
  for (const to of whole.slice(1)) paused.advance(a, to)
  t.equal(refusalOf(paused.advance(b, 'routing')), 'status', 'no further one begins')
  t.equal(refusalOf(at('halt').advance(a, 'leaders')), 'status')
  t.equal(at('halt').advance(a, 'pending').kind, 'accepted')
  t.equal(refusalOf(at('halt').halt()), 'status')
  const resumed = at('halt')
  t.equal(resumed.operate('resume').kind, 'accepted')
  t.equal(resumed.advance(a, 'leaders').kind, 'accepted')
  const aborted = at('abort')
  t.equal(refusalOf(aborted.operate('resume')), 'status', 'for good')
  for (const to of whole.slice(1)) t.equal(aborted.advance(a, to).kind, 'accepted')
  t.equal(refusalOf(aborted.advance(b, 'routing')), 'status')
  t.equal(aborted.get().status, 'aborted')
})

t.test('what is kept is bounded', async (t) => {
  const plans = new Plans()
  for (let i = 0; i < 2 * plansKeptMax; i++) {
    plans.start([a], `p${i}`)
    plans.operate('abort', `p${i}`)
  }
  t.equal(plans.state.plans.length, plansKeptMax)
  t.equal(plans.state.plans.at(-1)?.id, `p${2 * plansKeptMax - 1}`)
  plans.start([a])
  for (let i = 0; i < planHistoryMax; i++) plans.operate(i % 2 === 0 ? 'pause' : 'resume')
  t.equal(plans.get().history.length, planHistoryMax)
  t.equal(plans.get().history.at(-1)?.revision, plans.get().revision)
})

/** Any change, sound or not, aimed at a plan that there is. */
const anyChange = fc.record({
  kind: fc.constantFrom('start', 'claim', 'advance', 'advance', 'advance', 'halt', 'operate'),
  plan: fc.constantFrom('p', 'q'),
  node: fc.constantFrom(a, b, c),
  to: fc.nat(8),
  follows: fc.boolean(),
  isStale: fc.integer({ min: 0, max: 5 }).map((one) => one === 0),
  epoch: fc.nat(6),
  action: fc.constantFrom(...planActions)
})
type AnyChange = typeof anyChange extends fc.Arbitrary<infer T> ? T : never

function changeOf(drawn: AnyChange, state: RestartPlans): PlanChange {
  const { plan, node, epoch, action } = drawn
  const known = state.plans.find(({ id }) => id === plan)
  const fence = drawn.isStale
    ? { epoch: epoch as Term, revision: epoch }
    : { epoch: known?.epoch ?? (0 as Term), revision: known?.revision ?? 0 }
  switch (drawn.kind) {
    case 'start':
      return { kind: 'start', plan, nodes: [a, b, c], options: restartDefaults, by: 'x' }
    case 'claim':
      return { kind: 'claim', plan, owner: node, epoch: epoch as Term }
    case 'halt':
      return { kind: 'halt', plan, ...fence, reason: 'x' }
    case 'operate':
      return { kind: 'operate', plan, action, by: 'x' }
    default: {
      const step = known?.steps.find((one) => one.node === node)
      const next = step === undefined ? [] : successors[step.phase]
      const to =
        (drawn.follows ? next[drawn.to % Math.max(1, next.length)] : stepPhases[drawn.to]) ?? 'done'
      return { kind: 'advance', plan, ...fence, node, to, boot: 'b', report: emptyReport, why: '' }
    }
  }
}

t.test('whatever is proposed, the invariants of plans hold, and bytes keep them', async (t) => {
  fc.assert(
    fc.property(fc.array(anyChange, { minLength: 20, maxLength: 200 }), (changes) => {
      const plans = new Plans()
      for (const drawn of changes) {
        const before = plans.state
        const change = again(restartsSection.change, changeOf(drawn, before))
        const answer = plans.apply(change)
        t.same(again(restartsSection.answer, answer), answer)
        check(t, before, plans.state, { change, answer })
      }
      t.same(again(restartsSection.state, plans.state), plans.state)
    }),
    { numRuns: 100 }
  )
})

function check(
  t: Test,
  before: RestartPlans,
  after: RestartPlans,
  { change, answer }: { change: PlanChange; answer: PlanAnswer }
): void {
  if (answer.kind === 'refused') t.equal(after, before, 'a refusal changes nothing')
  t.ok(after.plans.filter(isActive).length <= 1, 'one active plan')
  t.ok(after.plans.flatMap(({ steps }) => steps).filter(isOut).length <= 1, 'one node out')
  const known = before.plans.find(({ id }) => id === change.plan)
  const now = after.plans.find(({ id }) => id === change.plan)
  if (known === undefined || now === undefined || known === now) return
  t.equal(now.revision, known.revision + 1)
  t.ok(now.epoch >= known.epoch, 'epochs rise')
  t.ok(now.epoch > known.epoch || now.owner === known.owner, 'an epoch has one owner')
  if (change.kind === 'advance' || change.kind === 'halt') {
    t.same([change.epoch, change.revision], [known.epoch, known.revision], 'fenced')
  }
  t.ok(planStatuses.includes(now.status))
}

function again<T>(codec: Codec<T>, value: T): T {
  const writer = new ByteWriter(1 << 20)
  codec.write(writer, value)
  const reader = new ByteReader(writer.take())
  const read = codec.read(reader)
  reader.expectEnd()
  return read
}

t.test('the largest state fits into a message', async (t) => {
  const plans = new Plans()
  const many = Array.from(
    { length: restartNodesMax },
    (_, i) => `n${String(i).padStart(62, 'x')}` as NodeId
  )
  for (let i = 0; i < plansKeptMax; i++) {
    const plan = `${i}`.padEnd(64, 'p')
    plans.start(many, plan)
    plans.claim(many[0] as NodeId, 1, plan)
    for (let k = 0; k < planHistoryMax; k++) {
      const { epoch, revision } = plans.get(plan)
      const reason = cutReason('\u{1f9a2}'.repeat(1_000))
      plans.apply({ kind: 'halt', plan, epoch, revision, reason })
      plans.operate('resume', plan)
    }
    plans.operate('abort', plan)
  }
  const writer = new ByteWriter(1 << 24)
  restartsSection.state.write(writer, plans.state)
  t.ok(writer.length < messageSizeBytesMax - 1_024, `${writer.length} bytes`)
  t.same(again(restartsSection.state, plans.state), plans.state)
})
