/** R-P14: what a leader's messages prove of a replica whose storage was put back to a copy. */
import t from 'tap'
import type { AppendEntries, RaftMessage } from '../../../../src/consensus/messages.js'
import {
  DEFAULT_GROUP,
  type LogIndex,
  pick,
  SplittableRandom,
  type Term
} from '../../../../src/core/index.js'
import { batch, entry, RaftTable, replica, type Seat } from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']

type Stored = Pick<Seat, 'hardState' | 'base' | 'entries' | 'engineIndex'>

const stored = ({ hardState, base, entries, engineIndex }: Seat): Stored => ({
  hardState,
  base,
  entries: [...entries],
  engineIndex
})

/** The process of `name` dies, and starts again on what was stored before. */
function putBack(table: RaftTable, name: string, copy: Stored): void {
  Object.assign(table.seat(name), copy)
  table.restart(name)
}

/** The connection of `leader` to `name` breaks, and there is another. */
function reconnect(table: RaftTable, leader: string, name: string): void {
  table.act(leader, (raft, now) => raft.handlePeerLost(replica(name), now))
  table.act(leader, (raft, now) => raft.handlePeerConnected(replica(name), now))
  table.settle()
}

function propose(table: RaftTable, leader: string, count = 1): void {
  for (let i = 0; i < count; i++) {
    table.act(leader, (raft, now) => raft.propose(batch(i), now))
    table.settle()
  }
}

const lostBy = (table: RaftTable, name: string) =>
  table.seat(name).events.filter((event) => event.type === 'RolledBack')

const appendsTo = (table: RaftTable, from: string, to: string): AppendEntries[] =>
  table
    .seat(from)
    .sent.filter((message) => message.kind === 'appendEntries')
    .filter((message) => message.to === replica(to))

t.test('R-P14 a leader proves what a live copy has forgotten, when it connects', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  propose(table, 'a')
  const copy = stored(table.seat('b'))
  propose(table, 'a', 3)
  const { lastIndex } = table.raft('a').status()
  putBack(table, 'b', copy)
  reconnect(table, 'a', 'b')
  t.match(lostBy(table, 'b'), [
    { lost: { leader: replica('a'), term: 1, index: lastIndex, found: { lastIndex: 3 } } }
  ])
  t.same(table.seat('b').sent, [], 'it answers nothing')
  t.equal(lostBy(table, 'a').length + lostBy(table, 'c').length, 0)
})

t.test('R-P14 from then on it takes no message, gives no vote, and never campaigns', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  const copy = stored(table.seat('b'))
  propose(table, 'a', 2)
  putBack(table, 'b', copy)
  reconnect(table, 'a', 'b')
  const { messagesIgnored, term } = table.raft('b').status()
  const vote = {
    kind: 'vote',
    group: DEFAULT_GROUP,
    from: replica('c'),
    to: replica('b'),
    term: (term + 1) as Term,
    lastIndex: 9 as LogIndex,
    lastTerm: term,
    transfer: true
  } as const
  table.deliver(vote)
  t.equal(table.raft('b').status().messagesIgnored, messagesIgnored + 1)
  t.equal(table.raft('b').status().term, term)
  table.isolate('a', 'c')
  table.act('b', (raft) => raft.setCandidacy(true))
  table.advance(10_000)
  t.same(table.seat('b').sent, [])
})

t.test('R-P14 heartbeats alone prove it, also to whom the leader has not lost', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  const copy = stored(table.seat('b'))
  propose(table, 'a', 2)
  putBack(table, 'b', copy)
  table.passes = ({ kind }) => kind !== 'appendEntries'
  table.advance(150)
  t.match(lostBy(table, 'b'), [{ lost: { index: 4, found: { lastIndex: 2 } } }])
})

t.test(
  'R-P14 a log as long, with another end, is proven by the terms of its entries',
  async (t) => {
    const table = new RaftTable({
      voters: three,
      logs: { a: [1], b: [1, 2, 2], c: [1] },
      terms: { a: 2, b: 2, c: 2 }
    })
    const copy = stored(table.seat('b'))
    table.elect('a')
    propose(table, 'a')
    const { lastIndex } = table.raft('b').status()
    t.equal(lastIndex, copy.entries.length, 'as long as it was')
    putBack(table, 'b', { ...copy, hardState: { term: 3 as Term, vote: null } })
    reconnect(table, 'a', 'b')
    t.match(lostBy(table, 'b'), [{ lost: { index: lastIndex, found: { lastIndex } } }])
    t.same(table.committed('b'), [], 'nothing of it counts as committed')
  }
)

t.test('R-P14 a term that was lost is proven, though the entries are there', async (t) => {
  for (const kind of ['heartbeat', 'appendEntries'] as const) {
    const table = new RaftTable({ voters: three, logs: { b: [1, 1] }, terms: { b: 1 } })
    const to = { group: DEFAULT_GROUP, from: replica('a'), to: replica('b'), term: 2 as Term }
    const commitIndex = 3 as LogIndex
    const behind = { prevIndex: commitIndex, prevTerm: 1 as Term, entries: [] }
    table.deliver(
      kind === 'heartbeat'
        ? { kind, ...to, commitIndex, readContext: 0 }
        : { kind, ...to, ...behind, commitIndex, acknowledged: true }
    )
    t.match(lostBy(table, 'b'), [{ lost: { term: 2, found: { term: 1, lastIndex: 3 } } }], kind)
    t.equal(table.raft('b').status().term, 1, 'it is not followed')
  }
})

t.test('R-P14 who campaigns on an older copy gives it up', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  const copy = stored(table.seat('b'))
  propose(table, 'a')
  putBack(table, 'b', copy)
  table.isolate('b')
  table.elect('b')
  t.equal(table.raft('b').role, 'preCandidate')
  table.heal()
  reconnect(table, 'a', 'b')
  t.equal(lostBy(table, 'b').length, 1)
  t.equal(table.raft('b').role, 'follower')
})

t.test('R-P14 a leader says of nobody what that one has not told it', async (t) => {
  const table = new RaftTable({ voters: three, logs: { a: [1, 1, 1], c: [1] } })
  table.passes = ({ kind }) => kind !== 'appendEntriesResponse'
  table.elect('a')
  propose(table, 'a', 2)
  for (const name of ['b', 'c']) reconnect(table, 'a', name)
  const isSaid = ({ acknowledged }: AppendEntries) => acknowledged === true
  t.notOk(appendsTo(table, 'a', 'b').some(isSaid), 'no answer has come')
  t.notOk(appendsTo(table, 'a', 'c').some(isSaid))
  table.heal()
  table.advance(300)
  reconnect(table, 'a', 'b')
  const said = appendsTo(table, 'a', 'b').filter(isSaid)
  t.same(
    said.map(({ prevIndex }) => prevIndex),
    [table.raft('a').status().lastIndex]
  )
  t.same(lostBy(table, 'b'), [])
})

t.test('R-P14 who is added again with its storage has told the leader nothing', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  propose(table, 'a')
  const copy = stored(table.seat('c'))
  propose(table, 'a', 2)
  table.change('a', { c: 'none' })
  table.settle()
  table.advance(1_500)
  const before = appendsTo(table, 'a', 'c').length
  putBack(table, 'c', copy)
  table.change('a', { c: 'learner' })
  table.settle()
  reconnect(table, 'a', 'c')
  const [first] = appendsTo(table, 'a', 'c').slice(before)
  t.notOk(first?.acknowledged)
  t.same(lostBy(table, 'c'), [], 'whose copy it is only its starts can tell')
  table.advance(1_500)
  t.equal(table.raft('c').status().lastIndex, table.raft('a').status().lastIndex)
})

/** Everything that was ever sent to somebody comes again, at any later moment. */
t.test('R-P14 no honest replica is accused, however late and often messages come', async (t) => {
  const seen = { again: 0, said: 0, restarts: 0, elections: 0, compactions: 0, truncations: 0 }
  for (let seed = 1; seed <= 100; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const voters = ['a', 'b', 'c', 'd', 'e'].slice(0, 3 + 2 * random.nextInt(2))
    const table = new RaftTable({ voters, seed })
    const past: RaftMessage[] = []
    table.observer = {
      onDrained: ({ id }, { sendNow, sendAfterPersist, emit }) => {
        past.push(...sendNow, ...sendAfterPersist)
        for (const message of [...sendNow, ...sendAfterPersist]) {
          if (message.kind === 'appendEntries' && message.acknowledged) seen.said++
        }
        if (emit.some(({ type }) => type === 'RolledBack')) {
          throw new Error(`seed ${seed}: ${id} is accused`)
        }
      },
      onDurable: () => {},
      onLost: () => {}
    }
    const lengths = new Map<string, number>()
    for (let step = 0; step < 80; step++) {
      const name = pick(random, voters)
      const chance = random.nextInt(10)
      if (chance === 0) {
        table.restart(name)
        seen.restarts++
        for (const leader of table.leaders) if (leader !== name) reconnect(table, leader, name)
      } else if (chance === 1) {
        table.elect(name)
        seen.elections++
      } else if (chance === 2) {
        table.isolate(...voters.filter(() => random.nextInt(3) === 0))
      } else if (chance === 3) {
        table.heal()
      } else if (chance === 4) {
        seen.compactions += table.compact(name, random.nextInt(3)) > 0 ? 1 : 0
      } else if (chance === 5) {
        table.advance(random.nextInt(400))
      } else if (chance < 8) {
        for (const leader of table.leaders) propose(table, leader, 1 + random.nextInt(2))
      } else if (past.length > 0) {
        for (let i = 0; i < 5; i++) {
          seen.again++
          table.deliver(pick(random, past))
        }
        table.settle()
      }
      for (const { id, raft } of table.seats) {
        const { lastIndex } = raft.status()
        if (lastIndex < (lengths.get(id) ?? 0)) seen.truncations++
        lengths.set(id, lastIndex)
      }
    }
  }
  t.ok(seen.said > 100 && seen.restarts > 100 && seen.truncations > 5, JSON.stringify(seen))
  t.ok(seen.compactions > 50 && seen.again > 1_000, JSON.stringify(seen))
})

t.test('R-P14 what is in the engine is there, also where the log has it no more', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  propose(table, 'a', 3)
  table.compact('b', 0)
  const { baseIndex } = table.raft('b').status()
  t.ok(baseIndex > 3)
  const to = { group: DEFAULT_GROUP, from: replica('a'), to: replica('b'), term: 1 as Term }
  const old = { prevIndex: 3 as LogIndex, prevTerm: entry(3, 1).term, entries: [] }
  table.deliver({
    kind: 'appendEntries',
    ...to,
    ...old,
    commitIndex: 3 as LogIndex,
    acknowledged: true
  })
  t.same(lostBy(table, 'b'), [])
})
