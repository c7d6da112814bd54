import t from 'tap'
import { type HealthInputs, healthReportOf } from '../../../src/core/health-report.js'
import {
  CONTROL_GROUP,
  DEFAULT_GROUP,
  type GroupStatus,
  type Incarnation,
  type LogIndex,
  type Member,
  type MonotonicMs,
  type Term,
  toNodeId,
  unstatedCapacity
} from '../../../src/core/index.js'

const member = (id: string, change: Partial<Member> = {}): Member => ({
  nodeId: toNodeId(id),
  address: '127.0.0.1:1',
  incarnation: 1 as Incarnation,
  liveness: 'alive',
  lifecycle: 'up',
  health: 'healthy',
  datacenter: '',
  rack: '',
  metadata: {},
  capacity: unstatedCapacity,
  tags: [],
  lastSeen: 0 as MonotonicMs,
  ...change
})

const group: GroupStatus = {
  group: DEFAULT_GROUP,
  name: '0',
  role: 'follower',
  term: 1 as Term,
  leader: toNodeId('a'),
  handedOver: false,
  voters: [toNodeId('a')],
  learners: [],
  commitIndex: 1 as LogIndex,
  appliedIndex: 1 as LogIndex,
  firstIndex: 1 as LogIndex,
  lastIndex: 1 as LogIndex,
  failed: null,
  progress: []
}

const well: HealthInputs = {
  started: true,
  lifecycle: 'up',
  members: [member('a'), member('b')],
  groups: [group],
  leaderKnown: true,
  loopDelayMs: 1,
  loopDelayMsMax: 100
}

const failing = (change: Partial<HealthInputs>) => {
  const report = healthReportOf({ ...well, ...change })
  return {
    healthy: report.healthy,
    ready: report.ready,
    failed: report.checks.filter((check) => !check.ok).map((check) => check.name)
  }
}

t.test('a node on which everything is well', async (t) => {
  t.same(failing({}), { healthy: true, ready: true, failed: [] })
})

t.test('each input has its own check, and some of them take away readiness', async (t) => {
  const unready = (name: string) => ({ healthy: false, ready: false, failed: [name] })
  const unwell = (name: string) => ({ healthy: false, ready: true, failed: [name] })
  t.same(failing({ started: false }), unready('started'))
  t.same(failing({ lifecycle: 'draining' }), unready('lifecycle'))
  t.same(failing({ leaderKnown: false }), unready('leader'))
  t.same(failing({ groups: [{ ...group, failed: 'ERR_SKEIN_DIVERGED' }] }), unready('replicas'))
  t.same(failing({ members: [member('a', { liveness: 'dead' })] }), unwell('membership'))
  t.same(failing({ loopDelayMs: 101 }), unwell('loop'))
})

t.test('the control group has a check of its own, and queries need it not', async (t) => {
  const control = { ...group, group: CONTROL_GROUP, name: 'control' }
  const unwell = { healthy: false, ready: true, failed: ['control'] }
  t.same(failing({ groups: [group, control] }), { healthy: true, ready: true, failed: [] })
  t.same(failing({ groups: [group, { ...control, leader: null }] }), unwell)
  t.same(failing({ groups: [group, { ...control, failed: 'ERR_SKEIN_ENGINE_FAILED' }] }), unwell)
})

t.test('a member that left is not missed', async (t) => {
  t.same(failing({ members: [member('a', { liveness: 'dead', lifecycle: 'left' })] }), {
    healthy: true,
    ready: true,
    failed: []
  })
})
