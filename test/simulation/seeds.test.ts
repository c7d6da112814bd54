import t from 'tap'
import { simulate } from '../../lib/testing.js'
import { someOf } from '../support/thoroughness.js'

/** `npm run simulate -- --seeds 300` goes on from others. */
const seeds = someOf(24)

t.test('clusters of one and of two nodes', async (t) => {
  for (const nodes of [1, 2]) {
    for (let seed = 1; seed <= 3; seed++) {
      const { violations } = await simulate(seed, { nodes, seconds: 4 })
      t.strictSame(violations, [], `${nodes} nodes, seed ${seed}`)
    }
  }
})

t.test(
  'D-02 D-03 D-11 T-14 short seeds of the whole cluster break nothing, and heal',
  async (t) => {
    let acknowledged = 0
    let transactions = 0
    let ofSessions = 0
    const faults = new Set<string>()
    for (let seed = 1_001; seed <= 1_000 + seeds; seed++) {
      const nodes = seed % 2 === 0 ? 3 : 5
      const result = await simulate(seed, { nodes, seconds: 6 })
      t.strictSame(result.violations, [], `seed ${seed}: ${JSON.stringify(result.swarm)}`)
      t.not(result.healedInMs, null, `seed ${seed} heals`)
      acknowledged += result.operations.ok
      transactions += result.transactions.committed
      ofSessions += result.features.session_requests_ok
      for (const [kind, count] of Object.entries(result.faults)) if (count > 0) faults.add(kind)
    }
    t.ok(acknowledged > 90 * seeds, `${acknowledged} operations`)
    t.ok(transactions > 0, `${transactions} transactions`)
    t.ok(ofSessions > 0, `${ofSessions} requests of sessions`)
    t.ok(faults.size >= 9, [...faults].sort().join(', '))
  }
)
