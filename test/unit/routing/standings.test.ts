import t from 'tap'
import {
  CancelledError,
  ConnectionLostError,
  EngineFailedError,
  type NodeId,
  NotLeaderError,
  RequestTimeoutError,
  SqlError,
  StatementTimeoutError
} from '../../../src/core/index.js'
import { loadReportOf } from '../../../src/routing/load-report.js'
import { faultVerdictOf } from '../../../src/routing/node-faults.js'
import { behindAgeMsMax, lagAgeMsMax, ReplicaLag } from '../../../src/routing/replica-lag.js'
import { SlowStart } from '../../../src/routing/slow-start.js'

const [a, b] = ['a', 'b'] as NodeId[] as [NodeId, NodeId]

t.test('which errors count against a node', async (t) => {
  for (const [error, verdict] of [
    [new ConnectionLostError('broke off'), 'fault'],
    [new RequestTimeoutError('late'), 'fault'],
    [new EngineFailedError('disk full'), 'fault'],
    [new SqlError('no such table'), 'success'],
    [new StatementTimeoutError('too slow'), 'none'],
    [new NotLeaderError('elsewhere'), 'none'],
    [new CancelledError('by the caller'), 'none'],
    [new Error('a defect of ours'), 'none']
  ] as const) {
    t.equal(faultVerdictOf(error), verdict, error.name)
  }
})

t.test('slow start: a straight line from a tenth to everything', async (t) => {
  const core = new SlowStart({ slowStartMs: 1_000 })
  t.equal(core.shareOf(a, 0), 1)
  core.begin(a, 100)
  t.equal(core.shareOf(a, 100), 0.1)
  t.equal(core.shareOf(a, 600), 0.55)
  t.equal(core.shareOf(b, 600), 1)
  t.equal(core.shareOf(a, 1_100), 1)
  t.equal(core.size, 0, 'and it is forgotten')
  core.begin(a, 2_000)
  core.forget(a)
  t.equal(core.shareOf(a, 2_000), 1)
  const never = new SlowStart({ slowStartMs: 0 })
  never.begin(a, 0)
  t.equal(never.shareOf(a, 0), 1)
})

t.test('lag: as of the answer, in entries and in time, and not for ever', async (t) => {
  const lag = new ReplicaLag()
  t.equal(lag.lagOf(a, 0), null)
  lag.learn(a, 100, 1_000)
  lag.learnNewest(200, 2_000)
  lag.learnNewest(300, 3_000)
  t.match(lag.lagOf(a, 3_000), { entries: 0, ms: 0 }, 'a quiet node is not behind')
  lag.learn(b, 150, 3_500)
  t.match(lag.lagOf(b, 3_500), { entries: 150, ms: 1_500 })
  lag.learn(b, 300, 3_600)
  t.match(lag.lagOf(b, 3_600), { entries: 0, ms: 0 })
  t.equal(lag.appliedBy(b, 3_600 + behindAgeMsMax), 300)
  t.equal(lag.appliedBy(b, 3_601 + behindAgeMsMax), null)
  t.equal(lag.lagOf(b, 3_601 + lagAgeMsMax), null)
  t.equal(lag.newest, 300)
  lag.forget(b)
  t.equal(lag.lagOf(b, 3_600), null)
})

t.test('lag: of many indexes the times of the newest are remembered', async (t) => {
  const lag = new ReplicaLag()
  for (let i = 1; i <= 200; i++) lag.learnNewest(i, i * 100)
  lag.learn(a, 199, 20_050)
  t.match(lag.lagOf(a, 20_050), { entries: 1, ms: 50 })
  lag.learn(a, 1, 20_050)
  t.match(lag.lagOf(a, 20_050), { entries: 199, ms: 6_350 }, 'at least so long')
})

t.test('a node tells the scarcer of its two resources', async (t) => {
  const load = { inFlight: 0, executionsMax: 100, loopDelayMs: 0 }
  t.same(loadReportOf(load), { utilisation: 0, queueDepth: 0 })
  t.same(loadReportOf({ ...load, inFlight: 25 }), { utilisation: 0.25, queueDepth: 25 })
  t.same(loadReportOf({ ...load, inFlight: 25, loopDelayMs: 300 }).utilisation, 0.75)
  t.same(loadReportOf({ ...load, inFlight: 1_000_000 }), { utilisation: 1, queueDepth: 65_535 })
})
