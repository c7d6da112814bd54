import t from 'tap'
import {
  type Member,
  type NodeId,
  SplittableRandom,
  type Term,
  type WallMs
} from '../../../src/core/index.js'
import { NodeObservations } from '../../../src/routing/node-observations.js'
import { newer, type Placement, PlacementTable } from '../../../src/routing/placement-table.js'
import { type RouteQuestion, Router } from '../../../src/routing/router.js'
import { memberOf, nodeIds } from './fake-cluster.js'

const [a, b, c] = nodeIds('a', 'b', 'c') as [NodeId, NodeId, NodeId]
const placement: Placement = {
  group: 0 as Placement['group'],
  term: 3 as Term,
  leader: a,
  voters: [a, b, c]
}

function routerOf(observations = new NodeObservations()): Router {
  return new Router(
    { observations, random: SplittableRandom.fromSeed(1) },
    { nodeId: b, datacenter: 'd1', rack: 'r1', strategy: 'adaptive', explainedDecisionsMax: 3 }
  )
}

const members = (...changes: (Partial<Member> & { nodeId: NodeId })[]): Member[] =>
  changes.map((change) => memberOf(change.nodeId, { datacenter: 'd1', rack: 'r1', ...change }))

const question = (changes: Partial<RouteQuestion> = {}): RouteQuestion => ({
  group: placement.group,
  kind: 'read',
  consistency: 'linearizable',
  members: members({ nodeId: a }, { nodeId: b }, { nodeId: c }),
  placement,
  hasReplica: true,
  avoid: new Set(),
  wallNow: 5 as WallMs,
  ...changes
})

const exclusions = (router: Router, asked: RouteQuestion) =>
  Object.fromEntries(
    router.explain(asked).candidates.map(({ node, exclusion }) => [node, exclusion])
  )

t.test('writes and leader reads go to the leader that Raft names', async (t) => {
  const router = routerOf()
  for (const changes of [{ kind: 'write' }, { consistency: 'leader' }] as const) {
    t.match(router.decide(question(changes)), { decision: { node: 'a', reason: /leader/ } })
  }
  const suspected = members({ nodeId: a, liveness: 'dead' }, { nodeId: b }, { nodeId: c })
  t.equal(router.decide(question({ kind: 'write', members: suspected })).decision?.node, a)
  const unknown = question({ kind: 'write', placement: { ...placement, leader: null } })
  t.match(router.decide(unknown), { decision: null, refusal: /no leader of group 0/ })
  t.same(exclusions(router, question({ kind: 'write' })), {
    a: null,
    b: 'not the leader (a is)',
    c: 'not the leader (a is)'
  })
})

t.test('a leader that is no member cannot be reached', async (t) => {
  const router = routerOf()
  const asked = question({ kind: 'write', members: members({ nodeId: b }) })
  t.equal(router.decide(asked).decision, null)
  t.equal(exclusions(router, asked).a, 'not a member')
})

t.test('exclusions have names', async (t) => {
  const asked = (change: Partial<Member>) =>
    question({ members: members({ nodeId: a, ...change }, { nodeId: b }, { nodeId: c }) })
  for (const [change, exclusion] of [
    [{ liveness: 'dead' }, 'dead'],
    [{ liveness: 'suspect' }, 'suspected'],
    [{ health: 'degraded' }, 'degraded'],
    [{ health: 'shuttingDown' }, 'shutting down'],
    [{ lifecycle: 'joining' }, 'still joining'],
    [{ lifecycle: 'draining' }, 'draining'],
    [{ lifecycle: 'leaving' }, 'leaving'],
    [{ lifecycle: 'left' }, 'left']
  ] as const) {
    t.equal(exclusions(routerOf(), asked(change)).a, exclusion)
  }
  const stranger = question({ members: [...question().members, memberOf('z' as NodeId)] })
  t.equal(exclusions(routerOf(), stranger).z, 'no replica of the group')
})

t.test('second choices are taken when there is no first', async (t) => {
  const router = routerOf()
  const weak = members(
    { nodeId: a, liveness: 'suspect' },
    { nodeId: b, lifecycle: 'draining' },
    { nodeId: c, liveness: 'dead' }
  )
  t.equal(router.decide(question({ members: weak })).decision?.node, a)
  const failed = new Set([a, b])
  t.equal(router.decide(question({ avoid: failed })).decision?.node, c)
  t.ok(router.decide(question({ avoid: new Set([a, b, c]) })).decision, 'rather again than never')
  const dead = members({ nodeId: a, liveness: 'dead' }, { nodeId: b }, { nodeId: c })
  const allFailed = question({ members: dead, avoid: new Set([a, b, c]) })
  t.match(
    exclusions(router, allFailed),
    { a: 'dead', b: null, c: null },
    'not even the last choice'
  )
  const none = members({ nodeId: b, lifecycle: 'left' })
  t.match(router.decide(question({ members: none })).refusal, /no node can serve.*b left/)
})

t.test('a local read stays here where there is a replica', async (t) => {
  const router = routerOf()
  for (let i = 0; i < 20; i++) {
    t.equal(router.decide(question({ consistency: 'local' })).decision?.node, b)
  }
  const elsewhere = question({
    consistency: 'local',
    hasReplica: false,
    placement: { ...placement, voters: [a, c] }
  })
  t.not(router.decide(elsewhere).decision?.node, b)
})

t.test('what was observed moves the choice, and is shown', async (t) => {
  const observations = new NodeObservations()
  const router = routerOf(observations)
  observations.begin(b)
  observations.end(b, 80, 0.9)
  for (const node of [a, c]) {
    observations.begin(node)
    observations.end(node, node === a ? 1 : 9, 0.1)
  }
  const { decision, candidates } = router.decide(question())
  t.equal(decision?.node, a)
  const shown = candidates.find(({ node }) => node === b)
  t.match(
    shown?.factors.find(({ name }) => name.startsWith('latency')),
    { raw: 80, weight: 0.3 }
  )
  t.ok((shown?.score ?? 1) < (candidates.find(({ node }) => node === a)?.score ?? 0))
})

t.test('the last decisions are kept, up to the bound', async (t) => {
  const router = routerOf()
  for (let i = 0; i < 5; i++) router.decide(question({ wallNow: i as WallMs }))
  t.same(
    router.lastDecisions().map(({ decidedAt }) => decidedAt),
    [2, 3, 4]
  )
})

t.test('observations: a moving average, gauges, and an end', async (t) => {
  const observations = new NodeObservations()
  t.same(observations.of(a), { inFlight: 0, latencyMs: null, utilisation: null })
  observations.begin(a)
  observations.begin(a)
  observations.end(a, 10, 0.5)
  t.same(observations.of(a), { inFlight: 1, latencyMs: 10, utilisation: 0.5 })
  observations.end(a, 20, null)
  t.same(observations.of(a), { inFlight: 0, latencyMs: 12, utilisation: 0.5 })
  observations.begin(b)
  observations.retain(() => false)
  t.equal(observations.size, 1, 'what is in flight is not forgotten')
})

t.test('placement: later terms win, and a term has one leader', async (t) => {
  const at = (term: number, leader: NodeId | null, voters: NodeId[] = []): Placement => ({
    ...placement,
    term: term as Term,
    leader,
    voters
  })
  t.equal(newer(at(3, a), at(2, b)).leader, a)
  t.equal(newer(at(3, a), at(4, b)).leader, b)
  t.equal(newer(at(3, a), at(4, null)).leader, null)
  t.equal(newer(at(3, a), at(3, null)).leader, a)
  t.same(newer(at(3, a, [a, b]), at(4, b)).voters, [a, b])
  const table = new PlacementTable()
  table.learn([at(3, a, [a]), at(1, b)])
  t.match(table.of(placement.group), { term: 3, leader: 'a', voters: ['a'] })
})
