import t from 'tap'
import { decodeEntryPayload } from '../../../../src/consensus/index.js'
import { batch, RaftTable, replica } from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']

const reads = (table: RaftTable, name: string) =>
  table.seat(name).events.filter(({ type }) => type === 'ReadReady' || type === 'ReadRefused')
const endings = (table: RaftTable, name: string) =>
  table.seat(name).events.filter(({ type }) => type === 'TransferEnded')

t.test('R-Q01 R-Q10 a read is ready when a majority answered a later heartbeat', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.act('a', (raft, now) => raft.requestReadIndex(7, now))
  t.same(reads(table, 'a'), [])
  table.settle()
  t.same(reads(table, 'a'), [{ type: 'ReadReady', requestId: 7, index: 2 }])
  table.isolate('a')
  table.act('a', (raft, now) => raft.requestReadIndex(8, now))
  table.advance(1_100)
  t.match(reads(table, 'a').at(-1), { type: 'ReadRefused', requestId: 8, reason: 'notLeader' })
})

t.test('R-Q01 a single voter answers at once', async (t) => {
  const table = new RaftTable({ voters: ['a'] })
  table.advance(0)
  table.act('a', (raft, now) => raft.requestReadIndex(1, now))
  t.match(reads(table, 'a'), [{ type: 'ReadReady', requestId: 1 }])
})

t.test('R-Q02 no read before the first commit of the term', async (t) => {
  const table = new RaftTable({ voters: three, logs: { a: [1], b: [1], c: [1] } })
  table.passes = ({ kind }) => kind !== 'appendEntries'
  table.elect('a')
  table.act('a', (raft, now) => raft.requestReadIndex(1, now))
  table.advance(200)
  t.same(reads(table, 'a'), [])
  table.heal()
  table.advance(200)
  t.same(reads(table, 'a'), [{ type: 'ReadReady', requestId: 1, index: 3 }])
})

t.test('R-Q03 answers of an earlier round confirm no later read, same id or not', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.act('a', (raft, now) => raft.requestReadIndex(1, now))
  table.settle()
  const early = table.seat('b').sent.filter(({ kind }) => kind === 'heartbeatResponse')
  table.isolate('a')
  table.act('a', (raft, now) => raft.requestReadIndex(1, now))
  for (const answer of early) table.act('a', (raft, now) => raft.receive(answer, now))
  t.equal(reads(table, 'a').length, 1)
})

t.test('R-Q07 R-Q08 elsewhere and beyond the bound reads are refused; none is kept', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.act('b', (raft, now) => raft.requestReadIndex(1, now))
  t.match(reads(table, 'b'), [{ reason: 'notLeader', leaderHint: replica('a') }])
  table.isolate('a')
  for (let id = 1; id <= 5; id++) table.act('a', (raft, now) => raft.requestReadIndex(id, now))
  t.match(reads(table, 'a'), [{ requestId: 5, reason: 'backpressure' }])
  t.equal(table.raft('a').status().pendingReads, 4)
  table.act('a', (raft, now) => raft.stepDown('test', now))
  t.equal(reads(table, 'a').length, 5)
  t.equal(table.raft('a').status().pendingReads, 0)
})

t.test('R-T01 R-T05 leadership goes to a follower that had to catch up first', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('c')
  for (let i = 0; i < 9; i++) table.act('a', (raft, now) => raft.propose(batch(i), now))
  table.settle()
  table.heal()
  table.act('a', (raft, now) => raft.transferLeadership(replica('c'), now))
  table.advance(300)
  t.same(table.leaders, ['c'])
  t.match(endings(table, 'a'), [{ target: replica('c'), outcome: 'steppedDown' }])
  t.equal(table.raft('c').status().commitIndex, 12)
})

t.test('R-T01 without a target it goes to the most advanced voter', async (t) => {
  const table = new RaftTable({ voters: three, learners: ['z'] })
  table.elect('a')
  table.isolate('b')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  table.heal()
  table.act('a', (raft, now) => raft.transferLeadership(null, now))
  table.advance(50)
  t.same(table.leaders, ['c'])
})

t.test('R-T01 of those that have what is committed, to who was there longest', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.act('a', (raft, now) => raft.handlePeerLost(replica('b'), now))
  table.restart('b')
  table.advance(100)
  table.act('a', (raft, now) => raft.handlePeerConnected(replica('b'), now))
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.advance(100)
  table.passes = ({ from, kind }) => from !== replica('c') || kind !== 'appendEntriesResponse'
  table.holdDisk('a')
  table.act('a', (raft, now) => raft.propose(batch(2), now))
  table.settle()
  const [b, c] = table.raft('a').status().progress
  t.ok((b?.matchIndex ?? 0) > (c?.matchIndex ?? 0), 'b is ahead by what is not committed')
  table.heal()
  table.act('a', (raft, now) => raft.transferLeadership(null, now))
  table.releaseDisk('a')
  table.advance(200)
  t.same(table.leaders, ['c'], 'b has just begun')
})

t.test('R-T01 not to one whose connection has broken, as long as another is there', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  for (const name of ['b', 'c']) {
    table.act('a', (raft, now) => raft.handlePeerConnected(replica(name), now))
    table.advance(10)
  }
  table.isolate('b')
  table.act('a', (raft, now) => raft.handlePeerLost(replica('b'), now))
  table.act('a', (raft, now) => raft.transferLeadership(null, now))
  table.settle()
  t.same(table.leaders, ['c'])
})

t.test('R-T02 to itself, a stranger, a learner, or from a follower: refused', async (t) => {
  const table = new RaftTable({ voters: three, learners: ['z'] })
  table.elect('a')
  for (const target of ['a', 'stranger', 'z']) {
    table.act('a', (raft, now) => raft.transferLeadership(replica(target), now))
  }
  table.act('b', (raft, now) => raft.transferLeadership(replica('c'), now))
  t.match(endings(table, 'a'), [
    { outcome: 'refused', reason: 'alreadyLeader' },
    { outcome: 'refused', reason: 'notAVoter' },
    { outcome: 'refused', reason: 'notAVoter' }
  ])
  t.match(endings(table, 'b'), [{ outcome: 'refused', reason: 'notLeader' }])
  t.match(
    table.act('a', (raft, now) => raft.propose(batch(1), now)),
    { kind: 'proposed' }
  )
})

t.test('R-T03 proposals wait for a transfer, and go on when it times out', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('c')
  table.act('a', (raft, now) => raft.transferLeadership(replica('c'), now))
  const propose = () => table.act('a', (raft, now) => raft.propose(batch(1), now))
  t.match(propose(), { kind: 'refused', reason: 'transferring', leaderHint: replica('c') })
  table.passes = ({ from, to }) => ![from, to].includes(replica('c'))
  table.advance(1_000)
  t.match(endings(table, 'a'), [{ outcome: 'timedOut' }])
  t.match(propose(), { kind: 'proposed' })
})

t.test('R-T04 the same target again changes nothing, another replaces it', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.passes = ({ to }) => to === replica('a')
  const transfer = (target: string) =>
    table.act('a', (raft, now) => raft.transferLeadership(replica(target), now))
  transfer('b')
  transfer('b')
  t.same(endings(table, 'a'), [])
  transfer('c')
  t.match(endings(table, 'a'), [{ target: replica('b'), outcome: 'replaced' }])
  t.equal(table.raft('a').status().transferTarget, replica('c'))
})

t.test('R-T05 1,000 transfers under load succeed, and lose no write', async (t) => {
  const table = new RaftTable({ voters: three, options: { uncommittedBytesMax: 100_000 } })
  table.elect('a')
  let succeeded = 0
  let proposed = 0
  for (let i = 0; i < 1_000; i++) {
    const [leader = 'a'] = table.leaders
    for (let k = 0; k < 3; k++) {
      const bytes = batch(proposed & 255, proposed >> 8)
      if (table.act(leader, (raft, now) => raft.propose(bytes, now)).kind === 'proposed') proposed++
    }
    table.act(leader, (raft, now) => raft.transferLeadership(null, now))
    table.advance(20)
    if (table.leaders.length === 1 && table.leaders[0] !== leader) succeeded++
  }
  t.ok(succeeded >= 999, `${succeeded} of 1,000`)
  t.equal(proposed, 3_000)
  for (const name of three) {
    const written = table
      .committed(name)
      .map(({ payload }) => decodeEntryPayload(payload))
      .flatMap((payload) => (payload.kind === 'batch' ? [...payload.bytes] : []))
    t.same(
      written,
      Array.from({ length: 3_000 }, (_, i) => [i & 255, i >> 8]).flat(),
      `${name} has every write once, in order`
    )
  }
})

t.test('R-T05 R-R11 who takes over knows what is committed before it campaigns', async (t) => {
  const table = new RaftTable({ voters: three, options: { commitNoticeDelayMs: 1_000 } })
  table.elect('a')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  table.passes = ({ kind }) => kind !== 'vote'
  table.settle()
  t.match(table.raft('b').status(), { role: 'candidate', commitIndex: 3, lastIndex: 3 })
})

t.test('R-T05 who takes over sends what comes without waiting for a first answer', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.passes = ({ kind, to }) => kind !== 'appendEntriesResponse' || to !== replica('b')
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  table.settle()
  t.same(table.leaders, ['b'])
  table.act('b', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  for (const name of ['a', 'c']) t.equal(table.raft(name).status().lastIndex, 4, name)
  t.equal(table.raft('b').status().commitIndex, 2, 'nobody has answered')
  table.heal()
  table.advance(300)
  t.equal(table.raft('b').status().commitIndex, 4)
})

t.test(
  'R-T05 R-R05 who lacks some, whatever was presumed, gets that and no snapshot',
  async (t) => {
    const table = new RaftTable({ voters: three })
    table.elect('a')
    for (let i = 0; i < 5; i++) table.act('a', (raft, now) => raft.propose(batch(i), now))
    table.settle()
    table.isolate('c')
    for (let i = 0; i < 3; i++) table.act('a', (raft, now) => raft.propose(batch(i), now))
    table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
    table.settle()
    t.same(table.leaders, ['b'])
    t.ok(table.compact('b', 6, false) > 0)
    table.snapshot('b')
    table.heal()
    table.advance(300)
    const { commitIndex } = table.raft('b').status()
    t.equal(table.raft('c').status().commitIndex, commitIndex)
    t.same(
      table.seat('c').events.filter(({ type }) => type === 'SnapshotOffered'),
      []
    )
  }
)

t.test('R-T06 a higher term ends a transfer', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.passes = ({ to }) => to === replica('a')
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  const answer = table.seat('c').sent.findLast(({ kind }) => kind === 'appendEntriesResponse')
  const later = { ...answer, term: 5 } as NonNullable<typeof answer>
  table.act('a', (raft, now) => raft.receive(later, now))
  t.match(table.raft('a').status(), { role: 'follower', term: 5, transferTarget: null })
  t.match(endings(table, 'a'), [{ target: replica('b'), outcome: 'steppedDown' }])
})

t.test('R-T07 a leader lets nobody take over but whom it told', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.advance(100)
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  const told = table.queue.find(({ kind }) => kind === 'timeoutNow')
  table.queue.length = 0
  const stolen = { ...told, to: replica('c'), from: replica('b') } as NonNullable<typeof told>
  table.act('c', (raft, now) => raft.receive(stolen, now))
  t.equal(table.raft('c').status().role, 'follower', 'the word of another is not the leader’s')
  const own = { ...told, to: replica('c') } as NonNullable<typeof told>
  table.act('c', (raft, now) => raft.receive(own, now))
  const vote = table.queue.find(({ kind, to }) => kind === 'vote' && to === replica('a'))
  t.match(vote, { transfer: true, term: 2 })
  if (vote !== undefined) table.act('a', (raft, now) => raft.receive(vote, now))
  t.match(table.raft('a').status(), { role: 'leader', term: 1 })
})
