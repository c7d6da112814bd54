import t from 'tap'
import type { TransportDriver } from '../../../../src/network/index.js'
import { node, note, TransportWorld } from '../../../support/transport-world.js'

const nodes = 50
const stepMs = 20

/** Everybody wants to talk to one node all the time. */
async function startFlock() {
  const world = new TransportWorld()
  const hub = await world.start('hub')
  hub.onMessage(note, () => {})
  const others: TransportDriver[] = []
  for (let i = 1; i < nodes; i++) others.push(await world.start(`n${i}`))
  const talk = () => {
    for (const other of others) other.send(node('hub'), note, { text: 'x' })
  }
  const dials = () => others.map(({ counters }) => counters.get('dials'))
  /** Per pair, the most dials of `ms` that end now. */
  const pass = async (ms: number, each: () => void = () => {}): Promise<number> => {
    const before = dials()
    for (let passed = 0; passed < ms; passed += stepMs) {
      talk()
      each()
      await world.clock.advance(stepMs)
    }
    return Math.max(...dials().map((count, i) => count - (before[i] ?? 0)))
  }
  return { world, others, pass }
}

t.test(
  'L-05 fifty nodes that lost one dial it at most twice a second each, and not in step',
  async (t) => {
    const { world, others, pass } = await startFlock()
    await pass(1_000)
    world.hub.isUnreachable = true
    for (const end of world.hub.ends) end.break()
    const first = await pass(10_000)
    t.ok(first <= 20, `${first} dials in the first ten seconds`)
    const later = await pass(10_000)
    t.ok(later <= 5, `${later} dials in the next ten`)
    world.hub.isUnreachable = false
    const moments = new Set<number>()
    const isBack = new Set<TransportDriver>()
    await pass(5_000, () => {
      for (const other of others) {
        if (isBack.has(other) || !other.isConnected(node('hub'))) continue
        isBack.add(other)
        moments.add(Math.floor(world.clock.now() / 100))
      }
    })
    t.equal(isBack.size, nodes - 1, 'all are back when the longest pause is over')
    t.ok(moments.size >= 15, `they came at ${moments.size} different tenths of a second`)
  }
)

t.test(
  'L-05 a node whose connections open and break at once is not dialled in a storm',
  async (t) => {
    const { world, pass } = await startFlock()
    await pass(1_000)
    const breakAll = () => {
      for (const end of world.hub.ends.splice(0)) end.break()
    }
    const first = await pass(10_000, breakAll)
    t.ok(first <= 20, `${first} dials in ten seconds`)
  }
)
