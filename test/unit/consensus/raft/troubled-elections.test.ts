import t from 'tap'
import { type RaftMessage, raftDeclarations } from '../../../../src/consensus/messages.js'
import { DEFAULT_GROUP, type LogIndex, Priorities, type Term } from '../../../../src/core/index.js'
import { batch, RaftTable, replica } from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']
const five = ['a', 'b', 'c', 'd', 'e']

const elections = (table: RaftTable): number =>
  table.seats
    .flatMap(({ events }) => events)
    .filter((event) => event.type === 'RoleChanged' && event.role === 'leader').length

t.test('R-E18 a candidate without a forecast is elected when no leader is at work', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('a')
  const ask = (name: string) => {
    const message: RaftMessage = {
      kind: 'vote',
      group: DEFAULT_GROUP,
      from: replica('c'),
      to: replica(name),
      term: 2 as Term,
      lastIndex: 2 as LogIndex,
      lastTerm: 1 as Term,
      transfer: false
    }
    table.act(name, (raft, now) => raft.receive(message, now))
  }
  ask('b')
  t.equal(table.raft('b').status().term, 1, 'b hears its leader still')
  table.now += 600
  ask('b')
  t.match(table.raft('b').status(), { term: 2, vote: replica('c') })
  t.match(table.queue.at(-1), { kind: 'voteResponse', granted: true, term: 2 })
})

t.test('R-E25 who lost the connection to the leader campaigns at once', async (t) => {
  const table = new RaftTable({ voters: five })
  table.elect('a')
  table.advance(100)
  const cut = ['c', 'd', 'e'].map(replica)
  table.passes = ({ from, to }) =>
    !(from === replica('a') && cut.includes(to)) && !(to === replica('a') && cut.includes(from))
  for (const name of ['c', 'd', 'e']) {
    table.act(name, (raft, now) => raft.handlePeerLost(replica('a'), now))
  }
  table.advance(110)
  const [leader] = table.leaders.filter((name) => name !== 'a')
  t.ok(leader, 'a majority without the leader needs no timeout')
  table.advance(1_000)
  t.same(table.leaders, [leader])
})

t.test('R-E25 one follower that lost its connection deposes nobody', async (t) => {
  const table = new RaftTable({ voters: five })
  table.elect('a')
  table.advance(100)
  table.passes = ({ from, to }) =>
    ![from, to].includes(replica('a')) || ![from, to].includes(replica('e'))
  table.act('e', (raft, now) => raft.handlePeerLost(replica('a'), now))
  table.advance(10_000)
  t.same(table.leaders, ['a'])
  t.equal(elections(table), 1)
})

t.test('R-E27 a learner with a high term joins, and there is a leader again', async (t) => {
  const table = new RaftTable({ voters: three, learners: ['z'], terms: { z: 40 } })
  table.isolate('z')
  table.elect('a')
  table.heal()
  table.advance(3_000)
  const [leader] = table.leaders
  t.ok(leader)
  t.equal(table.leaders.length, 1)
  t.ok(table.raft(leader as string).status().term > 40)
  t.match(table.raft('z').status(), { role: 'learner', leader: replica(leader as string) })
})

for (const slow of ['from', 'to'] as const) {
  t.test(`R-E29 votes ${slow} two of three come late, and somebody is elected`, async (t) => {
    for (let seed = 0; seed < 50; seed++) {
      const table = new RaftTable({ voters: three, seed })
      const late: { at: number; message: RaftMessage }[] = []
      const delayed = new Set<RaftMessage>()
      table.passes = (message) => {
        const isSlow = /vote/i.test(message.kind) && message[slow] !== replica('a')
        if (!isSlow || delayed.has(message)) return true
        delayed.add(message)
        late.push({ at: table.now + 300, message })
        return false
      }
      while (table.leaders.length === 0 && table.now < 10_000) {
        table.advance(10)
        while ((late[0]?.at ?? Number.POSITIVE_INFINITY) <= table.now) {
          const next = late.shift()
          if (next !== undefined) table.queue.push(next.message)
        }
        table.settle()
      }
      t.equal(table.leaders.length, 1, `seed ${seed}`)
    }
  })
}

t.test('R-F02 the first entry of a term passes, however much is uncommitted', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('a')
  const propose = () =>
    table.act('a', (raft, now) => raft.propose(batch(...new Uint8Array(98)), now))
  while (propose().kind === 'proposed') table.settle()
  const { lastIndex } = table.raft('a').status()
  table.passes = ({ kind }) => kind !== 'appendEntries'
  table.act('a', (raft, now) => raft.stepDown('test', now))
  table.elect('a')
  t.match(table.raft('a').status(), { role: 'leader', term: 2, lastIndex: lastIndex + 1 })
  table.heal()
  table.advance(500)
  t.equal(table.raft('b').status().commitIndex, lastIndex + 1)
  t.equal(table.raft('a').status().uncommittedBytes, 0)
})

t.test('R-F05 64 MiB of appends that do not arrive cause no election', async (t) => {
  const size = 524_288
  const options = { uncommittedBytesMax: 1 << 27, appendSizeBytesMax: size, appendsInFlightMax: 64 }
  const table = new RaftTable({ voters: three, options })
  table.elect('a')
  table.passes = ({ kind }) => !kind.startsWith('append')
  const payload = new Uint8Array(size).fill(2, 0, 1)
  for (let i = 0; i < 128; i++) table.act('a', (raft, now) => raft.propose(payload, now))
  t.ok(table.raft('a').status().uncommittedBytes >= 1 << 26)
  table.advance(20_000)
  t.equal(elections(table), 1)
  t.same(table.leaders, ['a'])
})

t.test('R-F05 heartbeats and votes never queue behind appends', async (t) => {
  const first = [
    'preVote',
    'preVoteResponse',
    'vote',
    'voteResponse',
    'heartbeat',
    'heartbeatResponse',
    'timeoutNow'
  ]
  for (const [kind, { priority }] of Object.entries(raftDeclarations)) {
    t.equal(priority, first.includes(kind) ? Priorities.Critical : Priorities.High, kind)
  }
})
