import t from 'tap'
import { simulate } from '../../lib/testing.js'
import { looksAtAll } from '../support/thoroughness.js'
import { regressions } from './regressions.js'

const shortSeconds = 12
/** The newest and not for long, or all as they failed. */
const looked = looksAtAll
  ? regressions
  : regressions.slice(-1).map((one) => ({ ...one, seconds: shortSeconds }))

for (const { seed, why, ...options } of looked) {
  t.test(`seed ${seed}: ${why}`, async (t) => {
    const { violations } = await simulate(seed, options)
    t.strictSame(violations, [])
  })
}
