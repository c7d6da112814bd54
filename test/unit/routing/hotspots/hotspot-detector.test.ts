import t from 'tap'
import {
  type HotspotEvent,
  type MonotonicMs,
  type NodeId,
  SplittableRandom
} from '../../../../src/core/index.js'
import { HotspotDetector } from '../../../../src/routing/hotspots/hotspot-detector.js'
import { leaderMove } from '../../../../src/routing/hotspots/leader-move.js'
import type { LoadRow } from '../../../../src/routing/hotspots/load-table.js'
import { LoadWindow } from '../../../../src/routing/hotspots/load-window.js'
import { nodeIds } from '../fake-cluster.js'

const abc = nodeIds('a', 'b', 'c')
const at = (ms: number) => ms as MonotonicMs
const options = {
  hotspotFloorPerSecond: 1_000,
  hotspotMedianFactor: 2,
  hotspotKeyFloorPerSecond: 1_000,
  hotspotLeaveRatio: 0.75,
  hotspotDwellMs: 15_000
}

const rowOf = (node: string, rate: number, changes: Partial<LoadRow> = {}): LoadRow => ({
  node: node as NodeId,
  sequence: 1,
  ageMs: 0,
  burstPerSecond: rate,
  windowPerSecond: rate,
  leaderPerSecond: 0,
  keys: [],
  ...changes
})

const told = (events: readonly HotspotEvent[]) =>
  events.map((event) => {
    const { hotspot } = event
    return `${event.type} ${hotspot.scope === 'node' ? hotspot.node : hotspot.key}`
  })

t.test('a node is hot by the floor and beside the others, not by one alone', async (t) => {
  for (const [rates, hot] of [
    [[1_000, 100, 100], ['a']],
    [[999, 100, 100], []],
    [[5_000, 4_000, 4_500], []],
    [[5_000, 2_000, 2_500], ['a']],
    [[9_000, 9_000, 10], []],
    [[1_000, 0, 0], ['a']]
  ] as const) {
    const detector = new HotspotDetector(options)
    const rows = abc.map((node, i) => rowOf(node, rates[i] ?? 0))
    detector.evaluate(rows, abc, at(0))
    const found = detector.current().map((spot) => (spot.scope === 'node' ? spot.node : spot.key))
    t.same(found, hot, rates.join(' '))
  }
})

t.test('who holds no data neither counts for the median nor is hot', async (t) => {
  const detector = new HotspotDetector(options)
  const rows = [rowOf('a', 3_000), rowOf('b', 1_400), rowOf('c', 1_400), rowOf('r', 9_000)]
  t.same(told(detector.evaluate(rows, abc, at(0))), ['HotspotDetected a'])
})

t.test('keys are summed over nodes, named with their rates and places', async (t) => {
  const detector = new HotspotDetector(options)
  const key = (rate: number) => ({ key: 't.id=1', burstPerSecond: rate, windowPerSecond: rate })
  const rows = [
    rowOf('a', 300, { keys: [key(300)] }),
    rowOf('b', 700, { keys: [key(700), { ...key(10), key: 't.id=2' }] })
  ]
  const events = detector.evaluate(rows, abc, at(0))
  t.match(events, [
    {
      type: 'HotspotDetected',
      hotspot: {
        scope: 'key',
        key: 't.id=1',
        ratePerSecond: 1_000,
        nodes: [
          { node: 'b', ratePerSecond: 700 },
          { node: 'a', ratePerSecond: 300 }
        ]
      }
    }
  ])
  t.ok(detector.isHotKey('t.id=1'))
  t.notOk(detector.isHotKey('t.id=2'))
  t.same(detector.evaluate([], abc, at(10_000)), [], 'it dwells')
  t.match(detector.evaluate([], abc, at(16_000)), [
    { type: 'HotspotCleared', hotspot: { key: 't.id=1' }, lastedMs: 16_000 }
  ])
})

/** One node's own queries at a rate that changes with time, judged each second. */
function hover(seconds: number, rateAt: (second: number, random: SplittableRandom) => number) {
  const random = SplittableRandom.fromSeed(5)
  const window = new LoadWindow({ windowMs: 60_000, keysMax: 16 }, at(0))
  const detector = new HotspotDetector(options)
  const events: HotspotEvent[] = []
  for (let second = 0; second < seconds; second++) {
    const count = Math.round(rateAt(second, random))
    for (let i = 0; i < count; i++) {
      window.record('k', false, at(second * 1_000 + (i * 1_000) / count))
    }
    const now = at((second + 1) * 1_000)
    const row = { ...window.load(now, 8), node: abc[0] as NodeId, sequence: second, ageMs: 0 }
    events.push(...detector.evaluate([row], abc, now))
  }
  return told(events)
}

t.test('half an hour at a threshold, without flapping', async (t) => {
  const noise = (random: SplittableRandom) => 1 + 0.1 * (2 * random.nextFloat() - 1)
  const minutes = 30 * 60
  for (const [name, rate] of [
    ['the one to enter', 1_000],
    ['between the two', 875],
    ['the one to leave', 750]
  ] as const) {
    const seen = hover(minutes, (_, random) => rate * noise(random))
    t.ok(seen.length <= 4, `around ${name}: ${seen.join(', ') || 'nothing'}`)
    const ofNode = seen.filter((text) => text.endsWith(' a'))
    t.ok(ofNode.length <= 1, `${name}: at most one change of mind about the node`)
  }
  const wave = hover(minutes, (second) => 1_000 + 200 * Math.sin(second / 7))
  t.same(wave, ['HotspotDetected a', 'HotspotDetected k'], 'a wave of 20 % around it')
})

t.test('a step of load is seen in seconds, and its end after the window', async (t) => {
  const seen = hover(5, () => 3_000)
  t.same(seen, ['HotspotDetected a', 'HotspotDetected k'])
  const quietThenBusy = hover(70, (second) => (second < 60 ? 100 : 3_000))
  t.same(quietThenBusy, ['HotspotDetected a', 'HotspotDetected k'], 'within ten seconds')
  const over = hover(150, (second) => (second < 20 ? 3_000 : 0))
  t.same(over, ['HotspotDetected a', 'HotspotDetected k', 'HotspotCleared a', 'HotspotCleared k'])
})

t.test('a hot leader moves where that helps, and only there', async (t) => {
  const ask = (rows: readonly LoadRow[], changes: object = {}) =>
    leaderMove({
      self: 'a' as NodeId,
      rows,
      voters: abc,
      isHot: (node) => node === 'a',
      leaderSince: at(0),
      gapMs: 60_000,
      now: at(60_000),
      ...changes
    })?.target ?? null
  const mixed = rowOf('a', 3_000, { leaderPerSecond: 1_500 })
  t.equal(ask([mixed, rowOf('b', 300), rowOf('c', 100)]), 'c', 'to the least busy voter')
  t.equal(ask([rowOf('a', 3_000, { leaderPerSecond: 3_000 })]), null, 'it would only change places')
  t.equal(ask([rowOf('a', 3_000, { leaderPerSecond: 10 })]), null, 'it would change nothing')
  t.equal(ask([mixed, rowOf('b', 2_000), rowOf('c', 2_500)]), null, 'the others are busy too')
  t.equal(ask([mixed], { now: at(59_999) }), null, 'it has not led for long')
  t.equal(ask([mixed], { isHot: () => false }), null)
  t.equal(ask([mixed], { isHot: () => true }), null, 'nobody is cooler')
  t.equal(ask([mixed], { voters: [abc[0]] }), null, 'nobody else serves')
})
