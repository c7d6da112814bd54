import t from 'tap'
import { simulate } from '../../lib/testing.js'
import { looksAtAll } from '../support/thoroughness.js'
import { regressions } from './regressions.js'

/** The newest, or all. */
const looked = looksAtAll ? regressions : regressions.slice(-1)

for (const { seed, why, ...options } of looked) {
  t.test(`seed ${seed}: ${why}`, async (t) => {
    const { violations } = await simulate(seed, options)
    t.strictSame(violations, [])
  })
}
