/** Three nodes become five and three others, by `skein members`, under load: no write fails. */
import t from 'tap'
import type { ReplicaChecksum } from '../../src/cli/demo/supervisor.js'
import type { MemberChangeReport } from '../../src/core/index.js'
import { ProcessCluster, pause, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

/** Between a client's writes: the processors are for those who elect and catch up. */
const thinkMs = 60
const caughtUpWithinMs = 60_000
const changedWithinMs = 120_000
const dataGroups = 2
/** With the control group. */
const groups = dataGroups + 1

const cluster = await ProcessCluster.start(t, 5, {
  cluster: { bootstrap: { voters: ['n1', 'n2', 'n3'] }, groups: dataGroups }
})

/** What `skein members …` prints when it asks one node. */
async function members(asked: string, ...args: string[]): Promise<MemberChangeReport> {
  const connection = ['--admin', cluster.node(asked).options.admin, '--json']
  const token = ['--token-file', cluster.workspace.authority.tokenFile]
  const { status, stdout, stderr } = await skein('members', ...args, ...connection, ...token)
  if (status === 0) return JSON.parse(stdout)
  throw new Error(stderr)
}

const votersOf = async (id: string): Promise<string[]> =>
  (await cluster.view(id)).groups.map(({ voters }) => voters.join(' '))

/** Writes through one node until stopped; each must be done, however long it waits. */
function traffic(node: string, firstId: number) {
  const acknowledged: number[] = []
  const faults: unknown[] = []
  let isStopped = false
  const loop = async () => {
    for (let id = firstId; !isStopped; id++) {
      const written = await cluster.query(node, `INSERT INTO event VALUES (${id})`, {
        timeoutMs: 20_000
      })
      if (written.kind === 'answer') acknowledged.push(id)
      else faults.push({ node, id, written })
      await pause(thinkMs)
    }
  }
  const done = loop()
  return {
    acknowledged,
    faults,
    stop() {
      isStopped = true
      return done
    }
  }
}

t.test('R-M16 three, five, three other nodes under load: every write is done', async (t) => {
  await cluster.run(
    await cluster.leader(['n1', 'n2', 'n3']),
    'CREATE TABLE event (id INTEGER PRIMARY KEY)'
  )
  const writers = cluster.ids.map((node, i) => traffic(node, (i + 1) * 1_000_000))
  t.teardown(() => Promise.all(writers.map((writer) => writer.stop())))
  const afterAll = (count: number) =>
    until(`${count} more writes of each`, caughtUpWithinMs, async () => {
      return writers.every(({ acknowledged }, i) => acknowledged.length >= (begun[i] ?? 0) + count)
    })
  let begun = writers.map(() => 0)
  await afterAll(5)
  const plan = await members('n5', 'add', 'n4', '--dry-run')
  t.equal(plan.groups.length, groups)
  for (const group of plan.groups) {
    t.match(group, { outcome: 'planned', votersBefore: ['n1', 'n2', 'n3'], quorumSurvives: true })
    t.match(group.warnings, [/4 voters tolerate no more failures than 3/])
  }
  t.same(await votersOf('n4'), [], 'a dry run changes nothing')
  const changes = [
    ['n5', 'add', 'n4'],
    ['n4', 'add', 'n5'],
    ['n3', 'remove', 'n1'],
    ['n1', 'remove', 'n2']
  ] as const
  for (const [asked, verb, node] of changes) {
    begun = writers.map(({ acknowledged }) => acknowledged.length)
    // Where a leader was lost on the way nobody knows what became of the call: it is made again.
    await until(`${verb} ${node}`, changedWithinMs, async () => {
      const report = await members(asked, verb, node)
      t.equal(report.groups.length, groups)
      const votes = (voters: readonly string[]) => voters.includes(node)
      return report.groups.every(({ voters }) => votes(voters) === (verb === 'add'))
    })
    await afterAll(5)
  }
  t.same(await votersOf('n4'), Array(groups).fill('n3 n4 n5'))
  const again = await members('n2', 'remove', 'n1')
  for (const group of again.groups) t.match(group, { outcome: 'unchanged' })
  for (const writer of writers) await writer.stop()
  for (const { faults } of writers) t.same(faults, [])
  const written = writers.flatMap(({ acknowledged }) => acknowledged)
  const { rows } = await cluster.run('n1', 'SELECT count(*) FROM event')
  t.equal(rows[0]?.[0], written.length, 'nothing that was acknowledged is lost')
  await until('the voters are equal', caughtUpWithinMs, async () => {
    const contents = await Promise.all(['n3', 'n4', 'n5'].map((id) => contentOf(id)))
    return new Set(contents).size === 1
  })
  t.same(cluster.unexpectedExits, [])
})

async function contentOf(id: string): Promise<string> {
  const outcome = await cluster.admin(id).get('/v1/checksums', 10_000)
  if (outcome.kind !== 'answer') throw new Error(`${id} has no checksums`)
  const { replicas } = outcome.body as { readonly replicas: readonly ReplicaChecksum[] }
  return JSON.stringify(replicas)
}
