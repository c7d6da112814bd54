/** `skein init --from`: a database that is there becomes the content of a new cluster. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { ClusterNetworkManager } from '../../lib/index.js'
import { Isolations, sqliteEngine } from '../../lib/sqlite.js'
import { CONTROL_GROUP, type NodeId } from '../../src/core/index.js'
import { until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const timeoutMs = 30_000
const voters = ['a', 'b', 'c']
const directory = await temporaryDirectory(t)
const file = join(directory, 'app.db')
const data = join(directory, 'data')
const running = new Map<string, ClusterNetworkManager>()
t.teardown(async () => {
  for (const manager of running.values()) await manager.stop({ drain: false })
})

const db = new Database(file)
db.exec(`
  CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
  CREATE TABLE log (what TEXT);
  CREATE UNIQUE INDEX by_lower ON people (lower(name));
  CREATE TRIGGER noted AFTER INSERT ON people BEGIN INSERT INTO log VALUES (new.name); END;
  INSERT INTO people (name) VALUES ('Ada'), ('Bob');
`)
db.close()

async function start(id: string): Promise<ClusterNetworkManager> {
  const manager = ClusterNetworkManager.create({
    preset: 'local',
    engine: sqliteEngine({ isolation: Isolations.Thread, readers: 1 }),
    config: {
      node: { id, listenAddress: '127.0.0.1:0', dataDirectory: join(data, id) },
      cluster: {
        name: 'flock',
        groups: 2,
        seeds: [...running.values()].map((other) => other.getClusterView().address),
        ...(voters.includes(id) ? { bootstrap: { voters } } : {})
      },
      security: { insecure: true }
    }
  })
  await manager.start()
  running.set(id, manager)
  return manager
}

const nodes = voters.flatMap((id) => ['--node', id])
const init = (...args: string[]) =>
  skein('init', '--from', file, '--data', data, '--cluster', 'flock', ...args)

t.test('what cannot be made leaves nothing', async (t) => {
  t.match(await init('--node', 'A'), { status: 2, stderr: /bootstrap.voters.*must match/ })
  t.match(await init(), { status: 2, stderr: /bootstrap.voters/ })
  t.match(await init('--node', 'a', '--node', 'a'), {
    status: 2,
    stderr: /must name each voter once/
  })
  t.match(await skein('init', '--from', `${file}.none`, '--data', data, ...nodes), {
    status: 1,
    stderr: /ERR_SKEIN_ADOPTION_REFUSED/
  })
  t.match(await skein('init', '--from', file, '--data', directory, ...nodes), {
    status: 1,
    stderr: /ERR_SKEIN_TARGET_NOT_EMPTY: .*it holds app\.db/
  })
})

t.test('the same content on every node, from the first moment on', async (t) => {
  const made = await init(...nodes, '--groups', '2', '--json')
  t.equal(made.status, 0, made.stderr)
  const { clusterId, adopted } = JSON.parse(made.stdout)
  t.match(adopted, { tables: 2, warnings: [] })
  t.match(await init(...nodes), { status: 1, stderr: /ERR_SKEIN_TARGET_NOT_EMPTY/ })
  const managers: ClusterNetworkManager[] = []
  for (const id of voters) managers.push(await start(id))
  await until('every group has a leader', timeoutMs, async () =>
    managers.every((manager) => {
      const { groups } = manager.getClusterView()
      return groups.length === 3 && groups.every(({ leader }) => leader !== null)
    })
  )
  for (const manager of managers) {
    t.equal(manager.getClusterView().clusterId, clusterId)
    const { rows } = await manager.executeQuery('SELECT name FROM people ORDER BY id', {
      consistency: 'local'
    })
    t.same(rows, [['Ada'], ['Bob']], manager.nodeId)
  }
  const [first] = managers
  await first?.executeQuery("INSERT INTO people (name) VALUES ('Cyd')")
  const { index = 0 } = (await first?.executeQuery('SELECT 1')) ?? {}
  const sums = new Set<string>()
  for (const manager of managers) {
    await until(`${manager.nodeId} has applied it`, timeoutMs, async () => {
      const [group] = manager.getClusterView().groups
      return (group?.appliedIndex ?? 0) >= index
    })
    const [sum] = await manager.checksums()
    sums.add(sum?.hash ?? '')
    const { rows } = await manager.executeQuery('SELECT what FROM log', { consistency: 'local' })
    t.same(
      rows,
      [['Ada'], ['Bob'], ['Cyd']],
      `the trigger has fired once, seen by ${manager.nodeId}`
    )
  }
  t.equal(sums.size, 1)
})

t.test('a node that is added gets it too, and nothing is lost by a restart', async (t) => {
  const fourth = await start('d')
  const [first] = running.values()
  await until('d is a member', timeoutMs, async () =>
    (first?.getAliveMembers() ?? []).some(({ nodeId }) => nodeId === 'd')
  )
  await first?.addNode('d' as NodeId, { timeoutMs })
  await until('d has all', timeoutMs, async () => {
    const { rows } = await fourth.executeQuery('SELECT count(*) FROM people', {
      consistency: 'local'
    })
    return rows[0]?.[0] === 3
  })
  await running.get('a')?.stop({ drain: false })
  running.delete('a')
  const again = await start('a')
  await until('a is back', timeoutMs, async () => {
    const { rows } = await again.executeQuery('SELECT name FROM people ORDER BY id')
    return rows.length === 3
  })
  t.ok(again.getClusterView().groups.some(({ group }) => group === CONTROL_GROUP))
})
