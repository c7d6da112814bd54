import fc from 'fast-check'
import t from 'tap'
import type { GroupId, NodeId } from '../../../src/core/ids.js'
import {
  type GroupVoters,
  groupsAtRisk,
  quorumSurvives
} from '../../../src/failover/rolling-restart/quorum.js'

/** By the definition: among those who are there, some set is more than half of each half. */
function naive(group: GroupVoters, without: ReadonlySet<NodeId>): boolean {
  const there = [...group.voters, ...group.votersOutgoing].filter(
    (voter) => !without.has(voter) && !group.behind.includes(voter)
  )
  const names = [...new Set(there)]
  const isQuorum = (chosen: readonly NodeId[], voters: readonly NodeId[]) =>
    voters.length === 0
      ? true
      : 2 * voters.filter((one) => chosen.includes(one)).length > voters.length
  for (let set = 0; set < 1 << names.length; set++) {
    const chosen = names.filter((_, i) => (set & (1 << i)) !== 0)
    const decides = isQuorum(chosen, group.voters) && isQuorum(chosen, group.votersOutgoing)
    if (chosen.length > 0 && decides) return true
  }
  return false
}

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => name as NodeId)
const some = fc.subarray(names)

t.test('a majority survives as its definition says, joint or not', async (t) => {
  const group = fc.record({
    group: fc.nat(9).map((id) => id as GroupId),
    voters: fc.subarray(names, { minLength: 1 }),
    votersOutgoing: some,
    behind: some
  })
  fc.assert(
    fc.property(fc.array(group, { maxLength: 4 }), some, (groups, gone) => {
      const without = new Set(gone)
      t.equal(
        quorumSurvives(groups, without),
        groups.every((one) => naive(one, without))
      )
      t.same(
        groupsAtRisk(groups, without),
        groups.filter((one) => !naive(one, without)).map((one) => one.group)
      )
    }),
    { numRuns: 500 }
  )
})

t.test('one of three may go, one of two may not', async (t) => {
  const of = (...voters: string[]): GroupVoters => ({
    group: 0 as GroupId,
    voters: voters as NodeId[],
    votersOutgoing: [],
    behind: []
  })
  const a = new Set(['a' as NodeId])
  t.ok(quorumSurvives([of('a', 'b', 'c')], a))
  t.notOk(quorumSurvives([of('a', 'b')], a))
  t.notOk(quorumSurvives([of('a')], a))
  t.ok(quorumSurvives([of('b')], a))
  t.notOk(quorumSurvives([{ ...of('a', 'b', 'c'), behind: ['c' as NodeId] }], a))
})
