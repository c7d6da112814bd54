/**
 * Sixty workers write and read through `SkeinClient` over mutual TLS while leaders are killed and
 * stopped: each operation ends well within its deadline of 5 s, and is executed once.
 */
import t from 'tap'
import type { SkeinClient } from '../../lib/client.js'
import { must } from '../../src/core/index.js'
import { CounterWorker, connectTo, issueClient } from '../support/process-clients.js'
import { ProcessCluster, shippedEngine, until } from '../support/process-cluster.js'
import { someOf } from '../support/thoroughness.js'

const clientCount = 10
const workersPerClient = 6
const thinkMs = 400
const goesOnWithinMs = 10_000
const caughtUpWithinMs = 30_000

const cluster = await ProcessCluster.start(t, 3, { engine: shippedEngine })
for (const sql of CounterWorker.schema) await cluster.run(await cluster.leader(), sql)
const files = await issueClient(cluster, 'app')

const clients: SkeinClient[] = []
const workers: CounterWorker[] = []
t.teardown(async () => {
  await Promise.all(workers.map((worker) => worker.stop()))
  await Promise.all(clients.map((client) => client.close()))
})
for (let i = 0; i < clientCount; i++) {
  // Each knows another node first; what it was told of it must be enough when that one is gone.
  const client = await connectTo(cluster, must(cluster.ids[i % 3], 'node'), files)
  clients.push(client)
  for (let k = 0; k < workersPerClient; k++) {
    workers.push(new CounterWorker(client, i * workersPerClient + k + 1, thinkMs))
  }
}
for (const worker of workers) worker.start()

const faults = () => workers.flatMap((worker) => worker.faults)

/** Every worker writes and reads again, some times. */
async function goOn(times: number): Promise<number> {
  const begun = performance.now()
  const before = workers.map(({ acknowledged, reads }) => ({ acknowledged, reads }))
  await until(`every worker goes on ${times} times`, goesOnWithinMs + times * 1_000, async () =>
    workers.every(
      ({ acknowledged, reads, faults: own }, i) =>
        own.length > 0 ||
        (acknowledged >= must(before[i], 'worker').acknowledged + times &&
          reads >= must(before[i], 'worker').reads + times)
    )
  )
  return performance.now() - begun
}

async function bringBack(id: string): Promise<void> {
  await cluster.node(id).start()
  const other = must(cluster.others(id)[0], 'another node')
  const target = (await cluster.group(other)).commitIndex
  await until(`${id} has caught up`, caughtUpWithinMs, async () => {
    const { appliedIndex } = await cluster.group(id)
    return appliedIndex >= target && (await cluster.supervisor.isReady(id))
  })
}

for (let round = 1; round <= someOf(4); round++) {
  t.test(`kill -9 of leader ${round} under load: no operation fails`, async (t) => {
    await goOn(5)
    const victim = await cluster.leader()
    for (const worker of workers) worker.slowestMs = 0
    await cluster.kill(victim)
    const tookMs = await goOn(5)
    t.same(faults(), [], 'not one write or read failed, and each read its own writes')
    const slowestMs = Math.max(...workers.map((worker) => worker.slowestMs))
    t.comment(`all went on after ${Math.round(tookMs)} ms, slowest ${Math.round(slowestMs)} ms`)
    await bringBack(victim)
    await cluster.leader()
  })
}

t.test('the leader is stopped in good order: nobody notices', async (t) => {
  await goOn(5)
  const leader = await cluster.leader()
  for (const worker of workers) worker.slowestMs = 0
  await cluster.node(leader).stop()
  await goOn(5)
  t.same(faults(), [])
  const slowestMs = Math.max(...workers.map((worker) => worker.slowestMs))
  t.comment(`slowest ${Math.round(slowestMs)} ms`)
  await bringBack(leader)
})

t.test('nothing acknowledged is lost, nothing was executed twice', async (t) => {
  await Promise.all(workers.map((worker) => worker.stop()))
  t.same(faults(), [])
  const [client] = clients
  const read = async (sql: string) => (await must(client, 'client').query(sql)).rows
  const counters = new Map((await read('SELECT worker, n FROM counter')).map(([w, n]) => [w, n]))
  t.same(
    workers.filter(({ number, acknowledged }) => counters.get(number) !== acknowledged),
    [],
    'each counter is what was acknowledged, no more and no less'
  )
  t.same(await read('SELECT worker, n FROM mark GROUP BY worker, n HAVING count(*) > 1'), [])
  const acknowledged = workers.reduce((sum, worker) => sum + worker.acknowledged, 0)
  t.same(await read('SELECT count(*) FROM mark'), [[acknowledged]])
  t.comment(`${acknowledged} writes of ${workers.length} workers`)
  await until('all replicas are the same', caughtUpWithinMs, async () => {
    const sums = await Promise.all(cluster.ids.map((id) => cluster.checksum(id)))
    return new Set(sums.map(({ index, hash }) => `${index} ${hash}`)).size === 1
  })
  t.same(cluster.unexpectedExits, [])
  const metrics = must(client, 'client').getAllMetrics()
  t.match(metrics.client, { client_queries_failed: 0, client_members_known: 3 })
})
