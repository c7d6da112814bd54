import t from 'tap'
import { type NodeId, Priorities } from '../../../src/core/index.js'
import { routeQuery } from '../../../src/routing/messages.js'
import { FakeCluster, FakeMessenger, nodeIds } from './fake-cluster.js'

t.test('any node says over the wire where a statement would go', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), nodeIds('r'))
  await cluster.clock.settle(cluster.driver('r').execute('SELECT 1'))
  const client = new FakeMessenger(cluster, { kind: 'client', name: 'app', clusterName: 'c' })
  const ask = (sql: string, options: object = {}) =>
    cluster.clock.settle(
      client.request(
        'r' as NodeId,
        routeQuery,
        { statement: { sql, params: [5] }, consistency: 'linearizable', ...options },
        { deadline: (cluster.clock.now() + 1_000) as never }
      )
    )
  const executed = cluster.requests.filter(({ name }) => name === 'Query').length
  const write = await ask('INSERT INTO t (id) VALUES (?)', { priority: Priorities.High })
  t.match(write, { node: 'a', kind: 'write', term: 1, key: 't.id=5', reason: /leader/ })
  const first = await ask('SELECT n FROM t WHERE id = ?', { session: 's', key: 'mine' })
  t.match(first, { kind: 'read', key: 'mine' })
  const again = await ask('SELECT n FROM t WHERE id = ?', { session: 's' })
  t.match(again, { node: first.node, reason: /session/ })
  await t.rejects(ask('BEGIN'), { code: 'ERR_SKEIN_SQL_REFUSED' })
  await t.rejects(ask('SELECT 1', { session: '' }), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.equal(cluster.requests.filter(({ name }) => name === 'Query').length, executed, 'none is run')
})
