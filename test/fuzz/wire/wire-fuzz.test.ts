import t from 'tap'
import { someOf } from '../../support/thoroughness.js'
import type { Target } from './targets.js'
import { fuzzWire } from './wire-fuzz.js'

const runs = someOf(20_000, 2)
/** `npm run fuzz -- wire --seed S` goes on from others. */
const seed = 90_100

t.test(`X-54: ${runs} inputs crash, hang and grow nothing`, async (t) => {
  const outcome = fuzzWire(seed, runs)
  t.equal(outcome.fault, null, `seed ${seed}`)
  t.equal(outcome.runs, runs)
  for (const name of Object.keys(outcome.inputs)) {
    const taken = outcome.accepted[name] ?? 0
    t.ok(taken > 0 && taken < (outcome.inputs[name] ?? 0), `${name}: some are taken, not all`)
  }
})

t.test('a planted crash and a planted hang are found', async (t) => {
  const planted = (feed: (bytes: Uint8Array) => void): Target => ({
    name: 'planted',
    make: (random) => [Uint8Array.of(random.nextInt(256))],
    feed: ([bytes]) => {
      feed(bytes as Uint8Array)
      return true
    },
    reset() {}
  })
  const crash = planted(([first]) => {
    if (first === 200) throw new TypeError('planted')
  })
  t.match(fuzzWire(1, 5_000, [crash]).fault, /TypeError: planted[\s\S]*input c8/)
  const hang = planted(([first]) => {
    if (first !== 200) return
    const { user } = process.cpuUsage()
    while (process.cpuUsage().user - user < 15_000) Math.sqrt(2)
  })
  t.match(fuzzWire(1, 5_000, [hang]).fault, /ms of processor/)
})
