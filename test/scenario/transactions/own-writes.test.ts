/** A session reads what it wrote, in every group of a transaction, on every replica. */
import t from 'tap'
import { must } from '../../../src/core/assert.js'
import { type GroupId, type LogIndex, type Serial, toClientId } from '../../../src/core/ids.js'
import {
  account,
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

const [coordinating, other, third] = groups as [GroupId, GroupId, GroupId]
const parts = [
  [coordinating, `add ${account(0, 0)} -7`],
  [other, `add ${account(1, 0)} 7`]
] as [GroupId, string][]

/** Of the other group, as a replica of it has it now, or when it has what is asked for. */
async function balanceAt({ cluster }: World, name: string, atLeastIndex: LogIndex) {
  const statements = [{ sql: `get ${account(1, 0)}` }]
  const replica = cluster.group(name, other)
  const read = replica.read({ statements, atLeastIndex, deadline: cluster.deadline() })
  return Number((await read).results[0]?.rows[0]?.[0])
}

const tag = { clientId: toClientId('bob'), serial: 1 as Serial, answeredBelow: 1 as Serial }

async function transferred(world: World) {
  const done = await world.cluster.clock.settle(carriedOut(world, parts, tag))
  return { done, seen: must(done.seen[0], 'what was seen') }
}

t.test('T-20 a read that asks for what a transaction answered sees it in each group', async (t) => {
  const world = bank(11)
  const { cluster } = world
  await opened(world)
  await registered(world, 'bob')
  const { done, seen } = await transferred(world)
  t.equal(done.seen.length, 1)
  t.equal(seen.group, other)
  const unasked = Promise.all(names.map((name) => balanceAt(world, name, 0 as LogIndex)))
  const asked = Promise.all(names.map((name) => balanceAt(world, name, seen.index)))
  const early = await cluster.clock.settle(unasked)
  t.ok(early.includes(startBalance), 'the branch is not at an end everywhere yet')
  t.same(await cluster.clock.settle(asked), [107, 107, 107])
  const again = await cluster.clock.settle(carriedOut(world, parts, tag))
  t.same(again.seen, done.seen, 'a retry is told the same')
})

t.test('T-20 a write fails by nothing that a transaction changed before it', async (t) => {
  for (const seed of [13, 14, 15]) {
    const world = bank(seed)
    const { cluster } = world
    await opened(world)
    await registered(world, 'bob')
    await transferred(world)
    const group = cluster.group(must(cluster.leader(other), 'leader'), other)
    const statements = [{ sql: `expect ${account(1, 0)} 107` }]
    const write = group.write({ statements, client: null, deadline: cluster.deadline() })
    t.ok(await cluster.clock.settle(write), 'it has seen the transfer')
  }
})

t.test('T-20 a transaction fails by nothing that one before it has changed', async (t) => {
  for (const seed of [16, 17, 18, 19, 20, 21, 22, 23, 24, 25]) {
    const world = bank(seed)
    const { cluster, run } = world
    await opened(world)
    await registered(world, 'bob')
    await transferred(world)
    const next = [
      [third, `add ${account(2, 0)} 1`],
      [other, `expect ${account(1, 0)} 107`]
    ] as typeof parts
    const leader = must(cluster.leader(third), 'leader')
    t.ok(await cluster.clock.settle(run(leader, requestOf(next, null))), 'it has seen the transfer')
  }
})

t.test('T-20 where the decision does not arrive it is told so, and nothing older', async (t) => {
  const world = bank(12)
  const { cluster } = world
  await opened(world)
  await registered(world, 'bob')
  const { seen } = await transferred(world)
  const leader = must(cluster.leader(coordinating), 'leader')
  const replica = names.find((name) => name !== leader && name !== cluster.leader(other))
  cluster.network.isolate(must(replica, 'replica') as never)
  const read = cluster.clock.settle(balanceAt(world, must(replica, 'replica'), seen.index))
  await t.rejects(read, { code: /ERR_SKEIN_(LOCKED|TIMEOUT)/ })
})
