import t from 'tap'
import type {
  GroupId,
  LogEntry,
  LogIndex,
  Member,
  PersistRequest,
  RaftRole,
  ReplicaId,
  Term
} from '../../../src/core/index.js'
import { ConsensusInvariants } from '../../../src/simulation/consensus-invariants.js'
import { MembershipInvariants } from '../../../src/simulation/membership-invariants.js'
import { Invariants, Violations } from '../../../src/simulation/violations.js'

const A = 'a/0000000000000000'

t.test('a healthy history breaks nothing', async (t) => {
  const { invariants, found } = make()
  invariants.onVote(A, 1, 'a')
  invariants.onPromise(A, 1)
  invariants.onView(0, view('leader', 1, 0))
  for (const host of [0, 1]) invariants.onPersist(host, request([1, 1], [2, 1]))
  invariants.onPersisted(0, 2, 1)
  invariants.onView(0, view('leader', 1, 2))
  invariants.onView(1, view('follower', 1, 2))
  invariants.onRecovered(0, A, hardState(1, 'a'), entries([1, 1], [2, 1]))
  invariants.onView(1, view('leader', 2, 2))
  t.strictSame(found(), [])
})

t.test('1: two leaders of one term', async (t) => {
  const { invariants, found } = make()
  invariants.onView(0, view('leader', 3, 0))
  invariants.onView(1, view('leader', 3, 0))
  t.strictSame(found(), [Invariants.OneLeaderPerTerm])
})

t.test('2: a leader that replaces its own entry', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1]))
  invariants.onView(0, view('leader', 2, 0))
  invariants.onPersist(0, request([1, 2]))
  t.strictSame(found(), [Invariants.LeaderAppendOnly])
})

t.test('3: same index and term with another past, and a gap', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1], [2, 2]))
  invariants.onPersist(1, request([1, 2], [2, 2]))
  invariants.onPersist(2, request([5, 1]))
  t.strictSame(found(), [Invariants.LogMatching, Invariants.LogMatching])
})

t.test('4: a later leader that lacks a committed entry', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1]))
  invariants.onView(0, view('leader', 1, 1))
  invariants.onView(1, view('leader', 2, 0))
  t.strictSame(found(), [Invariants.LeaderCompleteness])
})

t.test('4: a commit of an earlier term that the present leader does not have', async (t) => {
  const { invariants, found } = make()
  invariants.onView(1, view('leader', 2, 0))
  invariants.onPersist(0, request([1, 1]))
  invariants.onView(0, view('leader', 1, 1))
  t.strictSame(found(), [Invariants.LeaderCompleteness])
})

t.test('5: other commits, other content, at the same index', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1]))
  invariants.onPersist(1, request([1, 2]))
  invariants.onView(0, view('follower', 2, 1))
  invariants.onView(1, view('follower', 2, 1))
  invariants.onApplied(0, 1, 'x')
  invariants.onApplied(1, 1, 'y')
  t.strictSame(found(), [Invariants.StateMachineSafety, Invariants.StateMachineSafety])
})

t.test('6: indexes that go back, or are applied twice', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1], [2, 1]))
  invariants.onView(0, view('follower', 1, 2))
  invariants.onView(0, view('follower', 1, 1))
  invariants.onApplied(0, 1, 'x')
  invariants.onEngineOpened(0, 1, 'x')
  invariants.onApplied(0, 1, 'x')
  t.strictSame(found(), [Invariants.MonotonicIndexes, Invariants.MonotonicIndexes])
})

t.test('7: a restart that forgets its term, its vote, its durable log', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1], [2, 1]))
  invariants.onPersisted(0, 2, 1)
  invariants.onPromise(A, 4)
  invariants.onVote(A, 3, 'b')
  invariants.onRecovered(0, A, hardState(3, null), entries([1, 1]))
  t.strictSame(found(), [
    Invariants.DurablePromises,
    Invariants.DurablePromises,
    Invariants.DurablePromises
  ])
})

t.test('8: two votes in one term, a crash between them', async (t) => {
  const { invariants, found } = make()
  invariants.onVote(A, 3, 'b')
  invariants.onExit(0)
  invariants.onVote(A, 3, 'b')
  t.strictSame(found(), [])
  invariants.onVote(A, 3, 'c')
  t.strictSame(found(), [Invariants.OneVotePerTerm])
})

t.test('11: incarnations fall, or rise by somebody else', async (t) => {
  const violations = new Violations(() => 0)
  const membership = new MembershipInvariants(violations)
  const member = (nodeId: string, incarnation: number) =>
    ({ nodeId, incarnation }) as unknown as Member
  membership.onMembers('a', [member('a', 5)])
  membership.onMembers('b', [member('a', 5)])
  t.notOk(violations.any)
  membership.onMembers('b', [member('a', 4)])
  membership.onMembers('c', [member('a', 6)])
  membership.onMembers('c', [member('a', 7)])
  membership.onMembers('a', [member('a', 6)])
  t.strictSame(
    violations.toArray().map(({ invariant }) => invariant),
    [Invariants.Incarnations, Invariants.Incarnations]
  )
})

function make() {
  const violations = new Violations(() => 0)
  const invariants = new ConsensusInvariants(3, violations)
  return { invariants, found: () => violations.toArray().map(({ invariant }) => invariant) }
}

function view(role: RaftRole, term: number, commitIndex: number) {
  return { role, term, commitIndex, appliedIndex: 0 }
}

function entries(...positions: [number, number][]): LogEntry[] {
  return positions.map(([index, term]) => ({
    index: index as LogIndex,
    term: term as Term,
    payload: Uint8Array.of(index)
  }))
}

function request(...positions: [number, number][]): PersistRequest {
  return { group: 0 as GroupId, hardState: null, entries: entries(...positions) }
}

function hardState(term: number, vote: string | null) {
  return { term: term as Term, vote: vote as ReplicaId | null }
}
