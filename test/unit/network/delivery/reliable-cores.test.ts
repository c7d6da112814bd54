import fc from 'fast-check'
import t from 'tap'
import { someOf } from '../../../support/thoroughness.js'
import { LossyPair } from './lossy-pair.js'

type Act = (pair: LossyPair, which: number, other: number) => void

/** Each as often as it stands here. */
const acts: readonly Act[] = [
  (pair, which) => pair.send(false, 1 + (which % 200)),
  (pair, which) => pair.send(true, 1 + (which % 200)),
  (pair, which) => pair.send(true, 1 + (which % 20)),
  (pair, which, other) => {
    for (let i = 0; i < other % 40; i++) pair.send(which % 2 === 0, 1 + ((which + i) % 50))
  },
  (pair, which) => pair.cancel(which),
  (pair) => pair.open(),
  (pair) => pair.open(),
  (pair) => pair.open(),
  (pair) => pair.lose(),
  (pair) => pair.loseOne(),
  (pair, which) => pair.deliver(which),
  (pair, which) => pair.deliver(which, true),
  (pair) => pair.deliver(0),
  (pair, which, other) => {
    for (let i = 0; i < other % 40; i++) pair.deliver(which + i * 7, i % 5 === 4)
  },
  (pair, _, other) => {
    for (let i = 0; i < other % 40; i++) pair.deliver(0)
  },
  (pair, which) => pair.drop(which),
  (pair, which, other) => {
    for (let i = 0; i < other % 20; i++) pair.drop(which + i)
  },
  (pair, which) => pair.finish(which, false),
  (pair, which) => pair.finish(which, true),
  (pair, which, other) => {
    for (let i = 0; i < other % 20; i++) pair.finish(which + i, false)
  },
  (pair, which) => pair.pass(which % 150),
  (pair, which) => pair.pass(which % 1_500),
  (pair, which) => {
    pair.isFull = which % 3 === 0
  }
]
const rareActs: readonly Act[] = [
  (pair, which) => pair.restartReceiver(which % 2 === 0),
  (pair) => pair.restartSender()
]

const step = fc.tuple(
  fc.oneof(
    { weight: 40, arbitrary: fc.constantFrom(...acts) },
    { weight: 1, arbitrary: fc.constantFrom(...rareActs) }
  ),
  fc.nat(100_000),
  fc.nat(100_000)
)

t.test('the cores keep their word, whatever the network loses, doubles and reorders', async (t) => {
  const numRuns = someOf(300, 2)
  const sums: Record<string, number> = {}
  const steps = fc.array(step, { minLength: 20, maxLength: 150, size: 'max' })
  const holds = fc.property(fc.nat(), steps, (seed, chosen) => {
    const pair = new LossyPair(seed)
    pair.open()
    for (const [act, which, other] of chosen) act(pair, which, other)
    pair.heal()
    for (const [name, count] of Object.entries(pair.seen)) sums[name] = (sums[name] ?? 0) + count
    if (pair.faults.length > 0) throw new Error(pair.faults.slice(0, 5).join('; '))
  })
  fc.assert(holds, { numRuns })
  // Messages that a former process refused and another one passed over.
  fc.assert(holds, { numRuns, seed: -311341850 })
  for (const [name, count] of Object.entries(sums)) t.ok(count > 50, `${count} ${name}`)
})
