import t from 'tap'
import { configurationOf, encodeConfiguration } from '../../../src/consensus/index.js'
import {
  type GroupId,
  type Incarnation,
  type LogBase,
  type LogEntry,
  type LogIndex,
  type NodeId,
  type ObservedMessage,
  type PersistRequest,
  type RaftRole,
  type RecoveredGroup,
  type ReplicaId,
  type TellIncarnation,
  type Term,
  toReplicaId
} from '../../../src/core/index.js'
import { ConsensusInvariants } from '../../../src/simulation/consensus-invariants.js'
import { MembershipInvariants } from '../../../src/simulation/membership-invariants.js'
import { PromiseInvariants } from '../../../src/simulation/promise-invariants.js'
import { Invariants, Violations } from '../../../src/simulation/violations.js'

const [A, B, C] = ['a', 'b', 'c'].map((name) => `${name}/0000000000000000` as ReplicaId) as [
  ReplicaId,
  ReplicaId,
  ReplicaId
]

t.test('a healthy history breaks nothing', async (t) => {
  const { invariants, promises, found } = make()
  promises.onPersisted(0, { ...request(), hardState: hardState(1, A) })
  promises.onSend(0, message('vote', 1))
  invariants.onView(0, view('leader', 1, 0))
  for (const host of [0, 1]) {
    invariants.onPersist(host, request([1, 1], [2, 1]))
    invariants.onPersisted(host, request([1, 1], [2, 1]))
  }
  promises.onSend(0, { ...message('appendEntriesResponse', 1), index: 2 as LogIndex })
  invariants.onView(0, view('leader', 1, 2))
  invariants.onView(1, view('follower', 1, 2))
  invariants.onRecovered(0, A, recovered([1, 1], [2, 1]))
  promises.onRecovered(0, A, hardState(1, A))
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
  const { invariants, promises, found } = make()
  invariants.onPersist(0, request([1, 1], [2, 1]))
  invariants.onPersisted(0, request([1, 1], [2, 1]))
  promises.onPersisted(0, { ...request(), hardState: hardState(4, null) })
  promises.onSend(0, message('voteResponse', 4))
  promises.onPersisted(0, { ...request(), hardState: hardState(3, B) })
  promises.onSend(0, { ...message('voteResponse', 3), granted: true })
  invariants.onRecovered(0, A, recovered([1, 1]))
  promises.onRecovered(0, A, hardState(3, null))
  t.strictSame(found(), [
    Invariants.DurablePromises,
    Invariants.DurablePromises,
    Invariants.DurablePromises
  ])
})

t.test('8: two votes in one term, a crash between them', async (t) => {
  const { invariants, promises, found } = make()
  const vote = { ...message('voteResponse', 3), granted: true }
  promises.onPersisted(0, { ...request(), hardState: hardState(3, B) })
  promises.onSend(0, vote)
  invariants.onExit(0)
  promises.onSend(0, vote)
  t.strictSame(found(), [])
  promises.onPersisted(0, { ...request(), hardState: hardState(3, C) })
  promises.onSend(0, { ...vote, to: C })
  t.strictSame(found(), [Invariants.OneVotePerTerm])
})

t.test('a base that stands for what was committed, and ones that do not', async (t) => {
  const agreeing = () => {
    const made = make()
    const { invariants } = made
    for (const host of [0, 1]) {
      const { entries: rest } = request([2, 1], [3, 1])
      const asked = { ...request(), entries: [founding, ...rest] }
      invariants.onPersist(host, asked)
      invariants.onPersisted(host, asked)
      invariants.onView(host, { ...view('follower', 1, 3), appliedIndex: 3 })
    }
    return made
  }
  const rebase = (change: Partial<LogBase>, replacesLog: boolean, host = 0): string[] => {
    const { invariants, found } = agreeing()
    const base = { ...right, ...change }
    invariants.onPersist(host, { ...request(), base: { base, replacesLog } })
    invariants.onView(host, { ...view('follower', 1, 3), appliedIndex: 3 })
    return found()
  }
  const broken = [Invariants.StateMachineSafety]
  for (const replacesLog of [false, true]) {
    t.strictSame(rebase({}, replacesLog), [])
    t.strictSame(rebase({ term: 2 as Term }, replacesLog), broken)
    t.strictSame(rebase({ configurationIndex: 2 as LogIndex }, replacesLog), broken)
    t.strictSame(rebase({ configuration: Uint8Array.of(9) }, replacesLog), broken)
  }
  const { invariants, found } = agreeing()
  invariants.onPersist(2, { ...request(), base: { base: right, replacesLog: true } })
  t.equal(invariants.durableIndex(2), 2, 'its engine holds it')
  invariants.onRestored(2, 2, 'state')
  invariants.onPersist(2, request([3, 1]))
  invariants.onPersisted(2, request([3, 1]))
  invariants.onView(2, { ...view('follower', 1, 3), appliedIndex: 2 })
  invariants.onRecovered(2, C, { ...recovered([3, 1]), base: right })
  t.strictSame(found(), [])
  t.equal(invariants.restores, 1)
  invariants.onRecovered(2, C, { ...recovered(), base: right })
  t.strictSame(found(), [Invariants.DurablePromises], 'an entry behind its base is lost')
})

t.test('2b: an entry that is replaced by itself', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1], [2, 1], [3, 1]))
  invariants.onPersist(0, request([2, 1]))
  t.strictSame(found(), [Invariants.NeedlessTruncation])
})

t.test('4b, 4c: a commit by counting old entries, or what few have on disk', async (t) => {
  const { invariants, found } = make()
  for (const host of [0, 1]) invariants.onPersist(host, request([1, 1], [2, 2]))
  invariants.onPersisted(1, request([1, 1], [2, 2]))
  invariants.onView(0, view('leader', 2, 0))
  invariants.onView(0, view('leader', 2, 2))
  t.strictSame(found(), [Invariants.DurableMajority])
  invariants.onPersisted(0, request([1, 1], [2, 2]))
  invariants.onPersist(0, request([3, 3]))
  invariants.onPersisted(0, request([3, 3]))
  invariants.onPersist(1, request([3, 3]))
  invariants.onPersisted(1, request([3, 3]))
  invariants.onView(0, view('leader', 4, 2))
  invariants.onView(0, view('leader', 4, 3))
  t.strictSame(found(), [Invariants.DurableMajority, Invariants.OwnTermCommit])
})

t.test('4c: what was overwritten on the way to the disk does not count', async (t) => {
  const { invariants, found } = make()
  const old = request([1, 1], [2, 1], [3, 1])
  invariants.onPersist(1, old)
  invariants.onPersist(1, request([2, 2]))
  invariants.onPersisted(1, old)
  t.equal(invariants.durableIndex(1), 1)
  invariants.onPersisted(1, request([2, 2]))
  t.equal(invariants.durableIndex(1), 2)
  t.strictSame(found(), [])
})

t.test('7: an acknowledgement that waited while its entry was replaced', async (t) => {
  const { invariants, promises, found } = make()
  const old = { ...request([1, 1]), hardState: hardState(1, null) }
  const newer = { ...request([1, 2]), hardState: hardState(2, null) }
  for (const one of [old, newer]) {
    invariants.onPersist(0, one)
    promises.onPersist(0, one)
  }
  invariants.onPersisted(0, old)
  promises.onPersisted(0, old)
  const response = message('appendEntriesResponse', 1)
  promises.onSend(0, { ...response, index: 1 as LogIndex })
  t.strictSame(found(), [])
  promises.onSend(0, { ...response, index: 2 as LogIndex })
  t.strictSame(found(), [Invariants.DurablePromises])
})

t.test('7: promises that leave before they are durable', async (t) => {
  const { promises, found } = make()
  promises.onSend(0, message('preVote', 9))
  promises.onSend(0, message('heartbeatResponse', 0))
  t.strictSame(found(), [])
  promises.onSend(0, message('heartbeatResponse', 1))
  promises.onPersisted(0, { ...request(), hardState: hardState(2, C) })
  promises.onSend(0, { ...message('voteResponse', 2), granted: true })
  promises.onSend(0, { ...message('appendEntriesResponse', 2), index: 1 as LogIndex })
  const rejected = { ...message('appendEntriesResponse', 2), index: 1 as LogIndex, rejected: true }
  promises.onSend(0, rejected)
  t.strictSame(found(), Array(3).fill(Invariants.DurablePromises))
})

t.test('11: incarnations fall, or rise by somebody else', async (t) => {
  const violations = new Violations(() => 0)
  const membership = new MembershipInvariants(violations)
  const tableOf = (nodeId: string, incarnation: number) => ({
    tellIncarnations: (tell: TellIncarnation) => tell(nodeId as NodeId, incarnation as Incarnation)
  })
  membership.onMembers('a', tableOf('a', 5))
  membership.onMembers('b', tableOf('a', 5))
  t.notOk(violations.any)
  membership.onMembers('b', tableOf('a', 4))
  membership.onMembers('c', tableOf('a', 6))
  membership.onMembers('c', tableOf('a', 7))
  membership.onMembers('a', tableOf('a', 6))
  t.strictSame(
    violations.toArray().map(({ invariant }) => invariant),
    [Invariants.Incarnations, Invariants.Incarnations]
  )
})

t.test('4c: a majority of those who vote, in both halves of a joint configuration', async (t) => {
  const joint = {
    voters: [A, B],
    votersOutgoing: [C],
    learners: [],
    learnersNext: []
  }
  const first = { index: 1 as LogIndex, term: 1 as Term, payload: encodeConfiguration(joint) }
  const committed = (holders: readonly number[]) => {
    const { invariants, found } = make()
    for (const host of holders) {
      invariants.onPersist(host, { ...request(), entries: [first] })
      invariants.onPersisted(host, { ...request(), entries: [first] })
    }
    invariants.onView(0, view('leader', 1, 0))
    invariants.onView(0, view('leader', 1, 1))
    return found()
  }
  t.strictSame(committed([0, 1, 2]), [])
  t.strictSame(committed([0, 1]), [Invariants.DurableMajority])
  t.strictSame(committed([0, 2]), [Invariants.DurableMajority])
})

t.test('7: a replica on another disk has promised nothing', async (t) => {
  const { invariants, found } = make()
  invariants.onPersist(0, request([1, 1]))
  invariants.onPersisted(0, request([1, 1]))
  invariants.onRecovered(0, toReplicaId(`a/${'1'.repeat(16)}`), recovered())
  t.strictSame(found(), [])
  invariants.onPersist(0, request([1, 1]))
  invariants.onPersisted(0, request([1, 1]))
  invariants.onRecovered(0, toReplicaId(`a/${'1'.repeat(16)}`), recovered())
  t.strictSame(found(), [Invariants.DurablePromises])
})

function make() {
  const violations = new Violations(() => 0)
  const invariants = new ConsensusInvariants(3, violations)
  for (const [host, id] of [A, B, C].entries()) invariants.onRecovered(host, id, recovered())
  const promises = new PromiseInvariants(violations, (host) => invariants.durableIndex(host))
  const found = () => violations.toArray().map(({ invariant }) => invariant)
  return { invariants, promises, found }
}

function message(kind: string, term: number): ObservedMessage {
  return { group: 0 as GroupId, kind, from: A, to: B, term: term as Term }
}

function view(role: RaftRole, term: number, commitIndex: number) {
  return { role, term, commitIndex, appliedIndex: 0 }
}

const founding: LogEntry = {
  index: 1 as LogIndex,
  term: 0 as Term,
  payload: encodeConfiguration(configurationOf([A, B, C]))
}

const right: LogBase = {
  index: 2 as LogIndex,
  term: 1 as Term,
  configurationIndex: 1 as LogIndex,
  configuration: founding.payload
}

function entries(...positions: [number, number][]): LogEntry[] {
  return positions.map(([index, term]) => ({
    index: index as LogIndex,
    term: term as Term,
    // Of no kind that says who is a member.
    payload: Uint8Array.of(100 + index)
  }))
}

function recovered(...positions: [number, number][]): RecoveredGroup {
  return { hardState: hardState(1, null), entries: entries(...positions) }
}

function request(...positions: [number, number][]): PersistRequest {
  return { group: 0 as GroupId, hardState: null, entries: entries(...positions) }
}

function hardState(term: number, vote: string | null) {
  return { term: term as Term, vote: vote as ReplicaId | null }
}
