import t from 'tap'
import { decodeEntryPayload } from '../../../../src/consensus/index.js'
import type { ReplicaId } from '../../../../src/core/index.js'
import { batch, RaftTable, replica } from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']
const five = ['a', 'b', 'c', 'd', 'e']

t.test('R-C02 the figure: an entry of an older term is not committed by counting', async (t) => {
  const table = new RaftTable({
    voters: five,
    logs: { a: [2], b: [2], e: [3] },
    terms: { a: 3, b: 3, c: 3, d: 3, e: 3 },
    options: { appendSizeBytesMax: 1 }
  })
  const last = (id: ReplicaId) =>
    table.seats.find((seat) => seat.id === id)?.raft.status().lastIndex ?? 0
  // Leader again, it brings the old entry to everybody, but nothing of its own term.
  table.passes = (message) =>
    message.kind !== 'appendEntries' ||
    message.entries.every(({ term }) => term < 4) ||
    last(message.to) < message.prevIndex
  table.elect('a')
  t.same(table.leaders, ['a'])
  table.advance(400)
  const a = table.raft('a')
  const held = a.status().progress.filter(({ matchIndex }) => matchIndex >= 2)
  t.same(
    held.map((progress) => progress.replica),
    ['b', 'c', 'd', 'e'].map(replica),
    'everybody is known to have the entry of term 2'
  )
  t.equal(a.status().commitIndex, 0)
  table.heal()
  table.advance(300)
  t.equal(a.status().commitIndex, 3, 'with the no-op of its own term it commits')
})

t.test('R-C03 R-C05 a new leader appends a no-op, which commits what is older', async (t) => {
  const table = new RaftTable({ voters: three, logs: { a: [1], b: [1] }, terms: { c: 1 } })
  table.elect('a')
  const entries = table.committed('a')
  t.same(
    entries.map(({ payload }) => decodeEntryPayload(payload).kind),
    ['configuration', 'batch', 'noop']
  )
})

t.test('R-C04 a heartbeat’s commit index is bounded by what the follower has', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('c')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  table.passes = ({ kind, to, from }) =>
    (to !== replica('c') && from !== replica('c')) || kind.startsWith('heartbeat')
  table.advance(200)
  const beats = table.seat('a').sent.filter((m) => m.kind === 'heartbeat' && m.to === replica('c'))
  t.match(beats.at(-1), { commitIndex: 2 })
  t.match(table.raft('c').status(), { commitIndex: 2, lastIndex: 2 })
  t.equal(table.raft('a').status().commitIndex, 3)
})

t.test('R-C08 committed entries come in order, once, in bounded batches', async (t) => {
  const table = new RaftTable({ voters: three, logs: { a: Array(1_000).fill(1) } })
  table.elect('a')
  table.advance(2_000)
  for (const name of three) {
    const committed = table.seat(name).events.filter(({ type }) => type === 'Committed')
    t.ok(committed.every((event) => event.type === 'Committed' && event.entries.length <= 256))
    t.same(
      table.committed(name).map(({ index }) => index as number),
      Array.from({ length: 1_002 }, (_, i) => i + 1)
    )
  }
})

t.test('R-C09 what is committed and not applied is bounded; the leader refuses more', async (t) => {
  const table = new RaftTable({ voters: three, options: { uncommittedBytesMax: 100_000 } })
  table.elect('a')
  const propose = () => {
    const outcome = table.act('a', (raft, now) => raft.propose(batch(...new Uint8Array(98)), now))
    table.settle()
    return outcome
  }
  table.holdApply('b')
  for (let i = 0; i < 30; i++) t.equal(propose().kind, 'proposed', 'a slow follower is no obstacle')
  table.advance(200)
  t.match(table.raft('b').status(), { commitIndex: 32, emittedIndex: 12 })
  t.equal(table.committed('b').length, 12)
  table.holdApply('a')
  for (let i = 0; i < 11; i++) t.equal(propose().kind, 'proposed')
  t.match(table.raft('a').status(), { commitIndex: 43, emittedIndex: 42 })
  t.match(propose(), { kind: 'refused', reason: 'backpressure', leaderHint: replica('a') })
  t.equal(table.raft('c').status().lastIndex, 43, 'nothing was proposed')
  table.releaseApply('a')
  t.equal(table.raft('a').status().emittedIndex, 43)
  t.equal(propose().kind, 'proposed')
  table.releaseApply('b')
  table.advance(200)
  t.same(
    table.committed('b').map(({ index }) => index as number),
    Array.from({ length: 44 }, (_, i) => i + 1)
  )
})

t.test('R-C09 an entry above the bound is handed over alone', async (t) => {
  const table = new RaftTable({ voters: ['a'], options: { uncommittedBytesMax: 100_000 } })
  table.advance(0)
  table.holdApply('a')
  for (const size of [5_000, 1]) {
    table.act('a', (raft, now) => raft.propose(batch(...new Uint8Array(size)), now))
  }
  t.match(table.raft('a').status(), { commitIndex: 4, emittedIndex: 3 })
  table.releaseApply('a')
  t.match(table.raft('a').status(), { commitIndex: 4, emittedIndex: 4 })
})

t.test('R-P03 R-P15 a leader counts itself when its own disk has the entry', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.holdDisk('a')
  table.passes = ({ to, from }) => to !== replica('c') && from !== replica('c')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  t.equal(table.raft('b').status().lastIndex, 3)
  t.equal(table.raft('a').status().commitIndex, 2)
  table.releaseDisk('a')
  t.equal(table.raft('a').status().commitIndex, 3)

  const single = new RaftTable({ voters: ['a'] })
  single.advance(0)
  single.holdDisk('a')
  single.act('a', (raft, now) => raft.propose(batch(1), now))
  t.equal(single.raft('a').status().commitIndex, 2)
  single.releaseDisk('a')
  t.equal(single.raft('a').status().commitIndex, 3)
})

t.test('R-P02 an append is acknowledged when it is durable', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.holdDisk('b')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  const matchOfB = () => table.raft('a').status().progress[0]?.matchIndex
  t.equal(matchOfB(), 2)
  table.advance(300)
  t.same(table.leaders, ['a'], 'heartbeats are answered beside a slow disk')
  table.releaseDisk('b')
  table.settle()
  t.equal(matchOfB(), 3)
})

t.test('R-P05 a late confirmation of overwritten entries confirms nothing', async (t) => {
  const table = new RaftTable({ voters: five })
  table.elect('a')
  table.holdDisk('a')
  table.isolate('a')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  const early = table.seat('a').persists.at(-1)
  t.equal(early?.entries.at(-1)?.index, 3)
  table.elect('b')
  const overwriting = table
    .seat('b')
    .sent.find(({ kind, to }) => kind === 'appendEntries' && to === replica('a'))
  t.ok(overwriting)
  if (overwriting) table.act('a', (raft, now) => raft.receive(overwriting, now))
  const { durableIndex, lastIndex } = table.raft('a').status()
  t.equal(lastIndex, 3, 'the new leader’s no-op stands where the lost proposal was')
  t.equal(durableIndex, 2)
  table.act('a', (raft, now) => raft.handlePersisted(early?.sequence ?? 0, now))
  t.equal(table.raft('a').status().durableIndex, 2)
  t.equal(table.committed('a').length, 2)
  table.releaseDisk('a')
  t.equal(table.raft('a').status().durableIndex, 3)
})

t.test('R-P07 a restart gives term, vote and log back, and the commit index follows', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  table.restart('b')
  t.match(table.raft('b').status(), { term: 1, vote: replica('a'), lastIndex: 3, commitIndex: 0 })
  table.advance(300)
  t.match(table.raft('b').status(), { commitIndex: 3, leader: replica('a') })
  t.equal(table.committed('b').length, 3)
})
