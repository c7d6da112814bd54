/** Changes of the schema over a control group whose leaders die, and groups that are models. */
import t from 'tap'
import { ClusterControlDriver } from '../../../src/control/cluster-control-driver.js'
import { placementSection, SchemaChangesDriver } from '../../../src/control/index.js'
import {
  type SchemaChange,
  schemaChangeById,
  schemaChangesSection
} from '../../../src/control/sections/schema-changes.js'
import { after } from '../../../src/core/deadlines.js'
import { NoLeaderError, type SkeinError, SqlError } from '../../../src/core/errors.js'
import type { GroupId, NodeId } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import { ControlCluster } from '../../support/control-cluster.js'

const id = '0123456789abcdef0123456789abcdef'
const other = 'fedcba9876543210fedcba9876543210'
const sql = 'ALTER TABLE accounts ADD COLUMN note'
/** For one statement in one group. */
const stepMs = 10

/** Data groups that do what they are told once, unless they say why not. */
class ModelGroups {
  readonly done: string[] = []
  readonly refusing = new Set<number>()
  readonly away = new Set<number>()
  readonly #known = new Set<string>()
  readonly #cluster: ControlCluster

  constructor(cluster: ControlCluster) {
    this.#cluster = cluster
  }

  async register(group: GroupId): Promise<void> {
    if (this.away.has(group)) throw new NoLeaderError(`no leader of group ${group} is known`)
  }

  async execute(group: GroupId, text: string, client: { readonly clientId: string }) {
    const { clock } = this.#cluster
    await new Promise<void>((resolve) => clock.schedule(after(clock.now(), stepMs), resolve))
    if (this.away.has(group)) throw new NoLeaderError(`no leader of group ${group} is known`)
    const name = `${group} ${client.clientId}`
    if (this.#known.has(name)) return
    if (this.refusing.has(group)) throw new SqlError('duplicate column name: note')
    this.#known.add(name)
    this.done.push(`${group} ${text}`)
  }
}

async function started() {
  const cluster = new ControlCluster()
  const groups = new ModelGroups(cluster)
  const drivers = new Map<string, SchemaChangesDriver>()
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => warnings.push(message) }
  const start = async (name: string) => {
    const { control } = await cluster.start(name)
    const parts = { clock: cluster.clock, control, logger, groups }
    drivers.set(name, new SchemaChangesDriver(parts))
  }
  for (const name of ['a', 'b', 'c']) await start(name)
  const leader = await cluster.untilLeader()
  const place = (change: Parameters<typeof placementSection.apply>[1]) =>
    cluster.clock.settle(
      cluster.control(leader).change(placementSection, change, { deadline: cluster.deadline() })
    )
  for (const group of [0, 1, 2, 3] as GroupId[]) {
    const placed = { group, voters: ['a', 'b', 'c'] as NodeId[], leader: null }
    await place({ kind: 'setGroup', expectedVersion: null, placed })
  }
  const ranges = [1, 2, 3].map((group, i) => ({ from: i * 2 ** 30, group: group as GroupId }))
  const placed = { table: 'accounts', shardKey: 'id', ranges }
  await place({ kind: 'setTable', expectedVersion: null, placed })
  const driver = (name: string) => drivers.get(name) as SchemaChangesDriver
  /** Told as what came of it. */
  const ask = (name: string, ms = 60_000, changes: { id?: string; table?: string | null } = {}) =>
    driver(name)
      .change({ id, table: 'accounts', sql, deadline: cluster.deadline(ms), ...changes })
      .then(
        () => null,
        (error: unknown) => error as SkeinError
      )
  const kill = (name: string) => {
    cluster.node(name).kill()
    driver(name).stop()
  }
  const look = async (name: string, of = id): Promise<SchemaChange | null> =>
    schemaChangeById(
      await cluster.clock.settle(
        cluster.control(name).read(schemaChangesSection, cluster.deadline())
      ),
      of
    )
  /** As an operator has it. */
  const view = (name: string) => {
    const parts = { clock: cluster.clock, control: cluster.control(name), members: () => [] }
    const recorder = {} as ConstructorParameters<typeof ClusterControlDriver>[0]['recorder']
    const operator = new ClusterControlDriver({ ...parts, recorder })
    const abort = (of = id) =>
      cluster.clock.settle(operator.abortSchemaChange(of, { by: 'ann', timeoutMs: 5_000 }))
    return { abort }
  }
  return { cluster, groups, warnings, start, driver, ask, kill, look, view }
}

const everywhere = [1, 2, 3].map((group) => `${group} ${sql}`)

t.test('each group does it, in order, wherever it was asked for', async (t) => {
  const { cluster, groups, start, ask, look } = await started()
  await start('outside')
  t.equal(await cluster.clock.settle(ask('outside')), null)
  t.same(groups.done, everywhere)
  t.match(await look('a'), { status: 'done', done: 3 })
  t.equal(await cluster.clock.settle(ask('a', 5_000, { id: other, table: null })), null)
  t.same(
    groups.done.slice(3),
    [0, 1, 2, 3].map((group) => `${group} ${sql}`),
    'of every group'
  )
  t.equal(await cluster.clock.settle(ask('a')), null, 'again it is the same')
  t.equal(groups.done.length, 7)
})

t.test(
  'a leader that dies between two groups: the next one goes on, each does it once',
  async (t) => {
    for (let afterMs = 0; afterMs < 60; afterMs += 4) {
      const { cluster, groups, ask, kill, look } = await started()
      const leader = cluster.leader() as string
      const asked = ask(cluster.follower())
      await cluster.clock.advance(afterMs)
      kill(leader)
      t.equal(await cluster.clock.settle(asked), null, `killed after ${afterMs} ms`)
      t.same(groups.done, everywhere, `killed after ${afterMs} ms`)
      t.match(await look(await cluster.untilLeader()), { status: 'done' })
    }
  }
)

t.test('a leader that has not applied the end of a change tries nothing', async (t) => {
  const { cluster, groups, warnings, start, ask, kill, look } = await started()
  t.equal(await cluster.clock.settle(ask('a')), null)
  t.equal(await cluster.clock.settle(ask('a', 5_000, { id: other })), null)
  for (const name of ['a', 'b', 'c']) kill(name)
  // From an empty state on, so what has ended is under way again for some moments.
  for (const name of ['a', 'b', 'c']) await start(name)
  await cluster.untilLeader()
  await cluster.clock.advance(2_000)
  t.match(await look('a'), { status: 'done' })
  t.same(warnings, [])
  t.equal(groups.done.length, 6)
})

t.test('who asked dies: it is brought to its end', async (t) => {
  const { cluster, groups, ask, kill, look } = await started()
  const leader = cluster.leader() as string
  const asker = cluster.follower()
  void ask(asker)
  await cluster.clock.until(() => groups.done.length === 1)
  kill(asker)
  await cluster.clock.until(() => groups.done.length === 3)
  await cluster.clock.advance(1_000)
  t.match(await look(leader), { status: 'done', done: 3 })
})

t.test('a group without a leader holds it up; who waits is told that it goes on', async (t) => {
  const { cluster, groups, ask, look } = await started()
  groups.away.add(2)
  t.match(await cluster.clock.settle(ask('a', 2_000)), {
    code: 'ERR_SKEIN_INDETERMINATE',
    message: new RegExp(id),
    details: { schemaChange: id }
  })
  t.match(await look('b'), { status: 'running', done: 1 })
  t.match(await cluster.clock.settle(ask('b', 2_000, { id: other })), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'busy', schemaChange: id }
  })
  const waiting = ask('b', 60_000, { id: other })
  await cluster.clock.advance(1_000)
  groups.away.clear()
  t.equal(await cluster.clock.settle(waiting), null, 'after the first it has its turn')
  t.same(groups.done, [...everywhere, ...everywhere])
})

t.test('what its first group holds up is aborted, and never done', async (t) => {
  const { cluster, groups, ask, look, view } = await started()
  groups.away.add(1)
  const asked = ask('a')
  await cluster.clock.advance(5_000)
  t.match(await look('b'), { status: 'running', done: 0, epoch: 0 })
  t.match(await view('b').abort(), { id, status: 'aborted', doneIn: [], reason: 'aborted by ann' })
  t.match(await cluster.clock.settle(asked), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'aborted', schemaChange: id }
  })
  t.match(await view('c').abort(), { status: 'aborted' }, 'again is harmless')
  groups.away.clear()
  await cluster.clock.advance(60_000)
  t.same(groups.done, [])
  t.equal(await cluster.clock.settle(ask('a', 5_000, { id: other })), null, 'the table is free')
})

t.test('what a group has, or may have, is not aborted', async (t) => {
  const { cluster, groups, ask, look, view } = await started()
  groups.away.add(2)
  const asked = ask('a')
  await cluster.clock.until(() => groups.done.length === 1)
  await cluster.clock.advance(1_000)
  await t.rejects(view('b').abort(), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    message: /groups 1 have it, group 2 may/,
    details: { reason: 'claimed', doneIn: ['1'] }
  })
  groups.away.clear()
  t.equal(await cluster.clock.settle(asked), null, 'it goes on')
  await t.rejects(view('b').abort(), { message: /it is done/ })
  await t.rejects(view('b').abort(other), { code: 'ERR_SKEIN_NOT_FOUND' })
  t.match(await look('a'), { status: 'done' })
})

t.test('aborted at any moment it is done everywhere or nowhere', async (t) => {
  for (let afterMs = 0; afterMs < 42; afterMs += 6) {
    const { cluster, groups, ask, view } = await started()
    const asked = ask('a')
    await cluster.clock.advance(afterMs)
    const aborted = await view('b')
      .abort()
      .then(
        () => true,
        () => false
      )
    const error = await cluster.clock.settle(asked)
    await cluster.clock.advance(5_000)
    t.equal(error === null, !aborted, `after ${afterMs} ms`)
    t.same(groups.done, aborted ? [] : everywhere, `after ${afterMs} ms`)
  }
})

t.test('what the first group says against it changes nothing', async (t) => {
  const { cluster, groups, ask, look } = await started()
  groups.refusing.add(1)
  t.match(await cluster.clock.settle(ask('a')), {
    code: 'ERR_SKEIN_SQL',
    message: 'duplicate column name: note'
  })
  t.same(groups.done, [])
  t.match(await look('a'), { status: 'refused', done: 0 })
})

t.test('a later group’s refusal stops it, and says who has it', async (t) => {
  const { cluster, groups, ask, look } = await started()
  groups.refusing.add(3)
  t.match(await cluster.clock.settle(ask('a')), {
    code: 'ERR_SKEIN_SQL',
    message: /done in groups 1, 2, not in 3/,
    details: { schemaChange: id, doneIn: ['1', '2'], failedIn: 3, code: 'ERR_SKEIN_SQL' }
  })
  t.match(await look('a'), { status: 'stopped', done: 2, reason: 'duplicate column name: note' })
  groups.refusing.clear()
  t.equal(await cluster.clock.settle(ask('a', 5_000, { id: other })), null, 'the table is free')
})

t.test('a node that stops sends who waits elsewhere, under the same id', async (t) => {
  const { cluster, groups, ask, driver } = await started()
  groups.away.add(2)
  const asker = cluster.follower()
  const asked = ask(asker)
  await cluster.clock.until(() => groups.done.length === 1)
  driver(asker).stop()
  t.match(await cluster.clock.settle(asked), { code: 'ERR_SKEIN_CONTINUED_ELSEWHERE' })
  const again = ask(cluster.leader() as string)
  groups.away.clear()
  t.equal(await cluster.clock.settle(again), null)
  t.same(groups.done, everywhere)
})

t.test('a table that is spread nowhere is refused', async (t) => {
  const { cluster, ask } = await started()
  t.match(await cluster.clock.settle(ask('a', 5_000, { table: 'words' })), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'unknownTable' }
  })
})
