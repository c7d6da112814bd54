/** `/readyz` of real processes: its named checks, and what it says while a node drains. */
import t from 'tap'
import { ProcessCluster, until } from '../support/process-cluster.js'

interface Readiness {
  readonly ready: boolean
  readonly checks?: readonly { readonly name: string; readonly ok: boolean }[]
}

const cluster = await ProcessCluster.start(t, 3)
const leader = await cluster.leader()
const [follower] = cluster.others(leader) as [string]

async function readyz(id: string, asked = ''): Promise<{ status: number; body: Readiness }> {
  const headers = { authorization: `Bearer ${cluster.workspace.token}`, connection: 'close' }
  const response = await fetch(`${cluster.node(id).options.admin}/readyz${asked}`, { headers })
  return { status: response.status, body: (await response.json()) as Readiness }
}

t.test('checks have names, are shown on demand and may be passed over', async (t) => {
  t.same(await readyz(follower), { status: 200, body: { ready: true } })
  const { body } = await readyz(follower, '?verbose')
  const names = body.checks?.map(({ name }) => name)
  for (const name of ['started', 'lifecycle', 'leader', 'replicas', 'certificate']) {
    t.ok(names?.includes(name), name)
  }
  const { body: without } = await readyz(follower, '?verbose&exclude=leader,replicas')
  t.notOk(without.checks?.some(({ name }) => name === 'leader' || name === 'replicas'))
})

t.test('a node that drains after SIGTERM says 503 until it is gone, and is served', async (t) => {
  await cluster.run(leader, 'CREATE TABLE drained (n INTEGER)')
  // Work in flight that keeps the node from being gone at once.
  const count = 'c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3000000)'
  const slow = `WITH RECURSIVE ${count} SELECT max(n) FROM c`
  const inFlight = cluster.query(leader, slow, { consistency: 'local', timeoutMs: 4_000 })
  await until('it runs', 5_000, async () => {
    return (await cluster.metric(leader, 'load_balancer', 'queries_in_flight')) > 0
  })
  const stopped = cluster.node(leader).stop()
  const seen: { status: number; body: Readiness }[] = []
  await until('it says that it is not ready', 9_000, async () => {
    const answer = await readyz(leader, '?verbose')
    if (answer.status === 503) seen.push(answer)
    return answer.status === 503
  })
  t.match(seen[0]?.body, { ready: false })
  t.ok(
    seen[0]?.body.checks?.some(({ name, ok }) => name === 'started' && !ok),
    'and by which check'
  )
  t.match(await inFlight, { kind: 'answer' }, 'what was under way is answered')
  await stopped
  const rest = cluster.others(leader)
  await until('another leads', 10_000, async () => rest.includes(await cluster.leader(rest)))
  await cluster.run(rest[0] as string, 'INSERT INTO drained VALUES (1)')
  t.same(cluster.unexpectedExits, [])
})

t.test('who lost the majority is alive, and not ready', async (t) => {
  const rest = cluster.others(leader)
  const last = rest[0] as string
  await cluster.kill(rest[1] as string)
  await until('it says so', 15_000, async () => (await readyz(last)).status === 503)
  const { body } = await readyz(last, '?verbose')
  t.match(
    body.checks?.find(({ name }) => name === 'leader'),
    { ok: false, detail: 'no leader is known' }
  )
  t.equal((await readyz(last, '?exclude=leader')).status, 200)
  t.equal((await fetch(`${cluster.node(last).options.admin}/livez`)).status, 200)
})
