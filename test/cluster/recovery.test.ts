/**
 * R-M19: two of three real processes are destroyed for good; the third goes on by `skein recover`,
 * and grows to three again.
 */
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { groupName, must } from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

const timeoutMs = 60_000
const writes = 40

const cluster = await ProcessCluster.start(t, 3, {
  cluster: { groups: 2 }
})
const leader = await cluster.leader()
const [survivor, returning] = cluster.others(leader) as [string, string]
const place = (name: string) => join(cluster.workspace.directory, name)
const plan = place('plan.json')
let clusterIdBefore = ''

const recover = (...args: string[]) => skein('recover', ...args)
const onSurvivor = (...args: string[]) =>
  skein(
    ...args,
    ...['--admin', cluster.node(survivor).options.admin],
    ...['--token-file', cluster.workspace.authority.tokenFile]
  )
const numbers = (rows: readonly (readonly unknown[])[] = []) => rows.map(([number]) => number)
const everything = 'SELECT number FROM kept ORDER BY number'
const acknowledged = Array.from({ length: writes }, (_, number) => number)

t.test('two of three are gone for good', async (t) => {
  await cluster.run(leader, 'CREATE TABLE kept (number INTEGER PRIMARY KEY)')
  for (const number of acknowledged) {
    await cluster.run(leader, `INSERT INTO kept VALUES (${number})`)
  }
  await until('the survivor holds what was acknowledged', timeoutMs, async () => {
    const { rows } = await cluster.run(survivor, everything, { consistency: 'local' })
    return rows?.length === writes
  })
  clusterIdBefore = must((await cluster.view(survivor)).clusterId, 'cluster id')
  t.match(await recover('show', '--data', place(survivor)), {
    status: 1,
    stderr: /ERR_SKEIN_DATA_DIRECTORY_IN_USE/
  })
  for (const id of [leader, returning]) await cluster.kill(id)
  await until('the survivor serves nobody', timeoutMs, async () => {
    const outcome = await cluster.query(survivor, 'SELECT 1', { timeoutMs: 1_000 })
    return outcome.kind !== 'answer'
  })
  await cluster.kill(survivor)
  await rename(place(returning), place('returning'))
  await rm(place(leader), { recursive: true })
})

t.test('a plan accounts for every voter, and is followed with force alone', async (t) => {
  const shown = await recover('show', '--data', place(survivor), '--json')
  t.equal(shown.status, 0, shown.stderr)
  const { replicas } = JSON.parse(shown.stdout)
  t.same(
    replicas.map(({ group }: { group: never }) => groupName(group)),
    ['0', '1', 'control']
  )
  for (const { lastIndex, committedIndex } of replicas) t.ok(committedIndex <= lastIndex)

  const given = ['--data', place(survivor), '--out', plan]
  const forgotten = await recover('plan', ...given, '--lost', leader)
  t.match(forgotten, {
    status: 1,
    stderr: new RegExp(`RECOVERY_REFUSED: not accounted for: ${returning};`)
  })
  const lost = ['--lost', leader, '--lost', returning]
  t.match(await recover('plan', ...given, ...lost, '--lost', survivor), { status: 2 })
  const planned = await recover('plan', ...given, ...lost)
  t.match(planned, { status: 0, stdout: /group 0: what was acknowledged after 20.* is LOST/ })
  t.comment(planned.stdout)

  const follow = ['apply', '--plan', plan, '--data', place(survivor)]
  t.match(await recover(...follow), { status: 1, stdout: /LOST/, stderr: /say --force/ })
  const forced = ['--force', '--by', 'ann', '--reason', 'two disks burnt']
  const followed = await recover(...follow, ...forced)
  t.match(followed, { status: 0, stdout: /follows the plan: cluster demo/ }, followed.stderr)
  t.match(await recover(...follow, ...forced), { status: 0, stdout: /already/ }, 'once')
  t.match(await recover('apply', '--plan', plan, '--data', place('returning'), '--force'), {
    status: 1,
    stderr: /ERR_SKEIN_RECOVERY_REFUSED: the plan has no part/
  })
})

t.test('the survivor serves alone, with all that it held', async (t) => {
  await cluster.node(survivor).start()
  t.equal(await cluster.leader([survivor]), survivor)
  const { rows } = await cluster.run(survivor, everything)
  t.same(numbers(rows), acknowledged)
  await cluster.run(survivor, `INSERT INTO kept VALUES (${writes})`)
  t.not((await cluster.view(survivor)).clusterId, clusterIdBefore)
  const { groups } = await cluster.view(survivor)
  for (const { voters } of groups) t.same(voters, [survivor])
  await until('the audit trail has it', timeoutMs, async () => {
    const outcome = await cluster.admin(survivor).get('/v1/audit', 5_000)
    return /two disks burnt/.test(JSON.stringify(outcome))
  })
})

t.test('who was lost and comes back is refused', async (t) => {
  await rename(place('returning'), place(returning))
  const stranger = cluster
    .node(returning)
    .start()
    .catch(() => {})
  await until('it is refused', timeoutMs, async () => {
    const refused = [survivor, returning].map((id) =>
      cluster.metric(id, 'communication', 'handshakes_refused')
    )
    return Math.max(...(await Promise.all(refused))) > 0
  })
  const seen = (await cluster.view(survivor)).members.find(({ nodeId }) => nodeId === returning)
  t.not(seen?.liveness, 'alive', 'it is no member')
  t.equal((await cluster.group(survivor)).leader, survivor)
  await cluster.kill(returning)
  await stranger
  await rm(place(returning), { recursive: true })
})

t.test('it grows to three again, and bears the loss of the survivor', async (t) => {
  const newcomers = [leader, returning]
  await Promise.all(
    newcomers.map((id) =>
      cluster
        .node(id)
        .start()
        .catch(() => {})
    )
  )
  for (const id of newcomers) {
    await until(`${id} is added`, timeoutMs, async () => {
      const added = await onSurvivor('members', 'add', id, '--json')
      if (added.status !== 0) throw new Error(added.stderr)
      return true
    })
  }
  const { groups } = await cluster.view(survivor)
  for (const { voters } of groups) t.same([...voters].sort(), [...cluster.ids].sort())
  await cluster.run(survivor, `INSERT INTO kept VALUES (${writes + 1})`)
  await cluster.kill(survivor)
  await cluster.leader(newcomers)
  const { rows } = await cluster.run(leader, everything, { timeoutMs: 30_000 })
  t.same(numbers(rows), [...acknowledged, writes, writes + 1])
})
