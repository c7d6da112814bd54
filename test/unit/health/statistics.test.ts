import t from 'tap'
import { type MonotonicMs, SplittableRandom } from '../../../src/core/index.js'
import { OffsetWindow, offsetOf } from '../../../src/health/clock-offset.js'
import { Jitter } from '../../../src/health/jitter.js'
import { LatencyWindow, tailOf } from '../../../src/health/latency-window.js'
import { LossWindow, TrainCounter, trainLengthMax } from '../../../src/health/loss-trains.js'
import { qualityOf, qualityWeights } from '../../../src/health/quality.js'
import { ThroughputMeter } from '../../../src/health/throughput.js'
import { wilson } from '../../../src/health/wilson.js'

type Tap = { ok(value: unknown, message: string): boolean }

const close = (t: Tap, actual: number | null | undefined, expected: number, within = 1e-9) =>
  t.ok(Math.abs((actual ?? Number.NaN) - expected) <= within, `${actual} is near ${expected}`)

t.test('the latency window beside a naive one', async (t) => {
  const random = SplittableRandom.fromSeed(1)
  const window = new LatencyWindow(100)
  const all: number[] = []
  t.equal(window.summary(), null)
  for (let i = 0; i < 450; i++) {
    const ms = random.nextFloat() * 50
    window.push(ms)
    all.push(ms)
    const last = all.slice(-100).sort((a, b) => a - b)
    const summary = window.summary()
    close(t, summary?.averageMs, last.reduce((a, b) => a + b, 0) / last.length)
    t.match(summary, {
      count: last.length,
      minMs: last[0],
      maxMs: last.at(-1),
      p50Ms: last[Math.ceil(last.length / 2) - 1],
      tail: { ms: last.at(-1), basis: 'max', count: last.length }
    })
  }
})

t.test('a 99th percentile is told of 500 samples and not of 499', async (t) => {
  t.same(tailOf(499, 9, 10), { ms: 10, basis: 'max', count: 499 })
  t.same(tailOf(500, 9, 10), { ms: 9, basis: 'p99', count: 500 })
})

t.test('jitter: the recurrence of RFC 3550, whatever the clocks', async (t) => {
  const transits = [10, 14, 9, 9, 30, 12]
  let expected = 0
  for (let i = 1; i < transits.length; i++) {
    const difference = Math.abs((transits[i] as number) - (transits[i - 1] as number))
    expected += (difference - expected) / 16
  }
  for (const clockOffset of [0, 1e6, -12_345]) {
    const jitter = new Jitter()
    t.equal(jitter.ms, null)
    for (const transit of transits) jitter.push(transit + clockOffset)
    close(t, jitter.ms, expected)
  }
})

t.test('jitter: a peer that begins anew is not taken for a jump', async (t) => {
  const jitter = new Jitter()
  jitter.push(5)
  jitter.push(5)
  jitter.restart()
  jitter.push(1e9)
  t.equal(jitter.ms, 0)
})

t.test('Wilson: known values, and coverage of the true rate', async (t) => {
  const half = wilson(5, 10)
  close(t, half.low, 0.2366, 1e-4)
  close(t, half.high, 0.7634, 1e-4)
  t.equal(wilson(0, 400).low, 0)
  close(t, wilson(0, 400).high, 0.0095126, 1e-5)
  t.equal(wilson(400, 400).high, 1)
  const random = SplittableRandom.fromSeed(2)
  let covered = 0
  for (let run = 0; run < 1_000; run++) {
    let hits = 0
    for (let i = 0; i < 200; i++) if (random.nextFloat() < 0.1) hits++
    const { low, high } = wilson(hits, 200)
    if (low <= 0.1 && 0.1 <= high) covered++
  }
  t.ok(covered > 920 && covered < 980, `${covered} of 1000 intervals hold the rate`)
})

t.test('loss trains: beside a set of numbers', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  for (let train = 0; train < 200; train++) {
    const counter = new TrainCounter()
    const seen = new Set<number>()
    let duplicates = 0
    let reordered = 0
    for (let i = 0; i < 60; i++) {
      const sequence = random.nextInt(40)
      if (seen.has(sequence)) duplicates++
      else if (sequence < Math.max(-1, ...seen)) reordered++
      seen.add(sequence)
      counter.handleProbe(train, sequence)
    }
    t.same(counter.takeReport(train), { received: seen.size, duplicates, reordered })
    t.same(counter.takeReport(train), { received: 0, duplicates: 0, reordered: 0 }, 'forgotten')
  }
})

t.test('loss trains: a number out of bounds is ignored, the oldest train makes room', async (t) => {
  const counter = new TrainCounter()
  counter.handleProbe(1, trainLengthMax)
  for (let train = 1; train <= 5; train++) counter.handleProbe(train, 0)
  t.equal(counter.takeReport(1).received, 0)
  t.equal(counter.takeReport(5).received, 1)
})

t.test('loss: insufficient data until there is enough, then a rate and interval', async (t) => {
  const window = new LossWindow({ trainsMax: 3, sentMin: 40 })
  const push = (received: number) => window.push(20, { received, duplicates: 0, reordered: 0 })
  t.same(window.estimate(), { kind: 'insufficientData', sent: 0, needed: 40 })
  push(20)
  t.match(window.estimate(), { kind: 'insufficientData', sent: 20 })
  push(10)
  t.same(window.estimate(), {
    kind: 'measured',
    sent: 40,
    lost: 10,
    rate: 0.25,
    interval: wilson(10, 40)
  })
  for (let i = 0; i < 3; i++) push(20)
  t.match(window.estimate(), { sent: 60, lost: 0, rate: 0 })
})

t.test('throughput: from totals, over resets', async (t) => {
  const meter = new ThroughputMeter()
  const push = (bytesSent: number, bytesReceived: number, at: number) =>
    meter.push({ bytesSent, bytesReceived }, at as MonotonicMs)
  push(1_000_000, 0, 0)
  t.equal(meter.throughput, null)
  push(2_250_000, 125_000, 1_000)
  t.same(meter.throughput, { sentMbps: 10, receivedMbps: 1, peakMbps: 10 })
  push(0, 125_000, 2_000)
  t.same(meter.throughput, { sentMbps: 0, receivedMbps: 0, peakMbps: 10 })
  push(125_000, 125_000, 2_000)
  t.equal(meter.throughput?.sentMbps, 0, 'no time has passed')
})

t.test('clock offset: exact on a symmetric path, else off by at most half the delay', async (t) => {
  const random = SplittableRandom.fromSeed(4)
  for (let run = 0; run < 500; run++) {
    const ahead = (random.nextFloat() - 0.5) * 10_000
    const there = random.nextFloat() * 50
    const held = random.nextFloat() * 50
    const back = random.nextFloat() * 50
    const offset = (way: number) =>
      offsetOf({
        askedAt: 1_000,
        receivedAt: 1_000 + there + ahead,
        answeredAt: 1_000 + there + held + ahead,
        heardAt: 1_000 + there + held + way
      })
    close(t, offset(there).offsetMs, ahead, 1e-6)
    close(t, offset(back).delayMs, there + back, 1e-6)
    close(t, offset(back).offsetMs, ahead, offset(back).errorMs + 1e-6)
  }
})

t.test('clock offset: of a window the one with the shortest delay', async (t) => {
  const window = new OffsetWindow(2)
  t.equal(window.best(), null)
  const push = (there: number, back: number) => {
    const receivedAt = 100 + there
    window.push({ askedAt: 0, receivedAt, answeredAt: receivedAt, heardAt: there + back })
  }
  push(1, 1)
  push(30, 2)
  t.equal(window.best()?.offsetMs, 100)
  push(10, 12)
  t.equal(window.best()?.offsetMs, 99, 'the first one left the window')
})

const halves = { latencyHalfMs: 100, jitterHalfMs: 30, lossHalfRate: 0.05 }
const unknown = { rttMs: null, jitterMs: null, lossRate: null, answeredRate: null }

t.test('quality: parts, weights, and what is not known', async (t) => {
  t.equal(qualityOf(unknown, halves).value, null)
  const best = { rttMs: 0, jitterMs: 0, lossRate: 0, answeredRate: 1 }
  t.equal(qualityOf(best, halves).value, 1)
  const half = { rttMs: 100, jitterMs: 30, lossRate: 0.05, answeredRate: 0.5 }
  close(t, qualityOf(half, halves).value, 0.5)
  t.same(qualityOf(half, halves).parts, { latency: 0.5, jitter: 0.5, loss: 0.5, answered: 0.5 })
  t.equal(qualityOf({ ...best, answeredRate: 0 }, halves).value, 0, 'nothing outvotes silence')
  const sum = Object.values(qualityWeights).reduce((a: number, b) => a + b, 0)
  close(t, sum, 1)
  close(t, qualityOf({ ...unknown, rttMs: 100 }, halves).value, 0.5)
})

t.test('quality: worse when a part is worse', async (t) => {
  const random = SplittableRandom.fromSeed(5)
  for (let run = 0; run < 500; run++) {
    const inputs = {
      rttMs: random.nextFloat() * 500,
      jitterMs: random.nextFloat() * 50,
      lossRate: random.nextFloat() * 0.5,
      answeredRate: 0.5 + random.nextFloat() / 2
    }
    const of = (change: object) => qualityOf({ ...inputs, ...change }, halves).value ?? 2
    const value = of({})
    t.ok(value > 0 && value < 1)
    t.ok(of({ rttMs: inputs.rttMs + 1 }) < value)
    t.ok(of({ jitterMs: inputs.jitterMs + 1 }) < value)
    t.ok(of({ lossRate: inputs.lossRate + 0.01 }) < value)
    t.ok(of({ answeredRate: 0.4 }) < value)
  }
})
