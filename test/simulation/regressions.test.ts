import t from 'tap'
import { simulate } from '../../lib/testing.js'
import { regressions } from './regressions.js'

for (const { seed, why, ...options } of regressions) {
  t.test(`seed ${seed}: ${why}`, async (t) => {
    const { violations } = await simulate(seed, options)
    t.strictSame(violations, [])
  })
}
