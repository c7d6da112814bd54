import fc from 'fast-check'
import t from 'tap'
import { logTimeRateMax, nextLogTime } from '../../../src/core/log-time.js'

t.test('R-X03 a wall clock that is ahead is followed no faster than the rate', async (t) => {
  const minutes = 60_000
  const wallNow = 1_000 * minutes
  const last = wallNow - 10 * minutes
  t.equal(nextLogTime({ last, elapsedMs: 0, wallNow }), last + 1)
  t.equal(nextLogTime({ last, elapsedMs: 4_000, wallNow }), last + 5_000)
  t.equal(nextLogTime({ last, elapsedMs: 10 * minutes, wallNow }), wallNow, 'it has passed here')
})

t.test('it rises by one while the wall clock is behind, and begins with it', async (t) => {
  t.equal(nextLogTime({ last: 5_000, elapsedMs: 900, wallNow: 10 }), 5_001)
  t.equal(nextLogTime({ last: 0, elapsedMs: 0, wallNow: 7_000.9 }), 7_000)
  t.equal(nextLogTime({ last: 0, elapsedMs: 0, wallNow: 0 }), 1)
})

t.test('whatever wall clocks say, it rises, and takes its time', async (t) => {
  const step = fc.record({
    elapsedMs: fc.nat({ max: 5_000 }),
    wallNow: fc.nat({ max: 4_000_000_000 })
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const begin = 1_000_000
      let [last, passedMs] = [begin, 0]
      for (const { elapsedMs, wallNow } of steps) {
        const next = nextLogTime({ last, elapsedMs, wallNow })
        if (next <= last) return false
        passedMs += elapsedMs
        last = next
      }
      return last - begin <= passedMs * logTimeRateMax + steps.length
    })
  )
  t.pass('50 entries by any leaders')
})
