import t from 'tap'
import type { GroupId, NodeId } from '../../../../src/core/index.js'
import { shardsAskIntervalMs } from '../../../../src/routing/sharding/shard-watch-driver.js'
import { FakeCluster, nodeIds } from '../fake-cluster.js'

const accounts = { table: 'accounts', shardKey: 'id', ranges: [{ from: 0, group: 0 as GroupId }] }

t.test('a node without a replica learns of sharded tables without a query', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), nodeIds('d'))
  for (const id of ['a', 'b', 'c']) cluster.driver(id).learnShards(1, [accounts])
  await cluster.clock.advance(2 * shardsAskIntervalMs)
  const asks = cluster.requests.filter(({ name }) => name === 'Placement')
  t.ok(asks.length > 0)
  t.ok(
    asks.every(({ from }) => from === ('d' as NodeId)),
    'who has a replica asks nobody'
  )
  const count = 'SELECT count(*) FROM accounts WHERE id > 3 ORDER BY 1'
  await t.rejects(cluster.driver('d').execute(count), { code: 'ERR_SKEIN_SHARD_KEY_REQUIRED' })
})
