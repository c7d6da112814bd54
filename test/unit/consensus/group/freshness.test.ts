import t from 'tap'
import { Freshness } from '../../../../src/consensus/group/freshness.js'
import type { LogIndex, MonotonicMs } from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'

const index = (value: number) => value as LogIndex
const at = (value: number) => value as MonotonicMs

t.test('R-Q09 nothing is proved before a read index is applied, and it grows older', async (t) => {
  const freshness = new Freshness()
  t.equal(freshness.stalenessMs(at(5)), null)
  freshness.handleConfirmed(index(9), at(10), index(8))
  t.equal(freshness.stalenessMs(at(12)), null, 'its index is not applied')
  freshness.handleApplied(index(9))
  t.equal(freshness.stalenessMs(at(15)), 5, 'since before the question')
  t.equal(freshness.stalenessMs(at(115)), 105)
  freshness.handleConfirmed(index(9), at(100), index(9))
  t.equal(freshness.stalenessMs(at(115)), 15)
})

t.test('R-Q09 what is proved is never younger than all confirmations say', async (t) => {
  const random = SplittableRandom.fromSeed(9)
  for (let run = 0; run < 200; run++) {
    const freshness = new Freshness()
    const confirmed: { index: number; askedAt: number }[] = []
    const wrong: number[] = []
    let [applied, committed, best] = [0, 0, Number.NEGATIVE_INFINITY]
    for (let now = 1; now < 100; now++) {
      committed += random.nextInt(3)
      if (random.nextInt(3) === 0) {
        confirmed.push({ index: committed, askedAt: now })
        freshness.handleConfirmed(index(committed), at(now), index(applied))
      }
      applied = Math.min(committed, applied + random.nextInt(4))
      freshness.handleApplied(index(applied))
      // The dumb twin keeps all of them.
      for (const one of confirmed) {
        if (one.index <= applied) best = Math.max(best, one.askedAt)
      }
      const staleness = freshness.stalenessMs(at(now))
      const isExact = applied === committed && confirmed.length > 0
      if (isExact ? staleness !== now - best : staleness !== null && staleness < now - best) {
        wrong.push(now)
      }
    }
    t.same(wrong, [], `run ${run}`)
  }
})
