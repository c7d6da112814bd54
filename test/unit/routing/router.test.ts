import t from 'tap'
import {
  type Member,
  type MonotonicMs,
  type NodeId,
  SplittableRandom,
  type Term,
  unstatedCapacity,
  type WallMs
} from '../../../src/core/index.js'
import { failedSample, NodeObservations } from '../../../src/routing/node-observations.js'
import { NodeStandings } from '../../../src/routing/node-standings.js'
import { newer, type Placement, PlacementTable } from '../../../src/routing/placement-table.js'
import { type RouteQuestion, Router } from '../../../src/routing/router.js'
import { StrategyRegistry } from '../../../src/routing/strategies/registry.js'
import { config, memberOf, nodeIds } from './fake-cluster.js'

const [a, b, c] = nodeIds('a', 'b', 'c') as [NodeId, NodeId, NodeId]
const placement: Placement = {
  group: 0 as Placement['group'],
  term: 3 as Term,
  leader: a,
  voters: [a, b, c]
}

const { routing } = config
const registry = new StrategyRegistry(routing)
const random = () => SplittableRandom.fromSeed(1)

function worldOf(changes: Partial<typeof routing> = {}, strategy = 'adaptive') {
  const observations = new NodeObservations()
  const standings = new NodeStandings({ random: random() }, { ...routing, ...changes })
  standings.start(0)
  const router = new Router(
    { observations, standings, random: random(), strategy: registry.create(strategy) },
    { ...routing, ...changes, nodeId: b, datacenter: 'd1', rack: 'r1', explainedDecisionsMax: 3 }
  )
  return { observations, standings, router }
}

const routerOf = (): Router => worldOf().router

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
  now: 1_000 as MonotonicMs,
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
  const { observations, router } = worldOf()
  for (const [node, latencyMs, utilisation] of [
    [a, 1, 0.1],
    [b, 80, 0.9],
    [c, 9, 0.1]
  ] as const) {
    observations.of(node).begin()
    observations.of(node).end({ latencyMs, utilisation, queueDepth: 1 }, 990)
  }
  const { decision, candidates } = router.decide(question())
  t.equal(decision?.node, a)
  const shown = candidates.find(({ node }) => node === b)
  const latency = shown?.factors.find(({ name }) => name.startsWith('latency'))
  t.match(latency, { weight: 0.3, ageMs: 10 })
  t.equal(Math.round(latency?.raw ?? 0), 80)
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

t.test('observations: an average that forgets, a peak that does not at once, gauges', async (t) => {
  const observations = new NodeObservations()
  const load = observations.of(a)
  t.match(load, { inFlight: 0, latencyMs: Number.NaN, utilisation: Number.NaN })
  const answer = (latencyMs: number, now: number) => {
    load.begin()
    load.end({ latencyMs, utilisation: 0.5, queueDepth: 3 }, now)
  }
  load.begin()
  answer(10, 100)
  t.match(load, { inFlight: 1, latencyMs: 10, peakLatencyMs: 10, answeredAt: 100, queueDepth: 3 })
  answer(20, 100)
  t.equal(load.latencyMs, 15, 'answers of one moment count alike')
  t.equal(load.peakLatencyMs, 20)
  answer(10, 10_100)
  t.ok(Math.abs(load.latencyMs - 10) < 0.01, 'ten seconds later the old ones are forgotten')
  t.ok(load.peakLatencyMs < 10.01)
  load.end(failedSample, 10_200)
  t.match(load, { inFlight: 0, answeredAt: 10_100 }, 'a failure says nothing about speed')
  observations.of(b).begin()
  observations.retain(() => false)
  t.equal(observations.size, 1, 'what is in flight is not forgotten')
})

t.test('a verdict makes a node a last resort, for reads only', async (t) => {
  const { router, standings } = worldOf({ panicShare: 0 })
  const verdict = {
    nodeId: a,
    status: 'degraded',
    quality: 0.2,
    diagnosis: 'networkSlow',
    since: 0 as MonotonicMs,
    reason: 'slow'
  } as const
  standings.handleVerdict(verdict)
  t.equal(exclusions(router, question()).a, 'degraded by health checks: slow')
  t.equal(router.choose(question({ kind: 'write' })), a, 'the leader leads')
  t.equal(router.choose(question({ avoid: new Set([b, c]) })), a, 'rather than one that failed')
  standings.handleVerdict({ ...verdict, status: 'unreachable', reason: 'silent' })
  t.equal(exclusions(router, question()).a, 'does not answer health checks: silent')
  standings.handleVerdict({ ...verdict, status: 'healthy' })
  t.equal(exclusions(router, question()).a, null)
  standings.handleVerdict({ ...verdict, nodeId: b })
  t.equal(exclusions(router, question()).b, null, 'of itself a node has no verdict')
})

t.test('a node is ejected after errors, comes back, and is given work gradually', async (t) => {
  const { router, standings } = worldOf({}, 'round-robin')
  router.choose(question())
  for (let i = 0; i < 5; i++) standings.handleResult(c, 'fault', 1_000)
  t.match(standings.takeEvents(), [{ type: 'NodeEjected', nodeId: 'c', reason: /^5 errors/ }])
  t.match(exclusions(router, question()).c, /^ejected for \d+ ms more: 5 errors in a row/)
  const share = (now: number, draws = 400): number => {
    let count = 0
    for (let i = 0; i < draws; i++) {
      if (router.choose(question({ now: now as MonotonicMs })) === c) count++
    }
    return count / draws
  }
  t.equal(share(2_000), 0)
  const first = share(7_000)
  t.same(standings.takeEvents(), [{ type: 'NodeReturned', nodeId: 'c' }])
  t.ok(first > 0 && first < 0.1, `${first} at the beginning`)
  const half = share(12_000)
  t.ok(half > 0.12 && half < 0.25, `${half} half-way`)
  const whole = share(17_000)
  t.ok(Math.abs(whole - 1 / 3) < 0.01, `${whole} afterwards`)
  t.match(
    router.lastDecisions().flatMap(({ notes }) => notes),
    []
  )
})

t.test('panic: health is ignored when too few are well, and said so', async (t) => {
  const { router } = worldOf()
  const weak = members(
    { nodeId: a, health: 'degraded' },
    { nodeId: b, health: 'degraded' },
    { nodeId: c }
  )
  const asked = question({ members: weak })
  const { candidates, notes } = router.explain(asked)
  t.ok(candidates.every(({ eligible }) => eligible))
  t.match(notes, [/^health is ignored: 2 of 3 are unwell, which leaves less than 50 %$/])
  const one = question({
    members: members({ nodeId: a, health: 'degraded' }, { nodeId: b }, { nodeId: c })
  })
  t.same(exclusions(router, one), { a: 'degraded', b: null, c: null })
})

t.test('replicas that lag or have not applied an index are passed over', async (t) => {
  const { router, standings } = worldOf({ lagEntriesMax: 10 })
  standings.handleApplied(b, 100, 900)
  standings.handleApplied(c, 80, 950)
  const elsewhere = { consistency: 'local', hasReplica: false } as const
  t.equal(exclusions(router, question(elsewhere)).c, 'lags 20 entries, at most 10')
  t.equal(exclusions(router, question()).c, null, 'others wait for their index')
  t.equal(
    exclusions(router, question({ atLeastIndex: 90 })).c,
    'has applied 80, 90 is needed',
    'read your writes'
  )
  const later = question({ ...elsewhere, now: 7_000 as MonotonicMs })
  t.equal(exclusions(router, later).c, null, 'what was told long ago counts no more')
  const only = question({ ...elsewhere, avoid: new Set([a, b]) })
  t.equal(router.choose(only), c, 'rather stale than not at all')
})

t.test('explained later as decided then', async (t) => {
  const { observations, router } = worldOf()
  const first = router.explain(question())
  observations.of(a).begin()
  observations.of(a).end({ latencyMs: 50, utilisation: 1, queueDepth: 9 }, 1_000)
  t.same(router.decisionOf(first.id), first)
  for (let i = 0; i < 3; i++) router.choose(question())
  t.equal(router.decisionOf(first.id), null, 'beyond the bound it is forgotten')
  t.equal(router.decisionOf(99), null)
  const latest = router.lastDecisions().at(-1)
  const told = latest?.candidates.find(({ node }) => node === a)?.factors
  t.match(told, [{ raw: 50 }, { raw: 50, ageMs: 0 }, { raw: 1, normalized: 0 }, { raw: 0.75 }])
})

t.test('weights: configured, told by the member, or one', async (t) => {
  const { router } = worldOf({ weights: { a: 3 } }, 'weighted-round-robin')
  const told = members(
    { nodeId: a, capacity: { ...unstatedCapacity, weight: 900 } },
    { nodeId: b, capacity: { ...unstatedCapacity, weight: 200 } },
    { nodeId: c }
  )
  const counts: Record<string, number> = { a: 0, b: 0, c: 0 }
  for (let i = 0; i < 60; i++) {
    const node = router.choose(question({ members: told })) ?? ''
    counts[node] = (counts[node] ?? 0) + 1
  }
  t.same(counts, { a: 30, b: 20, c: 10 })
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
