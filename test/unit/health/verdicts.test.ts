import t from 'tap'
import {
  Diagnoses,
  type Diagnosis,
  type MonotonicMs,
  type NodeId,
  SplittableRandom
} from '../../../src/core/index.js'
import { CapacityProbe } from '../../../src/health/capacity-probe.js'
import { type ClockReadings, diagnose } from '../../../src/health/three-clocks.js'
import { Verdicts } from '../../../src/health/verdicts.js'

const clockLimits = { loopDelayMs: 250, slowFactor: 3, slowFloorMs: 20 }
const diagnosed = (readings: Partial<ClockReadings>) => {
  const well = {
    rttMs: 10,
    baselineMs: 8,
    localLoopDelayMs: 1,
    remoteLoopDelayMs: 1,
    remoteHeldMs: 0,
    othersAnswer: true
  }
  return diagnose({ ...well, ...readings }, clockLimits)
}

t.test('three clocks: each stall is its own, and the own one is asked first', async (t) => {
  const of = (readings: Partial<ClockReadings>) => diagnosed(readings).diagnosis
  t.equal(of({}), 'fine')
  t.equal(of({ rttMs: 100 }), 'networkSlow')
  t.equal(of({ rttMs: 100, baselineMs: null }), 'fine', 'nothing to compare with')
  t.equal(of({ rttMs: 600, remoteHeldMs: 590 }), 'remoteLoopStalled')
  t.equal(of({ rttMs: 600, remoteLoopDelayMs: 580 }), 'remoteLoopStalled')
  t.equal(of({ rttMs: 600, localLoopDelayMs: 590 }), 'localLoopStalled')
  t.equal(of({ rttMs: null }), 'peerSilent')
  t.equal(of({ rttMs: null, othersAnswer: false }), 'selfIsolated')
  t.equal(of({ rttMs: null, localLoopDelayMs: 400 }), 'localLoopStalled')
  t.equal(diagnosed({ rttMs: 100, remoteHeldMs: 88 }).networkMs, 10)
})

const limits = {
  degradedBelow: 0.4,
  recoveredAbove: 0.6,
  unreachableAfter: 3,
  confirmations: 2,
  recordsMax: 4
}
const peer = 'b' as NodeId

function judge(steps: readonly { quality?: number; failures?: number; by?: Diagnosis }[]) {
  const verdicts = new Verdicts(limits)
  const changes = steps.map(({ quality = 0.9, failures = 0, by = Diagnoses.Fine }, i) => {
    const observation = { nodeId: peer, quality, diagnosis: by, failuresInRow: failures }
    return verdicts.observe(observation, i as MonotonicMs)?.status ?? null
  })
  return { verdicts, changes }
}

t.test('verdicts: two in a row change it, between the thresholds it stays', async (t) => {
  const qualities = [0.9, 0.9, 0.3, 0.5, 0.3, 0.3, 0.5, 0.5, 0.7, 0.7]
  const { changes } = judge(qualities.map((quality) => ({ quality })))
  const _ = null
  t.same(changes, [_, 'healthy', _, _, _, 'degraded', _, _, _, 'healthy'])
})

t.test('verdicts: three checks without an answer, and back with confirmation', async (t) => {
  const silent = [1, 2, 3, 4].map((failures) => ({ failures, quality: 0.1 }))
  const back = [0.5, 0.5, 0.8, 0.8].map((quality) => ({ quality }))
  const { changes, verdicts } = judge([{}, {}, ...silent, ...back])
  t.same(changes.filter(Boolean), ['healthy', 'unreachable', 'degraded', 'healthy'])
  t.equal(changes.indexOf('unreachable'), 4)
  t.match(
    verdicts.explain(peer).filter(({ verdict }) => verdict.status === 'unreachable'),
    [
      {
        from: 'healthy',
        verdict: { reason: '3 checks without an answer' },
        observation: { failuresInRow: 3 }
      }
    ]
  )
})

t.test('verdicts: a stalled or cut off observer accuses nobody and clears nobody', async (t) => {
  for (const by of [Diagnoses.LocalLoopStalled, Diagnoses.SelfIsolated]) {
    const bad = { quality: 0.05, failures: 9, by }
    t.same(judge([{}, {}, bad, bad, bad]).changes, [null, 'healthy', null, null, null])
  }
})

t.test('verdicts: a peer whose loop stands still is degraded on the best of paths', async (t) => {
  const stalled = { quality: 0.95, by: Diagnoses.RemoteLoopStalled }
  const { changes } = judge([{}, {}, stalled, stalled, {}, {}])
  t.same(changes.filter(Boolean), ['healthy', 'degraded', 'healthy'])
})

t.test('verdicts: records are bounded, the forgotten are unknown', async (t) => {
  const steps = Array.from({ length: 40 }, (_, i) => ({ quality: i % 4 < 2 ? 0.1 : 0.9 }))
  const { verdicts } = judge(steps)
  t.equal(verdicts.explain().length, 4)
  t.same(verdicts.explain('nobody' as NodeId), [])
  t.equal(verdicts.verdictOn(peer)?.status, 'healthy')
  verdicts.forget(peer)
  t.equal(verdicts.verdictOn(peer), null)
})

t.test('verdicts: noise at a threshold does not flap', async (t) => {
  const random = SplittableRandom.fromSeed(21)
  for (const centre of [0.4, 0.6]) {
    const noise = Array.from({ length: 2_000 }, () => ({
      quality: centre + (random.nextFloat() - 0.5) * 0.15
    }))
    t.ok(judge(noise).changes.filter(Boolean).length <= 2)
  }
})

t.test('capacity: the rate after the pipe is full, within the cap', async (t) => {
  const options = { bytesMax: 1_000, chunkBytes: 100, chunksInFlight: 2 }
  const probe = new CapacityProbe(options, 0 as MonotonicMs)
  let sent = 0
  for (let chunk = probe.takeChunk(); chunk > 0; chunk = probe.takeChunk()) sent += chunk
  t.equal(sent, 1_000)
  // A slow start, then 100 bytes every 10 ms.
  const answeredAt = [500, 500, 510, 520, 530, 540, 550, 560, 570, 580]
  for (const ms of answeredAt) probe.handleAnswer(100, ms as MonotonicMs)
  t.same(probe.result(), {
    mbps: 0.08,
    bytesSent: 1_000,
    bytesAnswered: 1_000,
    durationMs: 580,
    reachedCap: true
  })
})

t.test('capacity: too little to say', async (t) => {
  const options = { bytesMax: 100, chunkBytes: 100, chunksInFlight: 2 }
  const probe = new CapacityProbe(options, 0 as MonotonicMs)
  probe.takeChunk()
  probe.handleAnswer(100, 5 as MonotonicMs)
  t.match(probe.result(), { mbps: null, bytesAnswered: 100 })
})
