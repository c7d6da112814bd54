import t from 'tap'
import { CONTROL_GROUP, type GroupId, type NodeId, type Term } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import {
  failoverCause,
  isCauseClear,
  wasHandedOver
} from '../../../src/failover/coordinator/failover-causes.js'
import {
  cutSentence,
  type FailoverFacts,
  type FailoversChange,
  failoversKeptMax,
  failoversSection,
  failoverTextLengthMax
} from '../../../src/failover/coordinator/failovers-section.js'
import { RestartWorld } from '../../support/restart/restart-world.js'
import { node, sightOf } from './sights.js'

const elected = (term: number, by = 'b'): FailoverFacts => ({
  group: 0 as GroupId,
  term: term as Term,
  reason: 'elected',
  from: node('a'),
  to: node('b'),
  why: 'a is not alive',
  action: `its voters elected b in term ${term}`,
  options: [],
  by: node(by)
})

const at = (now: number) => ({ index: 1, now }) as Parameters<typeof failoversSection.apply>[2]

function applied(changes: readonly FailoversChange[]) {
  let state = failoversSection.initial()
  const answers = changes.map((change, i) => {
    const outcome = failoversSection.apply(state, change, at(i))
    state = outcome.state
    return outcome.answer
  })
  return { state, answers }
}

t.test('what two coordinators saw is recorded once', async (t) => {
  const { state, answers } = applied([
    { kind: 'record', failover: elected(4, 'b') },
    { kind: 'record', failover: elected(4, 'c') },
    { kind: 'record', failover: elected(5) }
  ])
  t.same(
    answers.map(({ id, isNew }) => [id, isNew]),
    [
      [1, true],
      [1, false],
      [2, true]
    ]
  )
  t.match(state, {
    count: 2,
    failovers: [
      { id: 1, at: 0, by: 'b' },
      { id: 2, at: 2 }
    ]
  })
})

t.test('a pause is the cluster’s until it is resumed', async (t) => {
  const { answers } = applied([
    { kind: 'pause', by: 'ann' },
    { kind: 'record', failover: elected(4) },
    { kind: 'resume' }
  ])
  t.same(
    answers.map(({ pausedBy }) => pausedBy),
    ['ann', 'ann', null]
  )
})

t.test('at the bound the oldest is forgotten, and numbers go on', async (t) => {
  const changes = Array.from(
    { length: failoversKeptMax + 3 },
    (_, i): FailoversChange => ({ kind: 'record', failover: elected(i + 1) })
  )
  const { state } = applied(changes)
  t.equal(state.failovers.length, failoversKeptMax)
  t.equal(state.failovers[0]?.id, 4)
  t.equal(state.count, failoversKeptMax + 3)
})

t.test('sentences are cut between characters', async (t) => {
  t.equal(cutSentence('short'), 'short')
  const cut = cutSentence('😀'.repeat(200))
  t.equal([...cut].length, failoverTextLengthMax)
  t.equal([...cut].at(-1), '😀')
})

t.test('a cause is what can be seen of the former leader', async (t) => {
  const cause = (view: Parameters<typeof sightOf>[0][string], boot: string | null = null) =>
    failoverCause({ node: node('a'), boot }, sightOf({ a: view, b: {} }))
  t.match(cause({ alive: false }), 'a is not alive')
  t.match(cause({ verdict: 'degraded' }), 'a is degraded')
  t.match(cause({}, 'another'), 'a new process of a is there')
  t.match(cause({}), /a answers: it handed over/)
  const known = (handedOver: boolean) =>
    failoverCause({ node: node('a'), boot: null }, sightOf({ a: {}, b: {} }), handedOver)
  t.equal(known(true), 'a answers')
  t.equal(known(false), 'a answers: it was out of reach for a while')
  t.match(failoverCause({ node: node('z'), boot: null }, sightOf({ b: {} })), 'z has left')
  const isClear = (view: Parameters<typeof sightOf>[0][string]) =>
    isCauseClear({ node: node('a'), boot: null }, sightOf({ a: view, b: {} }))
  t.ok(isClear({ alive: false }))
  t.notOk(isClear({}), 'it may be noticed yet')
})

const policy = { degradedForMs: 3_000, stableForMs: 5_000, gapMs: 10_000, spreadGapMs: 0 }

t.test('the loss of the coordinator itself is recorded by the next one', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  const world = new RestartWorld({ nodes: 5, random, failover: policy })
  await world.clock.advance(5_000)
  const lost = world.control.group.leader as NodeId
  const led = world.groups.filter(({ leader }) => leader === lost).map(({ group }) => group)
  world.kill(lost, 60_000)
  await world.clock.advance(30_000)
  const recorded = world.control.failovers.failovers.filter(({ from }) => from === lost)
  t.same(new Set(recorded.map(({ group }) => group)), new Set(led))
  t.equal(recorded.length, led.length, 'each once')
  t.ok(led.includes(CONTROL_GROUP))
  for (const { reason, why, by } of recorded) {
    t.equal(reason, 'elected')
    t.match(why, new RegExp(`^${lost} (is not alive|does not answer)`))
    t.not(by, lost)
  }
  world.stop()
})

t.test('whether a leadership was handed over is for its new leader to tell', async (t) => {
  const asked = { group: 0 as GroupId, term: 1 as Term, to: node('b') }
  const sight = (handedOver?: readonly GroupId[]) =>
    sightOf({ a: {}, b: { leads: [0], status: { handedOver } } })
  t.equal(wasHandedOver(asked, sight([0 as GroupId])), true)
  t.equal(wasHandedOver(asked, sight([1 as GroupId])), false)
  t.equal(wasHandedOver(asked, sight()), null, 'an older node does not tell')
  const later = { ...asked, term: 2 as Term }
  t.equal(wasHandedOver(later, sight([0 as GroupId])), null, 'it leads another term')
  const other = { ...asked, to: node('a') }
  t.equal(wasHandedOver(other, sight([0 as GroupId])), null, 'it leads no more')
})

t.test('a planned hand-over is recorded as one, and no election', async (t) => {
  const world = new RestartWorld({
    nodes: 5,
    groups: 1,
    random: SplittableRandom.fromSeed(4),
    failover: policy
  })
  await world.clock.advance(5_000)
  const [group] = world.groups
  const from = group?.leader as NodeId
  const target = node(from === 'n3' ? 'n4' : 'n3')
  await world.clock.settle(world.operations(from).switchover({ group: 0 as GroupId, target }))
  await world.clock.advance(10_000)
  const recorded = world.control.failovers.failovers.filter((one) => one.group === 0)
  t.match(recorded, [
    { reason: 'transferred', from, to: target, why: new RegExp(`^${from} answers; term`) }
  ])
  t.match(recorded[0]?.action, `${from} handed over to ${target}`)
  world.stop()
})

t.test('nothing is moved while the cluster is paused; a move is recorded', async (t) => {
  const random = SplittableRandom.fromSeed(2)
  const world = new RestartWorld({ nodes: 5, groups: 1, random, failover: policy })
  const target = node('n3')
  const operations = world.operations(node('n2'))
  await world.clock.settle(operations.switchover({ group: 0 as GroupId, target }))
  world.control.commitFailover({ kind: 'pause', by: 'ann' })
  world.degrade(target, 600_000)
  await world.clock.advance(30_000)
  t.same(world.moved, [])
  world.control.commitFailover({ kind: 'resume' })
  await world.clock.advance(8_000)
  t.equal(world.moved.length, 1)
  const last = world.control.failovers.failovers.at(-1)
  t.match(last, { reason: 'degraded', from: 'n3', action: /^n3 was asked .*, and did$/ })
  t.ok((last?.options.length ?? 0) > 0)
  world.stop()
})
