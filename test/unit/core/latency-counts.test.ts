import t from 'tap'
import { SplittableRandom } from '../../../src/core/index.js'
import {
  LatencyCounts,
  latencyAtShare,
  latencyBoundMs,
  latencyBucketsLength
} from '../../../src/core/latency-counts.js'

t.test('a share is at most a fifth above what sorting says, and never below', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  for (let round = 0; round < 50; round++) {
    const counts = new LatencyCounts()
    const taken = Array.from({ length: 1 + random.nextInt(500) }, () => {
      const ms = 0.25 * 2 ** (random.nextFloat() * 18)
      counts.record(ms)
      return ms
    }).sort((a, b) => a - b)
    for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
      const exact = taken[Math.max(0, Math.ceil(share * taken.length) - 1)] ?? Number.NaN
      const told = latencyAtShare(counts.snapshot(), share) ?? Number.NaN
      t.ok(told >= exact - 1e-9 && told <= exact * 1.2, `${share}: ${told} of ${exact}`)
    }
  }
})

t.test('nothing, next to nothing, and what is too long', async (t) => {
  const counts = new LatencyCounts()
  t.equal(latencyAtShare(counts.snapshot(), 0.99), null)
  counts.record(0)
  t.equal(latencyAtShare(counts.snapshot(), 0.99), 0.25)
  counts.record(1e12)
  t.equal(latencyAtShare(counts.snapshot(), 1), latencyBoundMs(latencyBucketsLength - 1))
  t.equal(counts.snapshot().length, latencyBucketsLength)
})
