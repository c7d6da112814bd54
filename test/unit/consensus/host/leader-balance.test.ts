import t from 'tap'
import {
  type BalanceInputs,
  LeaderBalance,
  type LeaderMove,
  type LedGroup,
  planMove
} from '../../../../src/consensus/host/leader-balance.js'
import type { GroupId, MonotonicMs, NodeId } from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'

const nodes = ['a', 'b', 'c', 'd'] as NodeId[]

/** `'aab'`: a leads groups 0 and 1, b leads group 2; a dot is a group without a leader. */
const groupsOf = (leaders: string, voters: readonly NodeId[] = nodes): LedGroup[] =>
  [...leaders].map((leader, i) => ({
    group: i as GroupId,
    leader: leader === '.' ? null : (leader as NodeId),
    voters
  }))

const inputs = (
  self: string,
  groups: readonly LedGroup[],
  changes: Partial<BalanceInputs> = {}
): BalanceInputs => ({
  self: self as NodeId,
  groups,
  mayLead: () => true,
  isLevel: () => true,
  ...changes
})

const move = (group: number, to: string): LeaderMove => ({
  group: group as GroupId,
  to: to as NodeId
})

t.test('who leads most gives to who leads least, and nobody else moves', async (t) => {
  const three = nodes.slice(0, 3)
  const groups = groupsOf('aaab', three)
  t.same(planMove(inputs('a', groups)), move(0, 'c'))
  t.equal(planMove(inputs('b', groups)), null)
  t.equal(planMove(inputs('c', groups)), null)
  t.equal(planMove(inputs('a', groupsOf('aabbc', three))), null, 'it is as even as it gets')
  t.same(planMove(inputs('a', groupsOf('aaabbb', three))), move(0, 'c'), 'the first by name')
  t.equal(planMove(inputs('b', groupsOf('aaabbb', three))), null)
})

t.test('nobody gets what it may not lead, does not vote for, or has not all of', async (t) => {
  const groups = groupsOf('aaaa', nodes.slice(0, 3))
  const without = (...gone: string[]) => ({ mayLead: (node: NodeId) => !gone.includes(node) })
  t.same(planMove(inputs('a', groups, without('b'))), move(0, 'c'))
  t.equal(planMove(inputs('a', groups, without('b', 'c'))), null)
  t.equal(planMove(inputs('a', groups, without('a'))), null, 'who leaves hands over anyhow')
  t.same(planMove(inputs('a', groups, { isLevel: (_, voter) => voter === 'c' })), move(0, 'c'))
  t.equal(planMove(inputs('a', groupsOf('aaa', nodes.slice(0, 1)))), null)
})

t.test('a node whose leaders cannot go anywhere does not hold up the others', async (t) => {
  const own = groupsOf('aaaaa', ['a'] as NodeId[])
  const shared = groupsOf('bbb', ['b', 'c'] as NodeId[]).map((one, i) => ({
    ...one,
    group: (10 + i) as GroupId
  }))
  t.same(planMove(inputs('b', [...own, ...shared])), move(10, 'c'))
})

t.test('moves come to an end, with leaders as even as can be', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  for (let round = 0; round < 200; round++) {
    const size = 1 + random.nextInt(4)
    const voters = nodes.slice(0, size)
    const count = 1 + random.nextInt(16)
    const text = Array.from({ length: count }, () => voters[random.nextInt(size)]).join('')
    let groups = groupsOf(text, voters)
    let moves = 0
    for (;;) {
      const plans = voters.flatMap((self) => planMove(inputs(self, groups)) ?? [])
      t.ok(plans.length <= 1, 'one node alone moves')
      const [plan] = plans
      if (plan === undefined) break
      groups = groups.map((one) => (one.group === plan.group ? { ...one, leader: plan.to } : one))
      moves++
    }
    // The dumb twin: deal them out one by one.
    const dealt = voters.map((_, i) => Math.floor(count / size) + (i < count % size ? 1 : 0))
    const led = voters.map((node) => groups.filter(({ leader }) => leader === node).length)
    t.same(led.sort(), dealt.sort(), text)
    t.ok(moves <= count, `${moves} moves for ${text}`)
  }
})

t.test('nothing moves until leaders have been known and the same for a while', async (t) => {
  const at = (ms: number) => ms as MonotonicMs
  const balance = new LeaderBalance(1_000, at(0))
  const three = nodes.slice(0, 3)
  const first = inputs('a', groupsOf('aaab', three))
  t.equal(balance.decide(first, at(500)), null, 'it looks for the first time')
  t.equal(balance.decide(first, at(1_499)), null)
  t.same(balance.decide(first, at(1_500)), move(0, 'c'))
  const moved = inputs('a', groupsOf('caaa', three))
  t.same(balance.decide(moved, at(1_510), true), move(1, 'b'), 'its own move disturbs nothing')
  t.equal(balance.decide(inputs('a', groupsOf('cbaa', three)), at(1_600)), null)
  t.equal(balance.decide(inputs('a', groupsOf('aaa.', three)), at(9_000)), null)
  t.equal(balance.decide(inputs('a', groupsOf('aaa.', three)), at(19_000)), null, 'one is unknown')
})

t.test('what was put here on purpose stays, and something else goes instead', async (t) => {
  const at = (ms: number) => ms as MonotonicMs
  const balance = new LeaderBalance(1_000, at(0))
  const three = nodes.slice(0, 3)
  balance.keep(0 as GroupId, at(60_000))
  balance.decide(inputs('a', groupsOf('aaab', three)), at(0))
  t.same(balance.decide(inputs('a', groupsOf('aaab', three)), at(2_000)), move(1, 'c'))
  balance.keep(1 as GroupId, at(30_000))
  balance.keep(2 as GroupId, at(30_000))
  t.equal(balance.decide(inputs('a', groupsOf('aaab', three)), at(3_000)), null)
  t.same(balance.decide(inputs('a', groupsOf('aaab', three)), at(30_000)), move(1, 'c'))
  t.same(balance.decide(inputs('a', groupsOf('aaab', three)), at(60_000)), move(0, 'c'))
})
