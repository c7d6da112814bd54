import t from 'tap'
import type { GroupId, LogIndex, NodeId, Term } from '../../../src/core/ids.js'
import { Lifecycles, Livenesses, type Member } from '../../../src/core/member.js'
import {
  clusterSight,
  type NodeStatus,
  type ReplicaStatus
} from '../../../src/failover/rolling-restart/cluster-view.js'
import {
  resolveRestartOptions,
  restartDefaults
} from '../../../src/failover/rolling-restart/restart-options.js'
import {
  absenceFaults,
  returnFaults,
  serviceFault,
  stepFaults
} from '../../../src/failover/rolling-restart/step-checks.js'
import { node, sightOf } from './sights.js'

const three = { a: { leads: [0] }, b: {}, c: {} }

t.test('a healthy cluster can do without any one of three', async (t) => {
  for (const name of ['a', 'b', 'c']) t.same(stepFaults(node(name), sightOf(three)), [])
})

t.test('each thing that stands in the way is told', async (t) => {
  const told = (c: Parameters<typeof sightOf>[0][string], behind = {}) =>
    stepFaults(node('b'), sightOf({ ...three, c }, { behind })).join('; ')
  t.match(told({ alive: false }), /c is not alive/)
  t.match(told({ status: null }), /c does not answer/)
  t.match(told({ verdict: 'degraded' }), /c is degraded/)
  t.match(told({ status: { ready: false } }), /c is not ready/)
  t.match(told({ status: { lifecycle: Lifecycles.Draining } }), /c is draining/)
  t.match(told({ alive: false }), /group 0 would have no majority without b/)
  t.match(told({}, { 0: ['c'] }), /c is behind in group 0/)
  t.match(told({}, { 0: ['c'] }), /group 0 would have no majority without b/)
  t.match(stepFaults(node('x'), sightOf(three)), [/x is no member/])
  t.match(
    absenceFaults(node('b'), {
      ...sightOf(three),
      groups: sightOf(three).groups.map((group) => ({ ...group, leader: null }))
    }),
    [/group 0 has no leader/]
  )
})

t.test(
  'what it lacks itself does not keep a node from going, and does from coming back',
  async (t) => {
    const sight = sightOf(three, { behind: { 0: ['b'] } })
    t.same(absenceFaults(node('b'), sight), [])
    t.match(returnFaults(node('b'), sight), [/b is behind in group 0/])
    t.same(returnFaults(node('c'), sight), [])
  }
)

t.test('a node that has left is nobody to wait for', async (t) => {
  const left = { alive: false, status: { lifecycle: Lifecycles.Left } }
  t.same(absenceFaults(node('b'), sightOf({ ...three, d: left, e: {} })), [])
})

t.test('a plan halts above its error rate or its slowest hundredth', async (t) => {
  const limits = { errorRateMax: 0.01, p99MsMax: 100 }
  t.equal(serviceFault({ errorRate: 0.01, p99Ms: 100 }, limits), null)
  t.equal(serviceFault({ errorRate: null, p99Ms: null }, limits), null)
  t.match(serviceFault({ errorRate: 0.02, p99Ms: 1 }, limits), /2.00 % of the queries fail, 1.00 %/)
  t.match(serviceFault({ errorRate: 0, p99Ms: 101 }, limits), /101 ms, 100 ms are allowed/)
  t.equal(serviceFault({ errorRate: 1, p99Ms: 1e9 }, { errorRateMax: null, p99MsMax: null }), null)
})

t.test('options are checked all at once', async (t) => {
  t.same(resolveRestartOptions(), restartDefaults)
  const wrong = { delayMs: -1, errorRateMax: 2, failureDomain: 'row' as 'rack' }
  t.throws(() => resolveRestartOptions(wrong), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT',
    details: { field: 'delayMs', faults: [/delayMs/, /errorRateMax/, /failureDomain/] }
  })
})

const member = (nodeId: string, rack: string): Member => ({
  nodeId: node(nodeId),
  address: 'localhost:1',
  incarnation: 1 as Member['incarnation'],
  liveness: Livenesses.Alive,
  lifecycle: Lifecycles.Up,
  health: 'healthy',
  datacenter: 'dc',
  rack,
  metadata: {},
  capacity: { cpus: 0, memoryBytes: 0, connections: 0, weight: 100 },
  tags: [],
  lastSeen: 0 as Member['lastSeen']
})

const replica = (role: 'leader' | 'follower', term: number, applied: number): ReplicaStatus => ({
  group: 7 as GroupId,
  role,
  term: term as Term,
  leader: null,
  voters: ['a', 'b', 'c'].map(node),
  votersOutgoing: [],
  commitIndex: applied as LogIndex,
  appliedIndex: applied as LogIndex,
  failed: false,
  active: ['a', 'b', 'c'].map(node)
})

t.test('a group is as its leader of the highest term tells it', async (t) => {
  const base = sightOf({ a: {} }).nodes[0]?.status as NodeStatus
  const sightFrom = (replicas: Readonly<Record<string, ReplicaStatus>>) =>
    clusterSight({
      members: [member('c', 'r'), member('b', 'r'), member('a', 'q')],
      statusOf: (name: NodeId) => {
        const own = replicas[name]
        return own === undefined ? null : { ...base, groups: [own] }
      },
      verdictOn: () => 'unknown',
      serviceLevel: { errorRate: null, p99Ms: null },
      failureDomain: 'rack',
      lagEntriesMax: 10
    })
  const [a, b, c] = [
    replica('leader', 4, 50),
    replica('leader', 5, 100),
    replica('follower', 5, 91)
  ]
  const sight = sightFrom({ a, b, c })
  t.same(
    sight.nodes.map(({ node, domain }) => `${node} ${domain}`),
    ['a dc/q', 'b dc/r', 'c dc/r']
  )
  t.match(sight.groups, [{ group: 7, leader: 'b', commitIndex: 100, behind: ['a'] }])
  t.match(sightFrom({ b, c }).groups[0]?.behind, ['a'], 'who says nothing is behind')
  const deaf = { ...b, active: [node('b'), node('a')] }
  t.same(sightFrom({ a: { ...a, appliedIndex: 95 as LogIndex }, b: deaf, c }).groups[0]?.behind, [
    'c'
  ])
  t.same(sightFrom({ b, c: { ...c, failed: true } }).groups[0]?.behind, ['a', 'c'])
  t.equal(sightFrom({ c }).groups[0]?.leader, null)
})
