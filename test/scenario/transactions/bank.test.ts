/** Transactions over groups that real replicas carry, over memory and virtual time. */
import t from 'tap'
import { IndeterminateError } from '../../../src/core/errors.js'
import type { GroupId, NodeId, Serial } from '../../../src/core/ids.js'
import { toClientId } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import type { Messenger } from '../../../src/core/ports/messenger.js'
import type { ClientTag } from '../../../src/core/ports/replicated-group.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { TransactionsDriver } from '../../../src/failover/two-phase/transactions-driver.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const groups = [0, 1, 2] as GroupId[]
const names = ['a', 'b', 'c']
const accountsPerGroup = 3
const total = groups.length * accountsPerGroup * 100

type Request = Parameters<TransactionsDriver['execute']>[0]

function bank(seed: number) {
  const drivers = new Map<Messenger, TransactionsDriver>()
  const current = new Map<string, TransactionsDriver>()
  const short = { logEntriesMax: 64, logTailShare: 0.1 }
  const cluster: TestCluster = new TestCluster({
    seed,
    groups,
    syncLatencyMs: 3,
    consensus: short,
    sections: (name, group, { messenger, clock }) => {
      const known = drivers.get(messenger)
      if (known !== undefined) return [known.sectionOf(group)]
      const driver = new TransactionsDriver(
        {
          clock,
          messenger,
          random: SplittableRandom.fromSeed(seed).split(name),
          logger: silentLogger,
          replicaOf: (id) => cluster.node(name).driver.group(id),
          leaderOf: (id) => cluster.node(name).driver.leaderOf(id)
        },
        { nodeId: name as NodeId }
      )
      driver.start()
      drivers.set(messenger, driver)
      current.set(name, driver)
      return [driver.sectionOf(group)]
    }
  })
  // A process that has lost its power answers nobody.
  const run = (name: string, request: Omit<Request, 'deadline'>) =>
    new Promise<Awaited<ReturnType<TransactionsDriver['execute']>>>((resolve, reject) => {
      const driver = current.get(name) as TransactionsDriver
      driver.execute({ ...request, deadline: cluster.deadline(1_500) }).then(resolve, reject)
      cluster.clock.schedule(cluster.deadline(2_000), () =>
        reject(new IndeterminateError('no answer'))
      )
    })
  return { cluster, current, run }
}

type World = ReturnType<typeof bank>

const account = (group: number, at: number): string => `g${group}-${at}`

const requestOf = (parts: readonly (readonly [GroupId, string])[], client: ClientTag | null) => {
  const order = [...new Set(parts.map(([group]) => group))]
  const branches = order.map((group) => {
    const statements = parts.flatMap(([of], at) => (of === group ? [at] : []))
    return { group, statements, reads: statements.every((at) => parts[at]?.[1].startsWith('get')) }
  })
  return { statements: parts.map(([, sql]) => ({ sql })), branches, client }
}

/** Sent to whoever leads until there is an answer, under one number. */
async function carriedOut(
  { cluster, run }: World,
  parts: Parameters<typeof requestOf>[0],
  tag: ClientTag | null
) {
  for (let attempt = 0; attempt < 60; attempt++) {
    const [coordinating] = parts[0] as readonly [GroupId, string]
    const leader = cluster.leader(coordinating)
    if (leader !== null) {
      try {
        return await run(leader, requestOf(parts, tag))
      } catch (error) {
        const { code } = error as { code?: string }
        if (code === undefined) throw error
      }
    }
    await new Promise<void>((resolve) => {
      cluster.clock.schedule(cluster.deadline(50), resolve)
    })
  }
  throw new Error('it was never carried out')
}

const everything = groups.flatMap((group) =>
  Array.from({ length: accountsPerGroup }, (_, at) => [group, `get ${account(group, at)}`] as const)
)

const sumOf = async (world: World): Promise<number> => {
  const { results } = await carriedOut(world, everything, null)
  return results.reduce((sum, { rows }) => sum + Number(rows[0]?.[0]), 0)
}

async function opened(world: World): Promise<void> {
  const { cluster } = world
  await cluster.startAll()
  for (const group of groups) await cluster.untilLeader(group)
  for (const group of groups) {
    const leader = cluster.group(cluster.leader(group) as string, group)
    for (let at = 0; at < accountsPerGroup; at++) {
      const statements = [{ sql: `set ${account(group, at)} 100` }]
      const written = leader.write({ statements, client: null, deadline: cluster.deadline() })
      await cluster.clock.settle(written)
    }
  }
}

async function registered({ cluster }: World, client: string): Promise<void> {
  for (const group of groups) {
    const leader = cluster.group(cluster.leader(group) as string, group)
    await cluster.clock.settle(leader.registerClient(toClientId(client), cluster.deadline()))
  }
}

t.test('T-20 a list over groups is committed whole, or fails whole', async (t) => {
  const world = bank(1)
  await opened(world)
  const { cluster } = world
  await registered(world, 'bob')
  const tag = { clientId: toClientId('bob'), serial: 1 as Serial, answeredBelow: 1 as Serial }
  const parts = [
    [groups[0], `add ${account(0, 0)} -7`],
    [groups[1], `add ${account(1, 0)} 7`],
    [groups[1], `get ${account(1, 0)}`]
  ] as [GroupId, string][]
  const first = await cluster.clock.settle(carriedOut(world, parts, tag))
  t.match(first.results, [{ rowsAffected: 1 }, { rowsAffected: 1 }, { rows: [['107']] }])
  const again = await cluster.clock.settle(carriedOut(world, parts, tag))
  t.same(again.results, first.results, 'executed once, answered alike')
  t.equal(await cluster.clock.settle(sumOf(world)), total)
  const leader = cluster.leader(groups[0]) as string
  const failing = world.run(
    leader,
    requestOf([...parts.slice(0, 2), [groups[2] as GroupId, `expect ${account(2, 0)} 1`]], null)
  )
  await t.rejects(cluster.clock.settle(failing), {
    code: 'ERR_SKEIN_SQL_CONSTRAINT',
    details: { statement: 2 }
  })
  t.equal(await cluster.clock.settle(sumOf(world)), total)
})

for (const seed of [1, 2, 3, 4]) {
  t.test(`T-20 a bank over groups, nodes lose power, each command is once: ${seed}`, async (t) => {
    const world = bank(seed)
    await opened(world)
    const { cluster } = world
    const random = SplittableRandom.fromSeed(seed).split('load')
    const clients = ['bob', 'eve', 'kim']
    for (const client of clients) await registered(world, client)
    let sums = 0
    const work = clients.map(async (client, number) => {
      for (let serial = 1; serial <= 12; serial++) {
        const from = groups[random.nextInt(groups.length)] as GroupId
        const to = groups[(from + 1 + random.nextInt(groups.length - 1)) % groups.length] as GroupId
        const parts = [
          [from, `add ${account(from, random.nextInt(accountsPerGroup))} -5`],
          [from, `add done-${client} 1`],
          [to, `add ${account(to, random.nextInt(accountsPerGroup))} 5`]
        ] as [GroupId, string][]
        const tag = { clientId: toClientId(client), serial: serial as Serial }
        await carriedOut(world, parts, { ...tag, answeredBelow: serial as Serial })
        if (serial % 4 === number) {
          t.equal(await sumOf(world), total)
          sums++
        }
      }
    })
    let isOver = false
    const all = Promise.all(work).finally(() => {
      isOver = true
    })
    all.catch(() => {})
    while (!isOver) {
      await cluster.clock.advance(200 + random.nextInt(400))
      const victim = names[random.nextInt(names.length)] as string
      cluster.crash(victim)
      await cluster.clock.advance(100 + random.nextInt(500))
      await cluster.start(victim)
      await cluster.clock.advance(1_000)
    }
    await all
    t.ok(sums > 0)
    t.equal(await cluster.clock.settle(sumOf(world)), total)
    let done = 0
    for (const group of groups) {
      const leader = await cluster.untilLeader(group)
      const parts = clients.map((client) => ({ sql: `get done-${client}` }))
      const atLeastIndex = cluster.group(leader, group).status().appliedIndex
      const deadline = cluster.deadline()
      const read = cluster.group(leader, group).read({ statements: parts, atLeastIndex, deadline })
      for (const { rows } of (await cluster.clock.settle(read)).results) {
        done += Number(rows[0]?.[0] ?? 0)
      }
    }
    t.equal(done, clients.length * 12, 'each was executed once')
    await cluster.clock.advance(5_000)
    for (const name of names) {
      t.same(world.current.get(name)?.list(), { inDoubt: 0, transactions: [] }, name)
    }
  })
}
