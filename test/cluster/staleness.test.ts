/** R-Q09 with real processes: a bound on staleness is proved, or the read is refused. */
import t from 'tap'
import { SkeinClient } from '../../lib/client.js'
import { must } from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

const timeoutMs = 60_000

const cluster = await ProcessCluster.start(t, 3)
const leader = await cluster.leader()
const follower = must(cluster.others(leader)[0], 'follower')

const query = (...args: string[]) =>
  skein(
    ...['query', 'SELECT count(*) FROM geese', '--consistency', 'local', ...args],
    ...['--admin', cluster.node(follower).options.admin],
    ...['--token-file', cluster.workspace.authority.tokenFile]
  )

t.test('a follower proves how old its answer can be', async (t) => {
  await cluster.run(leader, 'CREATE TABLE geese (name TEXT)')
  await cluster.run(leader, "INSERT INTO geese VALUES ('greylag')")
  const answer = await query('--max-staleness-ms', '5000', '--json')
  t.equal(answer.status, 0, answer.stderr)
  const { node, rows, stalenessMs } = JSON.parse(answer.stdout)
  t.match({ node, rows }, { node: follower, rows: [[1]] })
  t.ok(stalenessMs >= 0 && stalenessMs <= 5_000, `${stalenessMs} ms`)
  t.match(await query(), { status: 0, stdout: /by n\d, at most \d+ ms old\)/ })

  const client = await SkeinClient.connect({
    ...cluster.workspace.clientAccess,
    addresses: [cluster.node(follower).options.address],
    timeoutMs: 20_000
  })
  t.teardown(() => client.close())
  const choices = { consistency: 'local', maxStalenessMs: 5_000 } as const
  const told = await client.query('SELECT count(*) FROM geese', undefined, choices)
  t.ok(told.stalenessMs !== undefined && told.stalenessMs <= 5_000)
  const wrong = await query('--max-staleness-ms', '5000', '--consistency', 'leader')
  t.match(wrong, { status: 1, stderr: /ERR_SKEIN_INVALID_ARGUMENT: maxStalenessMs/ })
})

t.test('alone it refuses a bound, and answers without one', async (t) => {
  for (const id of cluster.others(follower)) await cluster.kill(id)
  await until('it cannot prove a second any more', timeoutMs, async () => {
    const refused = await query('--max-staleness-ms', '1000')
    return refused.status === 1 && /ERR_SKEIN_TOO_STALE.* ms are proved/.test(refused.stderr)
  })
  t.match(await query(), { status: 0, stdout: /at most \d+ ms old\)/ })
  t.ok((await cluster.metric(follower, 'consensus', 'reads_too_stale')) > 0)
})
