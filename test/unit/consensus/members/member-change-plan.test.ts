import t from 'tap'
import {
  describeChange,
  failuresTolerated,
  type MembersSeen,
  votersAfter
} from '../../../../src/consensus/members/member-change-plan.js'
import type { GroupId, NodeId } from '../../../../src/core/ids.js'
import type { MemberChangeKind } from '../../../../src/core/member-changes.js'

const ids = (text: string) => [...text] as NodeId[]

function plan(
  change: MemberChangeKind,
  node: string,
  voters: string,
  active: string
): ReturnType<typeof describeChange> {
  const before = ids(voters)
  const after = votersAfter(change, node as NodeId, before)
  const seen: MembersSeen = {
    group: 4 as GroupId,
    votersBefore: before,
    voters: after,
    active: ids(active),
    changed: after.join() !== before.join()
  }
  return describeChange(seen, true)
}

t.test('how many voters may fail is what leaves a majority', async (t) => {
  // The dumb twin: take one away after the other.
  for (let voters = 0; voters <= 9; voters++) {
    let failures = 0
    while (voters - failures - 1 > voters / 2) failures++
    t.equal(failuresTolerated(voters), failures, `${voters}`)
  }
})

t.test('R-M05 a plan tells who votes, what that bears, and warns of even numbers', async (t) => {
  t.match(plan('add', 'd', 'abc', 'abcd'), {
    group: 4,
    outcome: 'planned',
    votersBefore: ids('abc'),
    voters: ids('abcd'),
    failuresToleratedBefore: 1,
    failuresTolerated: 1,
    quorumSurvives: true,
    warnings: ['4 voters tolerate no more failures than 3: add or remove one more']
  })
  t.match(plan('add', 'e', 'abcd', 'abcde'), { failuresTolerated: 2, warnings: [] })
  t.match(plan('remove', 'b', 'ab', 'ab'), {
    failuresTolerated: 0,
    warnings: ['one voter tolerates no failure: add nodes']
  })
  t.match(plan('add', 'b', 'abc', 'abc'), { outcome: 'unchanged', warnings: [] })
})

t.test('R-M12 a plan says when too few of those that are left would answer', async (t) => {
  t.match(plan('remove', 'a', 'abc', 'ab'), {
    quorumSurvives: false,
    warnings: [
      'no quorum: 2 of 2 voters must answer; bring back first: c',
      /2 voters tolerate no more/
    ]
  })
  t.match(plan('remove', 'c', 'abc', 'ab'), { quorumSurvives: true })
  t.match(plan('remove', 'd', 'abcde', 'abcd'), {
    quorumSurvives: true,
    warnings: ['without an answer: e', /4 voters/]
  })
})
