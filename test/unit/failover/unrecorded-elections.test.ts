/** Elections are kept until a record has them, and no longer; and every one gets its record. */
import t from 'tap'
import { must } from '../../../src/core/assert.js'
import { CONTROL_GROUP, type GroupId, type MonotonicMs, type Term } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import type { FailoverFacts } from '../../../src/failover/coordinator/failovers-section.js'
import {
  type Election,
  moveDone,
  UnrecordedElections,
  unrecordedElectionsMax
} from '../../../src/failover/coordinator/unrecorded-elections.js'
import { RestartWorld } from '../../support/restart/restart-world.js'
import { node } from './sights.js'

const group = 0 as GroupId

const election = (term: number, given: Partial<Election> = {}): Election => ({
  group,
  term: term as Term,
  from: node('a'),
  ledTerm: (term - 1) as Term,
  to: node('b'),
  at: term as MonotonicMs,
  why: '',
  ...given
})

const recorded = (term: number, given: Partial<FailoverFacts> = {}): FailoverFacts => ({
  group,
  term: term as Term,
  reason: 'elected',
  from: node('a'),
  to: node('b'),
  why: '',
  action: '',
  options: [],
  by: node('c'),
  ...given
})

const kept = (elections: UnrecordedElections) => elections.all.map(({ term }) => term)

function noted(...terms: number[]): UnrecordedElections {
  const elections = new UnrecordedElections()
  for (const term of terms) elections.note(election(term))
  return elections
}

t.test('an election stays until a record tells of its group and term', async (t) => {
  const elections = noted(2, 3, 4)
  elections.note(election(3, { group: 1 as GroupId }))
  elections.settle([], null)
  t.same(kept(elections), [2, 3, 4, 3])
  elections.settle([recorded(3), recorded(2, { reason: 'transferred', from: null })], null)
  t.match(elections.all, [
    { group: 0, term: 4 },
    { group: 1, term: 3 }
  ])
  elections.forget(election(4))
  t.equal(elections.size, 1)
})

t.test(
  'a move that was asked for is the election of the next term, if it came about',
  async (t) => {
    const settled = (given: Partial<FailoverFacts>) => {
      const elections = noted(5)
      const action = `a was asked to hand over to b${moveDone}`
      elections.settle([recorded(4, { reason: 'degraded', action, ...given })], null)
      return elections.size === 0
    }
    t.ok(settled({}))
    t.notOk(settled({ action: 'a was asked to hand over to b: it does not answer' }))
    t.notOk(settled({ term: 3 as Term }))
    t.notOk(settled({ to: node('c') }))
    t.notOk(settled({ from: node('c') }))
    t.notOk(settled({ group: 1 as GroupId }))
  }
)

t.test('what is too old for the records that are kept is let go', async (t) => {
  const elections = noted(2, 3, 4)
  elections.settle([], 3 as MonotonicMs)
  t.same(kept(elections), [3, 4])
})

t.test('of two that tell of one term, who knows of the later leader stands', async (t) => {
  const elections = noted(5)
  elections.note(election(5, { from: null, at: 1 as MonotonicMs }))
  t.match(elections.all, [{ from: 'a', at: 5 }])
  elections.note(election(5, { from: node('d'), ledTerm: 3 as Term }))
  t.match(elections.all, [{ from: 'a', ledTerm: 4 }])
  const late = noted()
  late.note(election(5, { from: null, ledTerm: 4 as Term }))
  late.note(election(5, { from: node('d'), ledTerm: 3 as Term, at: 9 as MonotonicMs }))
  t.match(late.all, [{ from: 'd', at: 5 }], 'since it was noticed first')
})

t.test('at the bound the oldest goes', async (t) => {
  const elections = noted(...Array.from({ length: unrecordedElectionsMax + 2 }, (_, i) => i))
  t.equal(elections.size, unrecordedElectionsMax)
  t.equal(kept(elections)[0], 2)
})

const policy = { degradedForMs: 3_000, stableForMs: 5_000, gapMs: 10_000, spreadGapMs: 0 }

const worldOf = (nodes: number, seed = 3) =>
  new RestartWorld({ nodes, random: SplittableRandom.fromSeed(seed), failover: policy })

/** Of the leadership that a node had, in the order of the groups. */
const recordsFrom = ({ control }: RestartWorld, from: string) =>
  control.failovers.failovers.filter((one) => one.from === from).sort((a, b) => a.group - b.group)

t.test('a coordinator that goes and comes back records what it had noticed', async (t) => {
  const world = worldOf(3)
  await world.clock.advance(5_000)
  t.equal(world.control.group.leader, 'n1')
  const led = must(
    world.groups.find(({ leader }) => leader === 'n2'),
    'group'
  )
  world.kill(node('n2'), 60_000)
  await world.clock.until(() => led.leader === 'n3')
  await world.clock.advance(600)
  t.same(recordsFrom(world, 'n2'), [], 'it waits for what became of the former leader')
  await world.clock.settle(world.control.group.transfer(node('n1'), node('n3')))
  await world.clock.settle(world.control.group.transfer(node('n3'), node('n1')))
  await world.clock.advance(10_000)
  t.match(recordsFrom(world, 'n2'), [{ group: led.group, reason: 'elected', to: 'n3', by: 'n1' }])
  world.stop()
})

t.test('a coordinator that never heard of the former leader hears of it', async (t) => {
  const world = worldOf(3)
  await world.clock.advance(5_000)
  world.kill(node('n3'), 2_000)
  await world.clock.advance(2_100)
  for (const one of world.groups) one.setCandidacy(node('n2'), false)
  const led = world.groups.filter(({ leader }) => leader === 'n1').map(({ group }) => group)
  t.ok(led.includes(CONTROL_GROUP) && led.length > 1)
  world.kill(node('n1'), 60_000)
  await world.clock.advance(15_000)
  t.equal(world.control.group.leader, 'n3')
  const records = recordsFrom(world, 'n1')
  t.same(new Set(records.map((one) => one.group)), new Set(led))
  t.equal(records.length, led.length, 'each once')
  for (const { by, to } of records) t.same([by, to], ['n3', 'n3'])
  world.stop()
})

t.test('an election is recorded however long nobody leads the control group', async (t) => {
  const world = worldOf(5)
  await world.clock.advance(5_000)
  for (const id of ['n1', 'n4', 'n5']) world.kill(node(id), 120_000)
  const [led] = world.groups.filter((one) => one.group === group)
  await world.clock.until(() => led?.leader === 'n2')
  await world.clock.advance(100_000)
  t.equal(world.control.group.leader, null)
  t.same(recordsFrom(world, 'n1'), [])
  await world.clock.advance(40_000)
  t.match(recordsFrom(world, 'n1')[0], { group: 0, reason: 'elected', to: 'n2' })
  world.stop()
})

t.test('a move that was not recorded is tried again, and is no election', async (t) => {
  const world = worldOf(5, 2)
  await world.clock.advance(5_000)
  world.control.refuseFailovers(2)
  world.degrade(node('n2'), 600_000)
  await world.clock.advance(20_000)
  t.equal(world.moved.length, 1)
  const records = recordsFrom(world, 'n2')
  t.match(records, [{ reason: 'degraded', action: /, and did$/ }])
  t.equal(records.length, 1)
  await world.clock.settle(world.control.group.transfer(node('n1'), node('n3')))
  await world.clock.advance(20_000)
  t.equal(recordsFrom(world, 'n2').length, 1, 'nor does the next coordinator take it for one')
  world.stop()
})
