import t from 'tap'
import { someOf } from '../../support/thoroughness.js'
import { fuzzEngine } from './engine-fuzz.js'

const statements = someOf(10_000, 8)
const statementsPerRun = 500
/** `npm run fuzz -- engine --seed S` goes on from others. */
const firstSeed = 40_100

t.test(`${statements} random statements leave four replicas the same`, async (t) => {
  for (let run = 0; run < statements / statementsPerRun; run++) {
    const seed = firstSeed + run
    const outcome = fuzzEngine(seed, statementsPerRun)
    t.equal(outcome.fault, null, `seed ${seed}`)
    t.ok(outcome.planned > 0, `seed ${seed} planned something`)
  }
})
