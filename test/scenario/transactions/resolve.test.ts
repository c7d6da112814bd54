/** An operator ends branches whose coordinating group has lost its majority for good. */
import t from 'tap'
import { must } from '../../../src/core/assert.js'
import type { GroupId, NodeId } from '../../../src/core/ids.js'
import type { ResolveTransaction } from '../../../src/core/transactions.js'
import {
  account,
  bank,
  opened,
  requestOf,
  startBalance,
  type World
} from '../../support/two-phase/replicated-bank.js'

const [lost, own] = [0, 1] as [GroupId, GroupId]
const [alone, leading, asked] = ['a', 'b', 'c'] as [NodeId, NodeId, NodeId]
const reason = 'group 0 is lost'
const ended = { [lost]: 'committed', [own]: 'aborted' }
const abort = { group: own, outcome: 'abort', force: true, by: 'ann', reason } as const

const driverOf = ({ current }: World, name: string) => must(current.get(name), name)

async function leads({ cluster }: World, name: NodeId, group: GroupId): Promise<void> {
  const leader = await cluster.untilLeader(group)
  if (leader === name) return
  const moved = cluster.group(leader, group).transferLeadership(name, cluster.deadline())
  await cluster.clock.settle(moved)
  await cluster.clock.until(() => cluster.leader(group) === name)
  await cluster.untilLeader(group)
}

/**
 * A transfer of 7 from the group of which `alone` is the only voter to one that the others can
 * carry; it is prepared in both, and `alone` hears and tells nothing any more.
 */
async function cutOff(world: World): Promise<void> {
  const { cluster } = world
  await opened(world)
  for (const node of [leading, asked]) {
    await leads(world, alone, lost)
    const removed = cluster.group(alone, lost).removeNode(node, cluster.deadline())
    await cluster.clock.settle(removed)
  }
  await leads(world, leading, own)
  const parts = [
    [lost, `add ${account(lost, 0)} -7`],
    [own, `add ${account(own, 0)} 7`]
  ] as [GroupId, string][]
  const request = { ...requestOf(parts, null), deadline: cluster.deadline(20_000) }
  driverOf(world, alone)
    .execute(request)
    .catch(() => {})
  await cluster.clock.until(() => driverOf(world, leading).list().inDoubt === 1)
}

const inDoubtAt = (world: World, name = asked) =>
  must(driverOf(world, name).list().transactions[0], 'branch')

async function balance({ cluster }: World, group: GroupId): Promise<number> {
  const leader = cluster.group(await cluster.untilLeader(group), group)
  const atLeastIndex = await cluster.clock.settle(leader.readIndex(cluster.deadline()))
  const statements = [{ sql: `get ${account(group, 0)}` }]
  const read = leader.read({ statements, atLeastIndex, deadline: cluster.deadline() })
  return Number((await cluster.clock.settle(read)).results[0]?.rows[0]?.[0])
}

const resolve = (world: World, request: ResolveTransaction, name = asked) => {
  const { transaction } = inDoubtAt(world)
  return world.cluster.clock.settle(driverOf(world, name).resolve(transaction, request))
}

t.test('T-08 a branch of a group that is lost for good is ended with force alone', async (t) => {
  const world = bank(5)
  const { cluster } = world
  await cutOff(world)
  cluster.crash(alone)
  await cluster.clock.advance(30_000)
  t.match(inDoubtAt(world), { group: own, coordinator: lost, state: 'prepared', lockedRows: 1 })
  await t.rejects(resolve(world, { ...abort, force: false }), {
    code: 'ERR_SKEIN_CHANGE_REFUSED'
  })
  await t.rejects(resolve(world, { ...abort, group: lost, timeoutMs: 500 }))
  t.match(inDoubtAt(world), { state: 'prepared' }, 'a refusal changes nothing')
  const other = driverOf(world, asked).resolve('0000000003e8-00000000000000ff' as never, abort)
  await t.rejects(cluster.clock.settle(other), { code: 'ERR_SKEIN_NOT_FOUND' })
  t.same(await resolve(world, abort), { state: 'aborted' })
  t.equal(await balance(world, own), startBalance)
  await cluster.clock.advance(120_000)
  for (const name of [leading, asked]) {
    t.match(driverOf(world, name).list(), {
      inDoubt: 0,
      transactions: [{ state: 'heuristic', outcome: 'aborted', reason: `ann: ${reason}` }]
    })
  }
  t.same(
    await resolve(world, { ...abort, outcome: 'commit' }),
    { state: 'aborted' },
    'it has ended'
  )
  t.equal(await balance(world, own), startBalance)
})

t.test('T-08 a group that comes back and had decided otherwise makes it mixed', async (t) => {
  const world = bank(6)
  const { cluster } = world
  await cutOff(world)
  // Its vote arrives; what is decided then is told to nobody.
  await cluster.clock.advance(cluster.network.delayMs)
  cluster.network.isolate(alone)
  const decided = () => driverOf(world, alone).list().transactions
  await cluster.clock.until(() => decided().some(({ state }) => state === 'committed'))
  cluster.crash(alone)
  await cluster.clock.until(() => driverOf(world, asked).list().inDoubt === 1)
  t.same(await resolve(world, abort), { state: 'aborted' })
  cluster.network.heal()
  await cluster.start(alone)
  // Others are told of commits a moment later, when the lost group may have heard of it too.
  await cluster.clock.until(() => inDoubtAt(world, leading).state === 'mixed')
  const { transaction } = inDoubtAt(world, leading)
  const forget = { ...abort, outcome: 'forget', force: false } as const
  const tell = (group: GroupId) =>
    cluster.clock.settle(driverOf(world, asked).resolve(transaction, { ...forget, group }))
  await t.rejects(tell(lost), { code: 'ERR_SKEIN_CHANGE_REFUSED' }, 'it is still being told')
  const isMixed = () => decided().every(({ state }) => state === 'mixed')
  await cluster.clock.until(isMixed)
  t.same(await balance(world, lost), startBalance - 7)
  t.same(await balance(world, own), startBalance, 'nobody repairs what an operator decided')
  const alarms = driverOf(world, leading).counters.snapshot().transaction_alarms
  t.ok(alarms > 0)
  const recovered = driverOf(world, alone).counters.snapshot().transaction_recoveries
  t.equal(recovered, 1, 'the decision of its life before was told on')
  for (const group of [own, lost]) t.same(await tell(group), { state: ended[group] })
  await cluster.clock.until(() => driverOf(world, asked).list().transactions.length === 0)
  t.same(decided(), [])
})
