import t from 'tap'
import { type MonotonicMs, SplittableRandom } from '../../../../src/core/index.js'
import { RetryBudget } from '../../../../src/routing/overload/retry-budget.js'
import { FakeCluster, nodeIds } from '../fake-cluster.js'

const at = (ms: number) => ms as MonotonicMs

t.test('it allows what a list of all queries and retries allows', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const retryBudgetRatio = random.nextFloat()
    const retryBudgetMinPerSecond = random.nextInt(3)
    const budget = new RetryBudget({ retryBudgetRatio, retryBudgetMinPerSecond })
    const queries: number[] = []
    const retries: number[] = []
    let now = random.nextInt(100_000)
    for (let i = 0; i < 600; i++) {
      now += random.nextInt(30) === 0 ? random.nextInt(20_000) : random.nextInt(200)
      if (random.nextInt(2) === 0) {
        budget.deposit(at(now))
        queries.push(now)
        continue
      }
      const from = (Math.floor(now / 1_000) - 9) * 1_000
      const counted = (times: readonly number[]) => times.filter((time) => time >= from).length
      const allowed =
        counted(queries) * retryBudgetRatio + 10 * retryBudgetMinPerSecond - counted(retries)
      t.equal(budget.left(at(now)), Math.max(0, Math.floor(allowed)), `seed ${seed}`)
      const isAllowed = budget.tryWithdraw(at(now))
      if (isAllowed !== allowed >= 1) t.fail(`seed ${seed} at ${now}: ${isAllowed}, ${allowed}`)
      if (isAllowed) retries.push(now)
    }
  }
})

t.test('when it is spent the second loss of a node is the answer', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), [], {
    retryBudgetRatio: 0,
    retryBudgetMinPerSecond: 0
  })
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  cluster.trouble('a', 'answerLost', 'answerLost')
  await t.rejects(cluster.clock.settle(cluster.driver('b').execute('INSERT 1')), {
    code: 'ERR_SKEIN_INDETERMINATE'
  })
  t.same(cluster.executed, ['INSERT 0', 'INSERT 1'], 'executed once')
  t.match(cluster.driver('b').counters.snapshot(), { retries_denied: 1, query_retries: 2 })
  cluster.elect(null)
  const writing = cluster.driver('b').execute('INSERT 2')
  await cluster.clock.advance(500)
  cluster.elect('c')
  t.equal((await cluster.clock.settle(writing)).node, 'c', 'to wait for a leader is no retry')
})
