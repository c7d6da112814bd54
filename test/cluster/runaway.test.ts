/**
 * Statements that would run for ever: each costs its caller a time-out, and nobody else anything.
 */
import t from 'tap'
import { ProcessCluster, shippedEngine } from '../support/process-cluster.js'

const endless = `WITH RECURSIVE counted(n) AS (VALUES(0) UNION ALL SELECT n + 1 FROM counted)
 SELECT count(*) FROM counted`

const cluster = await ProcessCluster.start(t, 3, { engine: shippedEngine })
const leader = await cluster.leader()
await cluster.run(leader, 'CREATE TABLE event (id INTEGER PRIMARY KEY, size INTEGER)')
await cluster.run(leader, 'INSERT INTO event VALUES (1, 1)')

t.test('a write without end is killed, and the replicas serve on', async (t) => {
  const { term } = await cluster.group(leader)
  for (const timeoutMs of [500, 700]) {
    const outcome = await cluster.query(leader, `UPDATE event SET size = (${endless})`, {
      timeoutMs
    })
    t.match(outcome, { kind: 'refused' })
    t.match(outcome, { error: { code: /ERR_SKEIN_(STATEMENT_TIMEOUT|TIMEOUT|INDETERMINATE)/ } })
    await cluster.run(leader, 'INSERT INTO event (size) VALUES (2)')
  }
  const { rows } = await cluster.run(leader, 'SELECT size FROM event ORDER BY id')
  t.same(rows, [[1], [2], [2]], 'the runaway changed nothing')
  t.equal((await cluster.group(leader)).term, term, 'nobody was elected')
  t.same(cluster.unexpectedExits, [])
})

t.test('reads without end are killed, and other reads go on', async (t) => {
  const reads = Array.from({ length: 6 }, () => cluster.query(leader, endless, { timeoutMs: 700 }))
  for (const outcome of await Promise.all(reads)) t.match(outcome, { kind: 'refused' })
  const { rows } = await cluster.run(leader, 'SELECT count(*) FROM event')
  t.same(rows, [[3]])
})

t.test('a node killed inside an endless write comes back at once', async (t) => {
  const running = cluster.query(leader, `UPDATE event SET size = (${endless})`, {
    timeoutMs: 9_000
  })
  await cluster.run(leader, 'SELECT 1')
  await cluster.kill(leader)
  t.match(await running, { kind: 'unknown' })
  const [other = ''] = cluster.others(leader)
  await cluster.run(other, 'INSERT INTO event (size) VALUES (3)')
  await cluster.node(leader).start()
  const { rows } = await cluster.run(leader, 'SELECT size FROM event ORDER BY id', {
    timeoutMs: 20_000
  })
  t.same(rows, [[1], [2], [2], [3]])
})
