import t from 'tap'
import type { MonotonicMs, Term } from '../../../../src/core/index.js'
import { at, RaftTable, replica } from '../../../support/raft/raft-table.js'

const options = { leaseReads: true, leaseClockRatioMax: 1.25 }
/** 500 ms of promises by a clock that may be 1.25 times as fast. */
const leaseMs = 400

/** a leads, and b and c have promised, from now on. */
function leased(): RaftTable {
  const table = new RaftTable({ voters: ['a', 'b', 'c'], options })
  table.elect('a')
  read(table)
  return table
}

let requests = 0
function read(table: RaftTable): void {
  table.act('a', (raft, now) => raft.requestReadIndex(++requests, now))
  table.settle()
}

const holds = (table: RaftTable, ms: number): boolean =>
  table.raft('a').holdsLease(table.raft('a').term, at(ms))

t.test(
  'R-Q04 without the option nobody is asked for a promise, and there is no lease',
  async (t) => {
    const table = new RaftTable({ voters: ['a', 'b', 'c'] })
    table.elect('a')
    read(table)
    t.equal(table.raft('a').leaseRead(), null)
    const asked = table.seat('a').sent.filter((one) => one.kind === 'heartbeat')
    t.ok(asked.length > 0)
    t.ok(asked.every((one) => !('promiseMs' in one)))
  }
)

t.test('R-Q04 a lease counts from when its round was sent, and ends before promises', async (t) => {
  const table = leased()
  t.same(table.raft('a').leaseRead(), { index: 2, term: 1 })
  const sentAt = table.now + 350
  table.isolate('c')
  table.now = sentAt
  table.act('a', (raft, now) => raft.requestReadIndex(++requests, now))
  table.now += 100
  table.settle()
  t.ok(holds(table, sentAt + leaseMs - 1))
  t.notOk(holds(table, sentAt + leaseMs), 'though b keeps its promise for 200 ms more')
})

t.test('R-Q04 leaseRead looks at no clock: the look after the read tells of a pause', async (t) => {
  const table = leased()
  const before = table.raft('a').leaseRead()
  t.not(before, null)
  t.notOk(holds(table, table.now + leaseMs), 'however long it stood still')
  t.notOk(table.raft('a').holdsLease(2 as Term, at(table.now)), 'nor in another term')
})

t.test('R-Q04 broken connections elect nobody until promises have run out', async (t) => {
  const table = leased()
  const begunAt = table.now
  for (const name of ['b', 'c']) {
    table.act(name, (raft, now) => raft.handlePeerLost(replica('a'), now))
  }
  table.isolate('a')
  table.advance(499)
  t.same(table.leaders, ['a'])
  table.advance(200)
  t.ok(
    table.leaders.some((name) => name !== 'a'),
    'and then soon'
  )
  t.ok(table.now - begunAt < 700)
})

t.test('R-Q04 a promise outlives the process that gave it', async (t) => {
  const table = leased()
  table.passes = ({ from, to }) => ![from, to].includes(replica('c'))
  // Long enough for c's promise to be over; its next campaign is about to come.
  table.advance(1_200)
  table.advance(table.raft('c').nextDeadline() - table.now - 1)
  read(table)
  const sentAt = table.now
  table.restart('b')
  table.isolate('a')
  table.advance(100)
  t.ok(holds(table, sentAt + leaseMs - 1))
  t.same(table.leaders, ['a'], 'b does not vote')
  t.match(table.raft('b').explainElection(), [{ decision: 'preVoteRefused' }])
})

t.test('R-Q04 a promise outlives the term in which it was given', async (t) => {
  const table = leased()
  const c = { group: 0, from: replica('c'), to: replica('b'), term: 7 as Term } as const
  const vote = { ...c, kind: 'vote', lastIndex: 9, lastTerm: 6, transfer: false }
  const answers = () =>
    table.seat('b').sent.filter(({ kind, to }) => kind === 'voteResponse' && to === replica('c'))
  const ask = () => {
    table.act('b', (raft, now) => raft.receive(vote as never, now))
    return answers().at(-1)
  }
  t.equal(ask(), undefined, 'a vote of a later term is not answered')
  const refusal = { ...c, kind: 'voteResponse', granted: false }
  table.act('b', (raft, now) => raft.receive(refusal as never, now))
  t.match(table.raft('b').status(), { term: 7, leader: null, vote: null })
  t.match(ask(), { granted: false })
  table.now += 500
  t.match(ask(), { granted: true })
})

t.test('R-Q04 who was told to take over is elected at once, so there is no lease', async (t) => {
  const table = leased()
  const { term } = table.raft('a')
  table.passes = ({ kind }) => kind === 'timeoutNow' || kind === 'heartbeatResponse'
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  t.notOk(holds(table, table.now), 'cut as the transfer begins')
  table.passes = ({ from, to }) => ![from, to].includes(replica('a'))
  table.deliver({
    kind: 'timeoutNow',
    group: 0,
    from: replica('a'),
    to: replica('b'),
    term
  } as never)
  table.settle()
  t.same(table.leaders, ['a', 'b'])
  t.notOk(holds(table, table.now))
})

t.test('R-Q04 in a term in which somebody was told there is no other lease', async (t) => {
  const table = leased()
  table.passes = ({ kind }) => kind !== 'timeoutNow'
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  table.advance(1_100)
  t.equal(table.raft('a').status().transferTarget, null)
  t.same(table.leaders, ['a'])
  read(table)
  t.equal(table.raft('a').leaseRead(), null)
  table.heal()
  table.act('a', (raft, now) => raft.stepDown('test', now))
  table.elect('a')
  read(table)
  t.not(table.raft('a').leaseRead(), null, 'in the next there is')
})

t.test(
  'R-Q04 another configuration cuts it, a leader outside of the voters has none',
  async (t) => {
    const table = leased()
    table.join('d')
    t.match(table.change('a', { d: 'learner' }), { kind: 'proposed' })
    t.equal(table.raft('a').leaseRead(), null)
    table.settle()
    read(table)
    t.not(table.raft('a').leaseRead(), null)
    table.passes = ({ kind }) => kind === 'heartbeat' || kind === 'heartbeatResponse'
    t.match(table.change('a', { a: 'none' }), { kind: 'proposed' })
    read(table)
    t.equal(table.raft('a').leaseRead(), null)
  }
)

t.test('R-Q04 no promise is made for longer than a restart would keep it', async (t) => {
  const table = leased()
  const beat = {
    kind: 'heartbeat',
    group: 0,
    from: replica('a'),
    to: replica('b'),
    term: table.raft('b').term,
    commitIndex: 0,
    readContext: 99
  }
  const answered = (promiseMs: number) => {
    table.act('b', (raft, now) => raft.receive({ ...beat, promiseMs } as never, now))
    return table.seat('b').sent.at(-1)
  }
  t.match(answered(500), { readContext: 99, promised: true })
  t.notOk('promised' in (answered(501) ?? {}))
})

t.test('R-Q04 reads that go on renew a lease before it ends', async (t) => {
  const table = leased()
  const { now } = table
  t.notOk(table.raft('a').isLeaseOld(at(now + leaseMs / 2 - 1)))
  table.now += leaseMs / 2
  t.ok(table.raft('a').isLeaseOld(table.now as MonotonicMs))
  table.act('a', (raft, at) => raft.renewLease(at))
  table.settle()
  t.ok(holds(table, now + leaseMs + leaseMs / 2 - 1))
})
