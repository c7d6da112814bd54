/**
 * Twenty SQL sessions write and read through `SkeinClient` over mutual TLS while the node that has
 * most of them drains, and while one that has some is killed.
 */
import t from 'tap'
import type { SkeinClient, SqlSession } from '../../lib/client.js'
import { type DrainReport, must, type SessionList } from '../../src/core/index.js'
import { connectTo, issueClient } from '../support/process-clients.js'
import { ProcessCluster, until } from '../support/process-cluster.js'

const clientCount = 5
const sessionsPerClient = 4
const thinkMs = 60
const goesOnWithinMs = 30_000
const drainTimeoutMs = 60_000

const cluster = await ProcessCluster.start(t, 3)
await cluster.run(await cluster.leader(), 'CREATE TABLE counter (session INTEGER, n INTEGER)')
const files = await issueClient(cluster, 'app')

/** Adds one by a prepared statement, then reads as much; notes whatever is not so. */
class SessionWorker {
  readonly faults: string[] = []
  acknowledged = 0
  #isStopped = false
  #done: Promise<void> = Promise.resolve()

  constructor(
    readonly session: SqlSession,
    readonly number: number
  ) {}

  static async open(client: SkeinClient, number: number): Promise<SessionWorker> {
    const session = await client.openSession({ settings: { priority: 'high' } })
    await session.set('timeout_ms', '20000')
    await session.prepare('add', 'INSERT INTO counter VALUES (?, ?)')
    await session.prepare('count', 'SELECT count(*), max(n) FROM counter WHERE session = ?')
    return new SessionWorker(session, number)
  }

  start(): void {
    this.#done = this.#work()
  }

  stop(): Promise<void> {
    this.#isStopped = true
    return this.#done
  }

  async #work(): Promise<void> {
    while (!this.#isStopped && this.faults.length === 0) {
      try {
        const n = this.acknowledged + 1
        const { lastInsertRowid } = await this.session.run('add', [this.number, n])
        if (this.session.lastInsertRowid !== lastInsertRowid) this.faults.push('last insert id')
        this.acknowledged = n
        const { rows } = await this.session.run('count', [this.number], { consistency: 'local' })
        if (String(rows) !== `${n},${n}`) this.faults.push(`${rows} after ${n}`)
      } catch (error) {
        this.faults.push(String(error))
      }
      await new Promise((resolve) => setTimeout(resolve, thinkMs))
    }
  }
}

const clients: SkeinClient[] = []
const workers: SessionWorker[] = []
t.teardown(async () => {
  await Promise.all(workers.map((worker) => worker.stop()))
  await Promise.all(clients.map((client) => client.close()))
})
for (let i = 0; i < clientCount; i++) {
  const client = await connectTo(cluster, must(cluster.ids[i % 3], 'node'), files)
  clients.push(client)
  for (let k = 0; k < sessionsPerClient; k++) {
    workers.push(await SessionWorker.open(client, i * sessionsPerClient + k))
  }
}
for (const worker of workers) worker.start()

const faults = () => workers.flatMap((worker) => worker.faults)
const homes = () => workers.map(({ session }) => session.home)
const countOn = (node: string) => homes().filter((home) => home === node).length
const fullest = () => [...cluster.ids].sort((a, b) => countOn(b) - countOn(a))[0] as string

async function sessions(asked: string): Promise<SessionList> {
  const outcome = await cluster.admin(asked).get('/v1/sessions', 10_000)
  if (outcome.kind === 'answer') return outcome.body as SessionList
  throw new Error(JSON.stringify(outcome))
}

async function goOn(times: number): Promise<void> {
  const before = workers.map(({ acknowledged }) => acknowledged)
  await until(`every session goes on ${times} times`, goesOnWithinMs, async () =>
    workers.every(
      ({ acknowledged, faults: own }, i) =>
        own.length > 0 || acknowledged >= (before[i] ?? 0) + times
    )
  )
}

t.test('M-08 a node that drains gives its sessions away, and no program notices', async (t) => {
  await goOn(3)
  const node = fullest()
  const count = countOn(node)
  t.ok(count > 0)
  const outcome = await cluster.admin(node).post('/v1/drain', { node }, drainTimeoutMs)
  const report = must(outcome.kind === 'answer' ? (outcome.body as DrainReport) : null, 'report')
  t.match(report, { complete: true, report: { sessionsMoved: count, sessionsRefused: 0 } })
  await goOn(3)
  t.same(faults(), [])
  t.equal(countOn(node), 0)
  const { sessions: listed, totals } = await sessions(node)
  t.equal(listed.length, workers.length)
  t.match(totals, { opened: workers.length, moved: count, reattached: 0, lost: 0, expired: 0 })
  t.equal(await cluster.metric(node, 'sessions', 'session_migrations'), count)
  await cluster.admin(node).post('/v1/undrain', { node }, drainTimeoutMs)
})

t.test('one is moved on demand, and a refusal says why', async (t) => {
  const { session } = must(workers[0], 'worker')
  const [from, to] = [must(session.home, 'home'), must(cluster.others(fullest())[0], 'node')]
  const target = to === from ? must(cluster.others(from)[0], 'node') : to
  const path = `/v1/sessions/${session.id}/move`
  await until('the target takes sessions', goesOnWithinMs, async () => {
    const moved = await cluster.admin(target).post(path, { target }, 20_000)
    return moved.kind === 'answer' && (moved.body as { outcome: string }).outcome === 'moved'
  })
  await goOn(2)
  t.equal(session.home, target)
  const refused = await cluster.admin(target).post(path, { target: 'nobody' }, 20_000)
  t.match(refused, { kind: 'answer', body: { outcome: 'refused', refusal: 'unreachable' } })
  const unknown = await cluster.admin(target).post('/v1/sessions/0/move', {}, 20_000)
  t.match(unknown, { kind: 'refused', status: 404 })
  await goOn(2)
  t.same(faults(), [])
})

t.test('M-09 kill -9 of a node: its sessions are taken over with all they had', async (t) => {
  await goOn(3)
  const victim = fullest()
  const count = countOn(victim)
  t.ok(count > 0)
  await cluster.kill(victim)
  await goOn(5)
  t.same(faults(), [])
  t.equal(countOn(victim), 0)
  const other = must(cluster.others(victim)[0], 'node')
  const { sessions: listed, totals } = await sessions(other)
  t.equal(listed.length, workers.length)
  t.match(totals, { opened: workers.length, reattached: count, lost: 0, expired: 0 })
  for (const { session } of workers) {
    t.same(session.settings, { priority: 'high', timeout_ms: '20000' })
    t.same(session.prepared, ['add', 'count'])
  }
})

t.test('M-01 nothing acknowledged is lost, nothing was executed twice', async (t) => {
  await Promise.all(workers.map((worker) => worker.stop()))
  t.same(faults(), [])
  const sql = 'SELECT session, count(*), max(n) FROM counter GROUP BY session ORDER BY session'
  const { rows } = await must(clients[0], 'client').query(sql)
  t.same(
    rows,
    workers.map(({ number, acknowledged }) => [number, acknowledged, acknowledged])
  )
  await Promise.all(workers.map(({ session }) => session.close()))
  const [first, second] = cluster.ids
  const node = (await cluster.supervisor.isReady(must(first, 'id'))) ? first : second
  t.same((await sessions(must(node, 'node'))).sessions, [])
  await t.rejects(must(workers[0], 'worker').session.query('SELECT 1'), {
    code: 'ERR_SKEIN_SESSION_ENDED'
  })
})
