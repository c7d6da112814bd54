/** A node that is slow for seconds: by a long statement, or because its process stands still. */
import t from 'tap'
import type { Outcome } from '../../src/cli/admin-client.js'
import type { QueryAnswer } from '../../src/cli/query-answer.js'
import { ProcessCluster, pause, until } from '../support/process-cluster.js'

const stallMs = 3_000
const clientCount = 4
/** Between a client's writes: without it they take all there is of the processors. */
const thinkMs = 60

/** Runs about as long as it may, whatever the machine: nothing waits in it, it computes. */
const endless = `WITH RECURSIVE counted(n) AS (VALUES(0) UNION ALL SELECT n + 1 FROM counted)
 SELECT count(*) FROM counted`

interface Answer {
  readonly id: number
  readonly outcome: Outcome
  readonly answeredAt: number
}

/** Clients that write numbered rows through the given nodes, each one row after the other. */
class Writers {
  readonly answers: Answer[] = []
  readonly #cluster: ProcessCluster
  #nextId: number
  #isStopped = false
  #loops: Promise<void>[] = []

  constructor(cluster: ProcessCluster, firstId: number) {
    this.#cluster = cluster
    this.#nextId = firstId
  }

  start(through: readonly string[]): void {
    for (let i = 0; i < clientCount; i++) {
      this.#loops.push(this.#loop(through[i % through.length] as string))
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#loops)
  }

  get acknowledged(): readonly Answer[] {
    return this.answers.filter(({ outcome }) => outcome.kind === 'answer')
  }

  get failed(): readonly Answer[] {
    return this.answers.filter(({ outcome }) => outcome.kind !== 'answer')
  }

  async #loop(node: string): Promise<void> {
    while (!this.#isStopped) {
      const id = this.#nextId++
      const outcome = await this.#cluster.query(node, `INSERT INTO event VALUES (${id})`)
      this.answers.push({ id, outcome, answeredAt: performance.now() })
      await pause(thinkMs)
    }
  }
}

/** The product's own defaults. */
const consensus = {
  heartbeatIntervalMs: 100,
  electionTimeoutMinMs: 500,
  electionTimeoutMaxMs: 1_000
}
const cluster = await ProcessCluster.start(t, 3, { consensus })
await cluster.run(await cluster.leader(), 'CREATE TABLE event (id INTEGER PRIMARY KEY)')

/** Who leads each group, and since which term, once every node says the same. */
async function leaderships(): Promise<Readonly<Record<string, string>>> {
  let agreed: Record<string, string> = {}
  // Groups are elected one by one: a node is ready before the control group has a leader.
  await until('every group has one leader that all know', 30_000, async () => {
    const views = await Promise.all(cluster.ids.map((id) => cluster.view(id)))
    const told = views.map(({ groups }) =>
      groups.map(({ name, leader, term }) => {
        const isHandedOver = views.some((view) =>
          view.groups.some((one) => one.name === name && one.term === term && one.handedOver)
        )
        const how = isHandedOver ? ', handed over' : ''
        return [name, `${leader} in term ${term}${how}`] as const
      })
    )
    agreed = Object.fromEntries(told[0] ?? [])
    const isLed = views.every(({ groups }) => groups.every(({ leader }) => leader !== null))
    return isLed && new Set(told.map((groups) => groups.join())).size === 1
  })
  return agreed
}

async function idsFrom(node: string): Promise<ReadonlySet<unknown>> {
  const { rows } = await cluster.run(node, 'SELECT id FROM event')
  return new Set(rows.map(([id]) => id))
}

for (const [i, role] of ['leader', 'follower'].entries()) {
  t.test(`a SELECT of 3 s on the ${role} neither elects nor fails a write`, async (t) => {
    const leader = await cluster.leader()
    const node = role === 'leader' ? leader : (cluster.others(leader)[0] as string)
    const before = await leaderships()
    const writers = new Writers(cluster, (i + 1) * 1_000_000)
    writers.start(cluster.ids)
    const began = performance.now()
    const selected = await cluster.query(node, endless, {
      consistency: 'local',
      timeoutMs: stallMs
    })
    const tookMs = performance.now() - began
    await writers.stop()

    t.match(selected, { kind: 'refused', error: { code: /STATEMENT_TIMEOUT|ERR_SKEIN_TIMEOUT/ } })
    t.ok(tookMs >= stallMs - 200, `it ran for ${Math.round(tookMs)} ms`)
    t.same(await leaderships(), before, 'each group has the same leader in the same term')
    t.same(writers.failed, [], 'no write failed')
    const during = writers.acknowledged.filter(({ answeredAt }) => answeredAt < began + tookMs)
    t.ok(during.length > 50, `${during.length} writes went on meanwhile`)
    t.comment(`${during.length} writes in ${Math.round(tookMs)} ms`)
  })
}

t.test('a leader that stands still for 3 s loses nothing and answers nothing stale', async (t) => {
  const old = await cluster.leader()
  const rest = cluster.others(old)
  const before = await cluster.group(old)
  const led = (await cluster.view(old)).groups.filter(({ role }) => role === 'leader').length
  const lostBefore = await cluster.metric(old, 'consensus', 'leaderships_lost')
  const early = new Writers(cluster, 3_000_000)
  early.start(rest)
  await until('writes are under way', 5_000, async () => early.acknowledged.length > 20)

  cluster.pause(old)
  const pausedAt = performance.now()
  const next = await cluster.leader(rest)
  const electedMs = performance.now() - pausedAt
  t.not(next, old)
  const stopAt = pausedAt + stallMs
  await until('3 s are over', stallMs + 1_000, async () => performance.now() >= stopAt)
  await early.stop()
  const late = early.acknowledged.filter(({ answeredAt }) => answeredAt > pausedAt + electedMs)
  t.ok(late.length > 50, `${late.length} writes under the new leader`)
  const last = early.acknowledged.at(-1)?.id

  const { rows } = await cluster.run(next, 'SELECT count(*), max(id) FROM event')
  // They lie in its sockets when it wakes up, still in the belief that it leads.
  const waiting = Array.from({ length: 24 }, (_, i) =>
    cluster.query(old, `SELECT count(*), max(id), ${i} FROM event`)
  )
  const write = cluster.query(old, 'INSERT INTO event VALUES (3999998)')
  await until('the requests are on their way', 5_000, async () => {
    const { status } = await fetch(`${cluster.node(next).options.admin}/livez`)
    return status === 200
  })
  cluster.resume(old)
  const answers = (await Promise.all(waiting)).flatMap((outcome) =>
    outcome.kind === 'answer' ? [outcome.body as QueryAnswer] : []
  )
  for (const { rows: seen, node } of answers) {
    const [count, newest] = seen[0] as [number, number]
    const isFresh = count >= Number(rows[0]?.[0]) && newest >= Number(rows[0]?.[1])
    t.ok(isFresh, `what ${node} answered has seen every acknowledged write`)
  }
  t.equal(answers.length, waiting.length, 'each read is answered')
  t.equal((await write).kind, 'answer', 'so is a write')

  await until('the old leader follows', 10_000, async () => {
    const group = await cluster.group(old)
    return group.role === 'follower' && group.term > before.term
  })
  const lostNow = () => cluster.metric(old, 'consensus', 'leaderships_lost')
  await until('each group that it led has another', 10_000, async () => {
    return (await lostNow()) >= lostBefore + led
  })
  t.equal(await lostNow(), lostBefore + led, 'each once')
  await cluster.run(old, `INSERT INTO event VALUES (3999999)`)
  const present = await idsFrom(old)
  const lost = early.acknowledged.filter(({ id }) => !present.has(id))
  t.same(lost, [], 'every acknowledged write is there')
  t.ok(present.has(last))
  await until('all replicas are the same', 10_000, async () => {
    const sums = await Promise.all(cluster.ids.map((id) => cluster.checksum(id)))
    return new Set(sums.map(({ index, hash }) => `${index} ${hash}`)).size === 1
  })
  t.same(cluster.unexpectedExits, [])
  const byOld = answers.filter(({ node }) => node === old).length
  t.comment(`a new leader was known after ${Math.round(electedMs)} ms`)
  t.comment(`${byOld} of ${answers.length} reads were executed by the old leader itself`)
})
