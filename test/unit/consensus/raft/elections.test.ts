import t from 'tap'
import type { RaftMessage } from '../../../../src/consensus/index.js'
import { DEFAULT_GROUP, type LogIndex, type Term } from '../../../../src/core/index.js'
import { at, RaftTable, replica } from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']

function vote(from: string, to: string, term: number, last: readonly [number, number]) {
  return {
    kind: 'vote',
    group: DEFAULT_GROUP,
    from: replica(from),
    to: replica(to),
    term: term as Term,
    lastIndex: last[0] as LogIndex,
    lastTerm: last[1] as Term,
    transfer: false
  } satisfies RaftMessage
}

t.test('R-E01 starts as a follower with the term from the disk', async (t) => {
  const table = new RaftTable({ voters: three, terms: { a: 4 } })
  t.match(table.raft('a').status(), { role: 'follower', term: 4, vote: null, leader: null })
})

t.test(
  'R-E02 R-E22 a higher term makes a follower of a leader, durable before it is told',
  async (t) => {
    const table = new RaftTable({ voters: three })
    table.elect('a')
    table.holdDisk('a')
    const heartbeat = { ...vote('b', 'a', 9, [9, 9]), kind: 'heartbeat' as const }
    table.act('a', (raft, now) =>
      raft.receive({ ...heartbeat, commitIndex: 0 as LogIndex, readContext: 3 }, now)
    )
    t.match(table.raft('a').status(), { role: 'follower', term: 9, leader: replica('b') })
    t.equal(
      table.queue.some(({ term }) => term === 9),
      false
    )
    table.releaseDisk('a')
    t.match(table.queue.at(-1), { kind: 'heartbeatResponse', term: 9, readContext: 3 })
  }
)

t.test('R-E03 R-E22 a stale leader is told the term and steps down', async (t) => {
  const table = new RaftTable({ voters: three, terms: { c: 7 } })
  table.isolate('c')
  table.elect('a')
  t.same(table.leaders, ['a'])
  table.heal()
  table.advance(2_500)
  t.equal(table.leaders.length, 1)
  const leading = table.raft(table.leaders[0] as string).status()
  t.ok(leading.term > 7)
  t.ok(table.seats.every(({ raft }) => raft.status().term === leading.term))
})

t.test('R-E04 the vote for itself is durable before any request leaves', async (t) => {
  const table = new RaftTable({ voters: three })
  table.holdDisk('a')
  table.elect('a')
  t.match(table.raft('a').status(), { role: 'candidate', term: 1, vote: replica('a') })
  t.equal(table.queue.length, 0)
  t.equal(table.seat('a').waiting.filter(({ kind }) => kind === 'vote').length, 2)
  table.releaseDisk('a')
  table.settle()
  t.same(table.leaders, ['a'])
})

t.test('R-E05 timeouts spread over [min, max)', async (t) => {
  const waits = Array.from({ length: 500 }, (_, seed) => {
    const table = new RaftTable({ voters: three, seed })
    return table.raft('a').nextDeadline()
  })
  t.ok(waits.every((wait) => wait >= 500 && wait < 1_000))
  const buckets = [500, 600, 700, 800, 900].map(
    (from) => waits.filter((wait) => wait >= from && wait < from + 100).length
  )
  const chiSquare = buckets.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
  t.ok(chiSquare < 18.5, `chi-square ${chiSquare} of ${buckets}`)
})

t.test('R-E07 R-P01 one vote per term, told when durable, kept over a restart', async (t) => {
  const table = new RaftTable({ voters: three })
  table.holdDisk('a')
  table.act('a', (raft, now) => raft.receive(vote('b', 'a', 1, [1, 0]), now))
  t.equal(table.queue.length, 0)
  table.releaseDisk('a')
  t.match(table.queue.at(-1), { kind: 'voteResponse', granted: true, to: replica('b') })
  table.restart('a')
  table.act('a', (raft, now) => raft.receive(vote('c', 'a', 1, [1, 0]), now))
  t.match(table.queue.at(-1), { kind: 'voteResponse', granted: false, to: replica('c') })
  table.act('a', (raft, now) => raft.receive(vote('b', 'a', 1, [1, 0]), now))
  t.match(table.queue.at(-1), { kind: 'voteResponse', granted: true, to: replica('b') })
})

t.test('R-E08 R-E14 a vote goes to logs that are not behind: last term, then index', async (t) => {
  for (const term of [0, 1, 2, 3]) {
    for (const index of [1, 2, 3, 4]) {
      const table = new RaftTable({ voters: three, logs: { a: [1, 2] } })
      table.act('a', (raft, now) => raft.receive(vote('b', 'a', 5, [index, term]), now))
      const granted = term > 2 || (term === 2 && index >= 3)
      t.match(table.queue.at(-1), { granted }, `term ${term}, index ${index}`)
    }
  }
})

t.test('R-E09 a candidate that meets the leader of its term follows', async (t) => {
  const table = new RaftTable({ voters: three })
  table.isolate('a')
  table.elect('a')
  t.equal(table.raft('a').status().role, 'preCandidate')
  table.elect('b')
  table.heal()
  table.advance(200)
  t.match(table.raft('a').status(), { role: 'follower', leader: replica('b') })
})

t.test('R-E10 split votes are resolved', async (t) => {
  for (let seed = 0; seed < 200; seed++) {
    const table = new RaftTable({
      voters: three,
      seed,
      options: { electionTimeoutMaxMs: 510 }
    })
    table.advance(8_000)
    t.equal(table.leaders.length, 1, `seed ${seed}`)
  }
})

t.test('R-E11 a single voter leads at once', async (t) => {
  const table = new RaftTable({ voters: ['a'] })
  table.advance(0)
  t.same(table.leaders, ['a'])
  t.equal(table.raft('a').status().commitIndex, 2)
})

t.test('R-E12 every replica can become leader', async (t) => {
  const table = new RaftTable({ voters: three })
  for (const name of [...three, ...three]) {
    table.elect(name)
    t.same(table.leaders, [name])
  }
})

t.test(
  'R-E15 R-E19 an isolated replica raises no term and disturbs nobody on return',
  async (t) => {
    const table = new RaftTable({ voters: three })
    table.elect('a')
    table.isolate('c')
    table.advance(3_600_000)
    t.equal(table.raft('c').status().term, 1)
    table.heal()
    table.advance(2_000)
    t.same(table.leaders, ['a'])
    t.equal(table.raft('a').status().term, 1)
    t.equal(table.raft('c').status().leader, replica('a'))
  }
)

t.test('R-E16 R-E17 two survivors elect, one of them a term behind', async (t) => {
  const table = new RaftTable({ voters: three, terms: { a: 3, b: 3, c: 1 } })
  table.elect('a')
  table.isolate('a')
  table.advance(4_000)
  t.equal(table.leaders.filter((name) => name !== 'a').length, 1)
  t.notOk(table.leaders.includes('a'))
})

t.test('R-E20 who hears a leader ignores votes, and keeps its term', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.advance(300)
  for (const name of ['a', 'b']) {
    table.act(name, (raft, now) => raft.receive(vote('c', name, 50, [99, 49]), now))
    t.equal(table.raft(name).status().term, 1)
    t.match(table.raft(name).explainElection().at(-1), { decision: 'voteIgnored' })
  }
})

t.test('R-E21 R-F04 a leader without a quorum steps down within an election timeout', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('a')
  table.advance(1_000)
  t.notOk(table.leaders.includes('a'))
  t.match(
    table.seat('a').events.findLast(({ type }) => type === 'RoleChanged'),
    { role: 'follower', reason: 'quorumLost' }
  )
})

t.test('R-F04 a leader whose disk stalls steps down, and does not campaign', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.holdDisk('a')
  table.act('a', (raft, now) => raft.propose(Uint8Array.of(2, 0), now))
  table.advance(1_100)
  t.match(
    table.seat('a').events.findLast(({ type }) => type === 'RoleChanged'),
    { role: 'follower' }
  )
  table.advance(20_000)
  t.notOk(table.leaders.includes('a'))
  t.equal(table.leaders.length, 1)
})

t.test('R-E23 D-05 whichever way one link or one node is cut, somebody leads', async (t) => {
  const shapes: ((m: RaftMessage, leader: string, other: string) => boolean)[] = [
    (m, leader) => m.from === leader,
    (m, leader) => m.to === leader,
    (m, leader) => m.from === leader || m.to === leader,
    (m, _, other) => m.from === other,
    (m, _, other) => m.to === other,
    (m, leader, other) => m.from === leader && m.to === other
  ]
  for (const [i, isCut] of shapes.entries()) {
    const table = new RaftTable({ voters: three })
    table.elect('a')
    table.passes = (message) => !isCut(message, replica('a'), replica('b'))
    table.advance(10_000)
    const before = table.raft('c').status().commitIndex
    const leader = table.leaders.find((name) => table.raft(name).status().term === termMax(table))
    t.ok(leader, `shape ${i}: ${table.leaders}`)
    table.act(leader ?? 'a', (raft, now) => raft.propose(Uint8Array.of(2, 0), now))
    table.advance(1_000)
    t.ok(
      table.seats.some(({ raft }) => raft.status().commitIndex > before),
      `shape ${i}`
    )
  }
})

t.test('R-E24 a leader that only the bridge reaches does not block the others', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c', 'd', 'e'] })
  table.elect('a')
  const [a, b] = [replica('a'), replica('b')]
  table.passes = ({ from, to }) => (from !== a || to === b) && (to !== a || from === b)
  table.advance(10_000)
  t.equal(table.leaders.length, 1)
  t.notOk(table.leaders.includes('a'))
})

t.test('R-E26 R-E28 a learner never campaigns and votes when asked', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b'], learners: ['z'] })
  t.equal(table.raft('z').status().role, 'learner')
  table.isolate('z')
  table.advance(20_000)
  t.equal(table.raft('z').status().term, 0)
  table.act('z', (raft, now) => raft.receive(vote('stranger', 'z', 9, [9, 9]), now))
  t.match(table.queue.at(-1), { kind: 'voteResponse', granted: true })
})

t.test('R-P08 what is meant for another storage of the node is not answered', async (t) => {
  const table = new RaftTable({ voters: three })
  const elsewhere = { ...vote('b', 'a', 9, [9, 9]), to: replica('a-before') }
  table.act('a', (raft, now) => raft.receive(elsewhere, now))
  t.equal(table.queue.length, 0)
  t.match(table.raft('a').status(), { term: 0, messagesIgnored: 1 })
})

t.test('R-E31 a confirmation of the disk from an older term counts for nothing', async (t) => {
  const table = new RaftTable({ voters: three })
  table.holdDisk('a')
  table.elect('a')
  const [request] = table.seat('a').persists
  table.act('a', (raft, now) => raft.receive(vote('b', 'a', 5, [9, 9]), now))
  table.act('a', (raft, now) => raft.handlePersisted(request?.sequence ?? 0, now))
  t.match(table.raft('a').status(), { role: 'follower', term: 5, vote: replica('b') })
})

t.test('a lost connection to the leader brings the campaign forward', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('a')
  for (const name of ['b', 'c'])
    table.act(name, (raft, now) => raft.handlePeerLost(replica('a'), now))
  table.advance(110)
  t.equal(table.leaders.filter((name) => name !== 'a').length, 1)
})

t.test('R-T08 a replica that may not campaign never does', async (t) => {
  const table = new RaftTable({ voters: three })
  table.raft('a').setCandidacy(false)
  table.isolate('a')
  t.equal(table.raft('a').nextDeadline(), Number.POSITIVE_INFINITY)
  table.act('a', (raft) => raft.handleTimeout(at(5_000)))
  t.equal(table.raft('a').status().role, 'follower')
})

const termMax = (table: RaftTable): number =>
  Math.max(...table.seats.map(({ raft }) => raft.status().term))
