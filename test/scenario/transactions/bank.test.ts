/** Transactions over groups that real replicas carry, over memory and virtual time. */
import t from 'tap'
import { type GroupId, type Serial, toClientId } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { EngineLooks } from '../../support/engine-looks.js'
import {
  account,
  accountsPerGroup,
  bank,
  carriedOut,
  groups,
  names,
  opened,
  registered,
  requestOf,
  startBalance,
  type World
} from '../../support/two-phase/replicated-bank.js'

const total = groups.length * accountsPerGroup * startBalance

const everything = groups.flatMap((group) =>
  Array.from({ length: accountsPerGroup }, (_, at) => [group, `get ${account(group, at)}`] as const)
)

const sumOf = async (world: World): Promise<number> => {
  const { results } = await carriedOut(world, everything, null)
  return results.reduce((sum, { rows }) => sum + Number(rows[0]?.[0]), 0)
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

t.test('T-20 branches that come at once are prepared together', async (t) => {
  const looks = new EngineLooks()
  const world = bank(1, { wrap: (engine, group) => (group === 1 ? looks.wrap(engine) : engine) })
  await opened(world)
  const { cluster } = world
  const transfers = Array.from({ length: accountsPerGroup }, (_, at) =>
    carriedOut(
      world,
      [
        [groups[0], `add ${account(0, at)} -7`],
        [groups[1], `add ${account(1, at)} 7`]
      ] as [GroupId, string][],
      null
    )
  )
  for (const transfer of transfers) await cluster.clock.settle(transfer)
  t.ok(looks.atOnceMax >= accountsPerGroup - 1, 'the first may go at once')
  t.equal(await cluster.clock.settle(sumOf(world)), total)
})

t.test('T-20 a decision is forgotten with the next entry, or soon without one', async (t) => {
  const world = bank(1)
  await opened(world)
  const { cluster, current } = world
  const leader = cluster.leader(groups[0]) as string
  const applied = () => cluster.group(leader, groups[0]).status().appliedIndex
  const before = applied()
  const parts = [
    [groups[0], `add ${account(0, 0)} -1`],
    [groups[1], `add ${account(1, 0)} 1`]
  ] as [GroupId, string][]
  for (let transfers = 1; transfers <= 4; transfers++) {
    await cluster.clock.settle(carriedOut(world, parts, null))
    t.equal(applied() - before, 2 * transfers, 'a branch and a decision each')
  }
  const own = current
    .get(leader)
    ?.groups()
    .find(({ group }) => group === groups[0])
  t.equal(own?.state.decisionCount, 1)
  const decidedAt = cluster.clock.now()
  await cluster.clock.until(() => own?.state.decisionCount === 0)
  t.ok(cluster.clock.now() - decidedAt < 250)
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
