import t from 'tap'
import type { RaftMessage } from '../../../../src/consensus/index.js'
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
    const beat = { ...asked.at(-1), to: replica('b'), promiseMs: 100 } as RaftMessage
    table.act('b', (raft, now) => raft.receive(beat, now))
    const answer = table.seat('b').sent.at(-1)
    t.match(answer, { kind: 'heartbeatResponse' })
    t.notOk('promised' in (answer ?? {}), 'nor does anybody make one who is')
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
  t.notOk(holds(table, table.now), 'over as the word leaves')
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

t.test('R-Q04 reads that go on open one round to renew a lease, not another', async (t) => {
  const table = leased()
  const roundsOf = () => {
    const contexts = table
      .seat('a')
      .sent.map((one) => (one.kind === 'heartbeat' ? one.readContext : 0))
    return new Set(contexts.filter((context) => context !== 0)).size
  }
  const before = roundsOf()
  table.now += leaseMs / 2
  for (let i = 0; i < 3; i++) table.act('a', (raft, now) => raft.renewLease(now))
  table.settle()
  t.equal(roundsOf(), before + 1)
  t.notOk(table.raft('a').isLeaseOld(table.now as MonotonicMs))
})

/** These answer as before, and promise nothing. */
function keepFromPromising(table: RaftTable, ...names: string[]): void {
  const ids = names.map(replica)
  table.passes = (message) => {
    if (message.kind === 'appendEntries') return false
    if (message.kind !== 'heartbeatResponse' || !ids.includes(message.from)) return true
    const { promised, ...rest } = message
    if (promised) table.queue.push(rest)
    return !promised
  }
}

const isConfirmed = (table: RaftTable): boolean =>
  table.seat('a').events.at(-1)?.type === 'ReadReady'

t.test('R-Q04 it takes the promises of a majority of voters, learners are none', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c'], learners: ['d', 'e'], options })
  table.elect('a')
  keepFromPromising(table, 'b', 'c')
  read(table)
  t.ok(isConfirmed(table))
  t.equal(table.raft('a').leaseRead(), null)
  keepFromPromising(table, 'c')
  read(table)
  t.not(table.raft('a').leaseRead(), null)
})

t.test('R-Q04 who has left promises in vain', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c', 'd'], options })
  table.elect('a')
  t.match(table.change('a', { d: 'none' }), { kind: 'proposed' })
  keepFromPromising(table, 'b', 'c')
  read(table)
  t.ok(isConfirmed(table))
  t.equal(table.raft('a').leaseRead(), null)
})

for (const silent of ['bc', 'de']) {
  t.test(`R-Q04 of a joint configuration each half must promise; ${silent} do not`, async (t) => {
    const table = new RaftTable({ voters: ['a', 'b', 'c'], learners: ['d', 'e'], options })
    table.elect('a')
    table.advance(600)
    const changes = { b: 'none', c: 'none', d: 'voter', e: 'voter' } as const
    t.match(table.change('a', changes), { kind: 'proposed' })
    keepFromPromising(table, ...silent)
    read(table)
    t.ok(isConfirmed(table))
    t.equal(table.raft('a').configuration.votersOutgoing.length, 3)
    t.equal(table.raft('a').leaseRead(), null)
    keepFromPromising(table)
    read(table)
    t.not(table.raft('a').leaseRead(), null)
  })
}

/** To a heartbeat of a, from b, who has promised. */
const answerOf = (term: Term, readContext: number): RaftMessage => {
  const ends = { from: replica('b'), to: replica('a') }
  const answer = { kind: 'heartbeatResponse', group: 0, ...ends, term, readContext, promised: true }
  return answer as unknown as RaftMessage
}

t.test('R-Q04 promises to another round, or in another term, are none to this one', async (t) => {
  const table = leased()
  const round = table.seat('b').sent.find(({ kind }) => kind === 'heartbeatResponse')
  t.match(round, { term: 1, readContext: 1 })
  table.isolate('a')
  table.now += leaseMs
  read(table)
  table.deliver(answerOf(1 as Term, 1))
  t.notOk(holds(table, table.now), 'the round before')
  table.deliver(answerOf(1 as Term, 2))
  t.ok(holds(table, table.now), 'this one')
  table.heal()
  table.act('a', (raft, now) => raft.stepDown('test', now))
  table.now += 1_000
  table.elect('a')
  t.equal(table.raft('a').term, 2)
  table.isolate('a')
  read(table)
  table.deliver(answerOf(1 as Term, 1))
  t.notOk(holds(table, table.now), 'the same number, of the term before')
  table.deliver(answerOf(2 as Term, 1))
  t.ok(holds(table, table.now))
})

t.test('R-Q04 a round that another configuration overtakes is no lease', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c'], learners: ['d'], options })
  table.elect('a')
  table.advance(600)
  table.isolate('a')
  read(table)
  t.match(table.change('a', { d: 'voter' }), { kind: 'proposed' })
  table.deliver(answerOf(1 as Term, 1))
  t.notOk(isConfirmed(table), 'two of four')
  t.equal(table.raft('a').leaseRead(), null)
})

t.test('R-Q04 who has promised hears of no campaign, though its leader is gone', async (t) => {
  const table = leased()
  table.act('b', (raft, now) => raft.handlePeerLost(replica('a'), now))
  const ask = { group: 0, from: replica('c'), to: replica('b'), lastIndex: 9, lastTerm: 1 }
  const asks = (kind: 'vote' | 'preVote') => {
    const message = { ...ask, kind, term: 2, transfer: false } as unknown as RaftMessage
    table.act('b', (raft, now) => raft.receive(message, now))
    return table.raft('b').explainElection().at(-1)
  }
  t.match(asks('preVote'), { decision: 'preVoteRefused' })
  t.match(asks('vote'), { decision: 'voteIgnored', reason: 'promised' })
  t.equal(table.raft('b').term, 1, 'so that nobody deposes the leader')
  table.now += 499
  t.match(asks('vote'), { decision: 'voteIgnored' })
  table.now += 1
  t.match(asks('preVote'), { decision: 'preVoteGranted' })
  t.match(asks('vote'), { decision: 'voteGranted' })
})
