/** What happens to those whom a lease rests on, told so that a broken promise is a stale read. */
import t, { type Test } from 'tap'
import type { RaftMessage } from '../../../../src/consensus/index.js'
import type { MonotonicMs, Term } from '../../../../src/core/index.js'
import { at, batch, RaftTable, replica } from '../../../support/raft/raft-table.js'

/** Promises of 500 ms, leases of 400 ms. */
const options = { leaseReads: true, leaseClockRatioMax: 1.25 }

/** a leads, and has a lease by the promise of b: c has made none. Then a is cut off. */
function leasedByB(): RaftTable {
  const table = new RaftTable({ voters: ['a', 'b', 'c'], options })
  table.elect('a')
  table.isolate('c')
  read(table)
  table.isolate('a')
  return table
}

function read(table: RaftTable): void {
  table.act('a', (raft, now) => raft.requestReadIndex(1, now))
  table.settle()
}

const lose = (table: RaftTable, name: string): void =>
  table.act(name, (raft, now) => raft.handlePeerLost(replica('a'), now))

/** Its patience is over, whatever it was. */
function timeOut(table: RaftTable, name: string, now?: MonotonicMs): void {
  table.act(name, (raft) => raft.handleTimeout(now ?? raft.nextDeadline()))
  table.settle()
}

const holdsLease = (table: RaftTable): boolean => {
  const raft = table.raft('a')
  return raft.holdsLease(raft.term, at(table.now))
}

/** Others have committed what a does not know of, and a would answer. */
const readsStale = (table: RaftTable): boolean => {
  const known = table.raft('a').commitIndex
  return holdsLease(table) && table.seats.some(({ raft }) => raft.commitIndex > known)
}

/** Somebody else leads in the end, and a has no lease when that one commits. */
function expectSuccession(t: Test, table: RaftTable): void {
  t.notOk(readsStale(table))
  for (let ms = 0; ms < 2_000 && table.leaders.length < 2; ms++) {
    table.advance(1)
    if (readsStale(table)) t.fail(`a stale read after ${ms} ms`)
  }
  t.equal(table.leaders.length, 2)
  t.notOk(holdsLease(table))
}

/** What befalls b before c campaigns. */
const fates: Record<string, (table: RaftTable) => void> = {
  'loses its connection to the leader': () => {},
  'starts anew': (table) => table.restart('b'),
  'hears of a later term': (table) => {
    const term = 7 as Term
    for (const [from, to] of ['bc', 'cb'].map((pair) => [...pair].map(replica))) {
      const refusal = { kind: 'voteResponse', group: 0, from, to, term, granted: false }
      table.deliver(refusal as unknown as RaftMessage)
    }
  },
  'is asked for less by another': (table) => {
    const beat = { kind: 'heartbeat', group: 0, from: replica('c'), to: replica('b') }
    const asks = { ...beat, term: 2, commitIndex: 0, readContext: 1, promiseMs: 1 }
    table.deliver(asks as unknown as RaftMessage)
    const back = { kind: 'voteResponse', group: 0, from: replica('b'), to: replica('c') }
    table.deliver({ ...back, term: 2, granted: false } as unknown as RaftMessage)
    table.now += 2
    table.act('b', (raft, now) => raft.handlePeerLost(replica('c'), now))
  }
}

for (const [fate, befall] of Object.entries(fates)) {
  t.test(`R-Q04 no stale read when whoever has promised ${fate}`, async (t) => {
    const table = leasedByB()
    t.ok(holdsLease(table))
    for (const name of ['b', 'c']) lose(table, name)
    befall(table)
    timeOut(table, 'c')
    t.ok(holdsLease(table))
    expectSuccession(t, table)
  })
}

t.test('R-Q04 no stale read when whoever has promised would campaign itself', async (t) => {
  const table = leasedByB()
  for (const name of ['b', 'c']) lose(table, name)
  const never = Number.NEGATIVE_INFINITY as MonotonicMs
  table.act('b', (raft, now) => raft.resume(() => never, now))
  timeOut(table, 'b', at(table.now + 399))
  t.match(table.raft('b').status(), { role: 'follower' })
  t.ok(holdsLease(table))
  expectSuccession(t, table)
})

t.test('R-Q04 no stale read when the answer to a round is long on its way', async (t) => {
  const table = leasedByB()
  const late: RaftMessage[] = []
  table.passes = (message) => {
    if (message.kind === 'heartbeatResponse') late.push(message)
    return message.kind === 'heartbeat' && message.to === replica('b')
  }
  table.now += 450
  read(table)
  table.isolate('a')
  table.now += 300
  for (const answer of late) table.deliver(answer)
  t.ok(holdsLease(table), 'for 100 ms more')
  // b has promised for 200 ms more, c nothing.
  for (const name of ['b', 'c']) lose(table, name)
  expectSuccession(t, table)
})

t.test('R-Q04 no stale read while a successor takes over', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c'], options })
  table.elect('a')
  read(table)
  t.ok(holdsLease(table))
  // Nothing but the word to the successor gets through to it, and nothing back.
  table.passes = ({ from, to, kind }) => kind === 'timeoutNow' || ![from, to].includes(replica('a'))
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  table.settle()
  t.same(table.leaders, ['a', 'b'], 'at once, whoever has promised')
  t.notOk(readsStale(table))
  expectSuccession(t, table)
})

t.test('R-Q03 no stale read by what was answered before it was asked', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c'] })
  table.elect('a')
  const late: RaftMessage[] = []
  table.passes = (message) => {
    if (message.kind === 'heartbeatResponse') late.push(message)
    return message.kind === 'heartbeat'
  }
  read(table)
  t.equal(late.length, 2)
  table.isolate('a')
  for (const name of ['b', 'c']) lose(table, name)
  timeOut(table, 'b')
  table.act('b', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  t.same(table.leaders, ['a', 'b'], 'a knows of nothing yet')
  const committed = table.raft('b').commitIndex
  t.ok(committed > table.raft('a').commitIndex)
  table.act('a', (raft, now) => raft.requestReadIndex(2, now))
  for (const answer of late) table.deliver(answer)
  const told = table.seat('a').events.filter(({ type }) => type === 'ReadReady')
  t.match(told, [{ requestId: 1 }], 'what was asked before may be answered')
  table.heal()
  timeOut(table, 'a')
  const refused = table.seat('a').events.filter(({ type }) => type === 'ReadRefused')
  t.match(refused, [{ requestId: 2 }])
})
