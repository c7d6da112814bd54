import fc from 'fast-check'
import t from 'tap'
import { must } from '../../../src/core/assert.js'
import type { FencingToken } from '../../../src/core/failover.js'
import type { GroupId, LogIndex, MonotonicMs, NodeId, Term } from '../../../src/core/ids.js'
import {
  FailoverCoordinator,
  type FailoverMove,
  failoverRecordsMax
} from '../../../src/failover/coordinator/failover-coordinator.js'
import {
  type FailoverPolicy,
  failoverDefaults
} from '../../../src/failover/coordinator/failover-policy.js'
import { compareTokens, FencingGate } from '../../../src/failover/coordinator/fencing-token.js'
import type { ClusterSight } from '../../../src/failover/rolling-restart/cluster-view.js'
import { moveFault } from '../../../src/failover/rolling-restart/leadership-moves.js'
import { node, type SightNode, sightOf } from './sights.js'

const ms = (at: number) => at as MonotonicMs
const told = (move: FailoverMove | null) =>
  move === null ? null : `${move.group}: ${move.from}→${move.target} (${move.reason})`

class World {
  readonly coordinator: FailoverCoordinator
  now = 0
  nodes: Record<string, SightNode>
  behind: Record<number, string[]> = {}
  isPlanned = false

  constructor(nodes: Record<string, SightNode>, policy: Partial<FailoverPolicy> = {}) {
    this.nodes = nodes
    this.coordinator = new FailoverCoordinator(node('a'), { ...failoverDefaults, ...policy })
  }

  get sight(): ClusterSight {
    return sightOf(this.nodes, { behind: this.behind })
  }

  look(): FailoverMove | null {
    return this.coordinator.next(this.sight, ms(this.now), this.isPlanned)
  }

  /** Looks every second; what is decided is done at once. */
  run(forMs: number): (string | null)[] {
    const moves: (string | null)[] = []
    for (let end = this.now + forMs; this.now < end; this.now += 1_000) {
      const move = this.look()
      if (move !== null) {
        moves.push(told(move))
        this.carryOut(move)
      }
    }
    return moves
  }

  carryOut(move: FailoverMove): void {
    const { group, from, target } = move
    this.coordinator.handleMoved(move, this.sight, ms(this.now))
    const of = (name: string) => this.nodes[name]?.leads ?? []
    this.nodes[from] = { ...this.nodes[from], leads: of(from).filter((one) => one !== group) }
    this.nodes[target] = { ...this.nodes[target], leads: [...of(target), group] }
    const change = { group, term: 2 as Term, leader: target }
    this.coordinator.handleLeaderChanged(change, ms(this.now))
  }

  set(name: string, change: SightNode): void {
    this.nodes[name] = { ...this.nodes[name], ...change }
  }
}

const five = () => ({ a: {}, b: { leads: [0, 1] }, c: {}, d: {}, e: {} })

t.test('a leader that stays degraded loses its groups, each to another node', async (t) => {
  const world = new World(five(), { spreadGapMs: 0 })
  t.same(world.run(30_000), [])
  world.set('b', { verdict: 'degraded' })
  t.same(world.run(9_000), [], 'it may pass')
  t.same(world.run(5_000), ['0: b→a (degraded)', '1: b→c (degraded)'])
  t.match(world.coordinator.explain(0 as GroupId), [
    { from: 'b', to: 'a', why: /ill for 10000 ms/, options: [{ node: 'a', fault: null }] }
  ])
})

t.test('an election that is heard of beside a move stays to be recorded', async (t) => {
  const world = new World(five(), { spreadGapMs: 0 })
  world.run(30_000)
  world.set('b', { verdict: 'degraded' })
  world.run(9_900)
  const { coordinator, sight } = world
  const move = must(coordinator.next(sight, ms(world.now + 2_000), false), 'move')
  const heard = { group: 1 as GroupId, term: 9 as Term, leader: node('d') }
  coordinator.handleLeaderChanged(heard, ms(world.now))
  const record = coordinator.handleMoved(move, sight, ms(world.now))
  t.match(record, { reason: 'degraded', group: move.group, to: move.target })
  t.match(coordinator.unrecorded.all, [{ group: 1, to: 'd' }])
  t.match(coordinator.explain().slice(-2), [{ reason: 'elected' }, { reason: 'degraded' }])
})

t.test('an election to where a move failed is one that nobody asked for', async (t) => {
  const world = new World(five(), { spreadGapMs: 0 })
  world.run(30_000)
  world.set('b', { verdict: 'degraded' })
  world.run(9_900)
  const { coordinator, sight } = world
  const move = must(coordinator.next(sight, ms(world.now + 2_000), false), 'move')
  coordinator.handleMoved(move, sight, ms(world.now))
  coordinator.handleMoveFailed(move)
  const { group, target: leader } = move
  coordinator.handleLeaderChanged({ group, term: 2 as Term, leader }, ms(world.now))
  t.match(coordinator.unrecorded.all, [{ group, term: 2, from: 'b', to: leader, ledTerm: 1 }])
})

t.test('what another node heard is an election too', async (t) => {
  const { coordinator } = new World(five())
  const [group, term, ledTerm] = [3 as GroupId, 7 as Term, 5 as Term]
  const told = { group, term, to: node('c'), from: node('e'), ledTerm, agoMs: 400 }
  coordinator.handleNoticed(told, ms(1_000))
  t.match(coordinator.unrecorded.all, [
    { group, term, from: 'e', to: 'c', at: 600, why: 'term 7: e led in term 5' }
  ])
})

t.test('a trouble that passes moves nothing', async (t) => {
  const world = new World(five(), { spreadGapMs: 0 })
  for (let i = 0; i < 5; i++) {
    world.set('b', { verdict: 'degraded' })
    t.same(world.run(8_000), [])
    world.set('b', { verdict: 'healthy' })
    t.same(world.run(2_000), [])
  }
})

t.test('one group is not moved twice within the gap', async (t) => {
  const world = new World({ a: {}, b: { leads: [0] }, c: {} }, { spreadGapMs: 0 })
  world.set('b', { verdict: 'degraded' })
  t.same(world.run(15_000), ['0: b→a (degraded)'])
  world.set('b', { verdict: 'healthy' })
  world.set('a', { verdict: 'degraded' })
  t.same(world.run(50_000), [], 'too soon')
  t.same(world.run(20_000), ['0: a→b (degraded)'])
})

t.test('R-E32 priority and lag decide who takes over, and who never does', async (t) => {
  const priorities = new Map([
    [node('c'), 0],
    [node('d'), 5],
    [node('e'), 5]
  ])
  const world = new World(five(), { spreadGapMs: 0, priorities })
  world.set('b', { verdict: 'unreachable', leads: [0] })
  world.behind = { 0: ['d'] }
  t.same(world.run(15_000), ['0: b→e (degraded)'])
  const options = world.coordinator.explain().at(-1)?.options ?? []
  t.match(
    options.find((one) => one.node === 'd'),
    { fault: /behind/, priority: 5 }
  )
  const lonely = new World({ a: {}, b: { leads: [0] }, c: {} }, { priorities, spreadGapMs: 0 })
  lonely.set('b', { verdict: 'degraded' })
  lonely.behind = { 0: ['a'] }
  t.same(lonely.run(60_000), [], 'nobody can')
})

t.test('when most look ill, it is the observer that is', async (t) => {
  const world = new World(five(), { spreadGapMs: 0 })
  for (const name of ['b', 'c', 'd']) world.set(name, { verdict: 'unreachable' })
  t.same(world.run(60_000), [])
})

t.test('paused, it moves nothing and sees everything', async (t) => {
  const world = new World(five(), { spreadGapMs: 0 })
  world.coordinator.pause('operator')
  world.set('b', { verdict: 'degraded' })
  t.same(world.run(60_000), [])
  const changed = (term: number, leader: string | null) =>
    world.coordinator.handleLeaderChanged(
      { group: 0 as GroupId, term: term as Term, leader: leader as NodeId | null },
      ms(world.now)
    )
  changed(1, 'b')
  changed(2, null)
  changed(3, 'c')
  changed(2, 'b')
  t.match(world.coordinator.explain(), [
    { reason: 'elected', from: 'b', to: 'c', why: /term 3: b led in term 1, ill for/ }
  ])
  world.coordinator.resume()
  t.equal(world.coordinator.pausedBy, null)
  t.match(world.run(2_000), ['1: b→a (degraded)'], 'group 0 has just changed')
})

t.test('leaderships are spread from where there are too many, and then it is quiet', async (t) => {
  const groups = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  const world = new World({ a: { leads: groups }, b: {}, c: {} })
  t.same(world.run(60_000), [], 'b and c have to be well for a while')
  const moves = world.run(120_000)
  t.equal(moves.length, 6)
  const counts = Object.values(world.nodes).map(({ leads = [] }) => leads.length)
  t.same(counts.sort(), [3, 3, 4])
  t.same(world.run(600_000), [])
})

t.test(
  'a small difference is let be, and nothing is spread during a rolling restart',
  async (t) => {
    const world = new World({ a: { leads: [0, 1, 2] }, b: { leads: [3] }, c: { leads: [4, 5] } })
    t.same(world.run(300_000), [])
    world.set('b', { leads: [] })
    world.set('c', { leads: [3, 4, 5] })
    world.isPlanned = true
    t.same(world.run(300_000), [])
    world.isPlanned = false
    t.ok(world.run(60_000).length > 0)
  }
)

t.test('records are bounded', async (t) => {
  const { coordinator } = new World(five())
  for (let i = 0; i < 2 * failoverRecordsMax; i++) {
    const leader = node(i % 2 === 0 ? 'a' : 'b')
    coordinator.handleLeaderChanged({ group: 0 as GroupId, term: i as Term, leader }, ms(i))
  }
  t.equal(coordinator.explain().length, failoverRecordsMax)
})

const health = fc.record({
  verdict: fc.constantFrom('healthy' as const, 'healthy' as const, 'degraded' as const),
  alive: fc.constantFrom(true, true, true, false)
})
const change = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  health,
  forMs: fc.nat(40)
})

t.test('whatever happens: only able targets, gaps kept, never back and forth', async (t) => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 5, maxLength: 25 }), (changes) => {
      const world = new World({
        a: { leads: [2, 3, 4] },
        b: { leads: [0, 1] },
        c: {},
        d: {},
        e: {}
      })
      const movedAt = new Map<GroupId, number>()
      for (const { name, health, forMs } of changes) {
        world.set(name, health)
        for (let i = 0; i < forMs; i++) {
          const move = world.look()
          if (move !== null) {
            const { group, target, from } = move
            t.equal(moveFault(group, target, world.sight), null)
            t.not(from, target)
            const before = movedAt.get(group) ?? Number.NEGATIVE_INFINITY
            t.ok(world.now - before >= failoverDefaults.gapMs, 'the gap')
            movedAt.set(group, world.now)
            world.carryOut(move)
          }
          world.now += 1_000
        }
      }
    }),
    { numRuns: 25 }
  )
})

const token = (term: number, index: number, group = 0): FencingToken => ({
  group: group as GroupId,
  term: term as Term,
  index: index as LogIndex
})

t.test('a gate admits by term, then index, group by group', async (t) => {
  const gate = new FencingGate()
  t.ok(gate.admit(token(2, 10)))
  t.ok(gate.admit(token(2, 10)))
  t.notOk(gate.admit(token(2, 9)))
  t.notOk(gate.admit(token(1, 99)))
  t.ok(gate.admit(token(3, 1)))
  t.ok(gate.admit(token(1, 1, 7)))
  t.ok(compareTokens(token(1, 2), token(2, 1)) < 0)
})
