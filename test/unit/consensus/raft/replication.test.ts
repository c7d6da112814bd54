import t from 'tap'
import {
  type AppendEntries,
  type AppendEntriesResponse,
  type appendEntriesMessage,
  fromWire,
  type RaftMessage,
  raftDeclarations,
  toWire
} from '../../../../src/consensus/messages.js'
import { RaftLog } from '../../../../src/consensus/raft/raft-log.js'
import {
  DEFAULT_GROUP,
  type LogEntry,
  type LogIndex,
  SplittableRandom,
  shuffle,
  storageOf,
  type Term
} from '../../../../src/core/index.js'
import { ByteReader, ByteWriter } from '../../../../src/wire/index.js'
import { batch, entry, logOf, RaftTable, replica } from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']

function append(term: number, prev: readonly [number, number], entries: LogEntry[], commit = 0) {
  return {
    kind: 'appendEntries',
    group: DEFAULT_GROUP,
    from: replica('a'),
    to: replica('b'),
    term: term as Term,
    prevIndex: prev[0] as LogIndex,
    prevTerm: prev[1] as Term,
    commitIndex: commit as LogIndex,
    entries
  } satisfies AppendEntries
}

const deliver = (table: RaftTable, message: RaftMessage): AppendEntriesResponse => {
  table.act('b', (raft, now) => raft.receive(message, now))
  return table.queue.at(-1) as AppendEntriesResponse
}

const terms = (table: RaftTable, name: string): number[] =>
  table.seat(name).entries.map(({ term }) => term)

t.test('R-R01 heartbeats go to all at every interval', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  const before = table.seat('a').sent.length
  table.advance(1_000)
  const beats = table
    .seat('a')
    .sent.slice(before)
    .filter(({ kind }) => kind === 'heartbeat')
  t.equal(beats.length, 20)
})

t.test('R-R02 R-R03 appends are checked, and truncate only where logs differ', async (t) => {
  const table = new RaftTable({ voters: three, logs: { b: [1, 1, 2, 2] }, terms: { b: 2 } })
  t.match(deliver(table, append(3, [9, 3], [])), { rejected: true, index: 9 })
  t.match(deliver(table, append(3, [5, 3], [])), { rejected: true, hintIndex: 5, hintTerm: 2 })
  t.match(deliver(table, append(3, [3, 1], [])), { rejected: false, index: 3 })
  t.same(terms(table, 'b'), [0, 1, 1, 2, 2], 'an empty append truncates nothing')
  t.match(deliver(table, append(3, [3, 1], [entry(4, 2)])), { rejected: false, index: 4 })
  t.same(terms(table, 'b'), [0, 1, 1, 2, 2], 'nor does one that is there already')
  t.match(deliver(table, append(3, [3, 1], [entry(4, 3)])), { rejected: false, index: 4 })
  t.same(terms(table, 'b'), [0, 1, 1, 3])
})

t.test('R-R03 R-R06 appends in any order, twice, give the leader’s log', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  for (let round = 0; round < 200; round++) {
    const log = logOf(three.map(replica), [1, 1, 2, 2, 3, 3, 3])
    const table = new RaftTable({ voters: three, logs: { b: [1, 1, 1, 1] }, terms: { b: 3 } })
    const appends = [...log.keys()].flatMap((i) =>
      [1, 3].map((size) => append(3, [i + 1, log[i]?.term ?? 0], log.slice(i + 1, i + 1 + size), 8))
    )
    let longest = 0
    for (const message of shuffle(random, [...appends, ...appends, ...appends, ...appends])) {
      const { rejected, index } = deliver(table, message)
      longest = Math.max(longest, rejected ? 0 : index)
      t.ok(table.raft('b').status().lastIndex >= longest, 'what was acknowledged stays')
    }
    for (const message of appends) deliver(table, message)
    t.same(terms(table, 'b'), [0, 1, 1, 2, 2, 3, 3, 3])
  }
})

t.test('R-R04 all logs of figure 7 are repaired', async (t) => {
  const leading = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  const table = new RaftTable({
    voters: ['l', 'a', 'b', 'c', 'd', 'e', 'f'],
    logs: {
      l: leading,
      a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
      b: [1, 1, 1, 4],
      c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      e: [1, 1, 1, 4, 4, 4, 4],
      f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]
    },
    terms: Object.fromEntries([...'labcdef'].map((name) => [name, 7]))
  })
  table.elect('l')
  table.advance(300)
  t.same(table.leaders, ['l'])
  for (const name of 'abcdef') t.same(terms(table, name), [0, ...leading, 8], name)
})

t.test('R-R05 a long divergence takes a round trip per term, not per entry', async (t) => {
  const run = (term: number) => Array.from({ length: 2_000 }, () => term)
  const table = new RaftTable({
    voters: three,
    logs: {
      a: [...run(1), ...run(3), ...run(5), ...run(7), ...run(9)],
      b: [...run(1), ...run(2), ...run(4), ...run(6), ...run(8)]
    },
    terms: { a: 9, b: 9, c: 9 },
    options: { appendSizeBytesMax: 1_048_576 }
  })
  table.passes = ({ kind, from, to }) =>
    kind.startsWith('append') ? ![from, to].includes(replica('c')) : true
  table.elect('a')
  const rejections = table
    .seat('b')
    .sent.filter((message) => message.kind === 'appendEntriesResponse' && message.rejected)
  t.ok(rejections.length <= 6, `${rejections.length} rejections`)
  t.equal(table.raft('b').status().lastIndex, 10_002)
})

t.test('R-R07 a proposal elsewhere is refused with the leader’s name', async (t) => {
  const table = new RaftTable({ voters: three })
  t.match(
    table.act('b', (raft, now) => raft.propose(batch(1), now)),
    {
      kind: 'refused',
      reason: 'notLeader',
      leaderHint: null
    }
  )
  table.elect('a')
  t.match(
    table.act('b', (raft, now) => raft.propose(batch(1), now)),
    {
      reason: 'notLeader',
      leaderHint: replica('a')
    }
  )
})

t.test('R-R08 while probing, one append goes per heartbeat', async (t) => {
  const table = new RaftTable({ voters: three })
  table.passes = ({ kind, to }) => kind !== 'appendEntries' || to !== replica('c')
  table.elect('a')
  const before = table.seat('a').sent.length
  for (let i = 0; i < 5; i++) table.act('a', (raft, now) => raft.propose(batch(i), now))
  table.advance(1_000)
  const probes = table
    .seat('a')
    .sent.slice(before)
    .filter(({ kind, to }) => kind === 'appendEntries' && to === replica('c'))
  t.equal(probes.length, 10)
})

t.test('R-R09 R-F01 appends are sent ahead up to the window', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.queue.length = 0
  for (let i = 0; i < 9; i++) table.act('a', (raft, now) => raft.propose(batch(i), now))
  const onWay = table.queue.filter(({ to }) => to === replica('b'))
  t.equal(onWay.length, 4)
  t.match(table.raft('a').status().progress[0], { mode: 'replicate', appendsInFlight: 4 })
  table.settle()
  t.equal(table.raft('b').status().lastIndex, 11)
})

/** Everything on its way to c takes its time. */
function slowly(table: RaftTable): AppendEntries[] {
  const onWay: AppendEntries[] = []
  table.passes = (message) => {
    if (message.kind !== 'appendEntries' || message.to !== replica('c')) return true
    onWay.push(message)
    return false
  }
  return onWay
}

const sizeOf = (appends: readonly AppendEntries[]): number =>
  appends.flatMap(({ entries }) => entries).reduce((sum, { payload }) => sum + payload.length, 0)

t.test('R-F01 a window by bytes: nothing more goes to who is slow, but checks', async (t) => {
  const options = { appendsInFlightMax: 64, appendBytesInFlightMax: 64, appendSizeBytesMax: 32 }
  const table = new RaftTable({ voters: three, options })
  table.elect('a')
  const onWay = slowly(table)
  const propose = () =>
    table.act('a', (raft, now) => raft.propose(batch(...new Uint8Array(10)), now))
  for (let i = 0; i < 20; i++) {
    t.match(propose(), { kind: 'proposed' })
    table.settle()
  }
  const sizeBytes = sizeOf(onWay)
  t.ok(sizeBytes >= 64 && sizeBytes < 64 + 32, `${sizeBytes} bytes on their way`)
  t.match(table.raft('a').status().progress[1], { appendBytesInFlight: sizeBytes })
  const count = onWay.length
  table.advance(2_000)
  t.equal(sizeOf(onWay), sizeBytes, 'silence sends no more of them')
  t.ok(onWay.length > count + 10, 'only whether they have arrived is asked for')
  t.equal(table.raft('a').commitIndex, 22, 'nobody waits for it')
  table.passes = () => true
  for (const append of onWay.splice(0)) table.deliver(append)
  table.settle()
  t.equal(table.raft('c').status().lastIndex, 22)
  const twice = table.seat('a').sent.filter(({ kind, to }) => {
    return kind === 'appendEntries' && to === replica('c')
  }) as AppendEntries[]
  const entries = twice.flatMap((append) => append.entries.map(({ index }) => index))
  t.equal(entries.length, new Set(entries).size, 'each entry went once')
})

t.test('R-F01 what the transport does not take goes later, and nothing else twice', async (t) => {
  const table = new RaftTable({ voters: three, options: { appendSizeBytesMax: 1 } })
  table.elect('a')
  const onWay = slowly(table)
  for (let i = 0; i < 9; i++) {
    table.act('a', (raft, now) => raft.propose(batch(i), now))
    table.settle()
  }
  const full = onWay.filter(({ entries }) => entries.length > 0)
  t.equal(full.length, 4)
  const refused = onWay.splice(onWay.indexOf(full[2] as AppendEntries))
  for (const append of refused) table.act('a', (raft, now) => raft.handleNotSent(append, now))
  t.match(table.raft('a').status().progress[1], { mode: 'replicate', appendsInFlight: 2 })
  const delivered = onWay.flatMap(({ entries }) => entries)
  table.passes = (message) => {
    const isToC = message.kind === 'appendEntries' && message.to === replica('c')
    if (isToC) delivered.push(...message.entries)
    return true
  }
  for (const append of onWay) table.deliver(append)
  table.settle()
  t.equal(table.raft('c').status().lastIndex, 11)
  t.same(
    delivered.map(({ index }) => index),
    [3, 4, 5, 6, 7, 8, 9, 10, 11]
  )
})

t.test('R-F01 a probe that the transport does not take goes again', async (t) => {
  const table = new RaftTable({ voters: three })
  const onWay = slowly(table)
  table.elect('a')
  t.equal(onWay.length, 1)
  for (const append of onWay) table.act('a', (raft, now) => raft.handleNotSent(append, now))
  table.passes = () => true
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  t.equal(table.raft('c').status().lastIndex, 3)
})

t.test('R-R10 R-R11 lost appends and a lost commit index are made good', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('c')
  for (let i = 0; i < 9; i++) {
    table.act('a', (raft, now) => raft.propose(batch(i), now))
    table.settle()
  }
  table.advance(400)
  table.heal()
  table.advance(300)
  t.equal(table.raft('c').status().commitIndex, 11)
  table.passes = ({ kind, to }) => kind !== 'appendEntries' || to !== replica('c')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  table.heal()
  table.advance(400)
  t.equal(table.raft('c').status().commitIndex, 12)
})

t.test('R-R11 a commit rides on the next append, and goes alone when none leaves', async (t) => {
  const table = new RaftTable({ voters: three, options: { commitNoticeDelayMs: 2 } })
  table.elect('a')
  table.advance(10)
  const commitAt = (name: string) => table.raft(name).status().commitIndex
  const appendsSince = (from: number) =>
    table
      .seat('a')
      .sent.slice(from)
      .filter(({ kind }) => kind === 'appendEntries') as AppendEntries[]
  const first = commitAt('a')
  const before = table.seat('a').sent.length
  for (let i = 0; i < 3; i++) {
    table.act('a', (raft, now) => raft.propose(batch(i), now))
    table.settle()
  }
  t.equal(commitAt('a'), first + 3)
  t.equal(commitAt('b'), first + 2, 'told with the entry behind it')
  t.ok(
    appendsSince(before).every(({ entries }) => entries.length === 1),
    'nothing was sent for a commit alone'
  )
  const alone = table.seat('a').sent.length
  table.advance(2)
  t.same([commitAt('b'), commitAt('c')], [first + 3, first + 3])
  t.same(
    appendsSince(alone).map(({ entries }) => entries.length),
    [0, 0]
  )
})

t.test('R-R11 R-Q01 a read round tells the commit before its answer', async (t) => {
  const table = new RaftTable({ voters: three, options: { commitNoticeDelayMs: 1_000 } })
  table.elect('a')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  const { commitIndex } = table.raft('a').status()
  t.ok(table.raft('b').status().commitIndex < commitIndex)
  table.act('a', (raft, now) => raft.requestReadIndex(1, now))
  table.settle()
  t.equal(table.raft('b').status().commitIndex, commitIndex)
})

t.test('R-R11 R-M10 the commit of a configuration is told at once', async (t) => {
  const table = new RaftTable({ voters: three, options: { commitNoticeDelayMs: 1_000 } })
  table.elect('a')
  const change = { replica: replica('c'), role: 'none' } as const
  table.act('a', (raft, now) => raft.changeConfiguration([change], now))
  table.settle()
  const { commitIndex } = table.raft('a').status()
  t.equal(table.raft('b').status().commitIndex, commitIndex)
})

t.test('R-R12 an old answer never moves match back', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  for (let i = 0; i < 3; i++) table.act('a', (raft, now) => raft.propose(batch(i), now))
  table.settle()
  const match = () =>
    table
      .raft('a')
      .status()
      .progress.map(({ matchIndex }) => matchIndex)
  t.same(match(), [5, 5])
  const answers = table.seat('b').sent.filter(({ kind }) => kind === 'appendEntriesResponse')
  for (const answer of [...answers].reverse()) {
    table.act('a', (raft, now) => raft.receive(answer, now))
    const rejection = { ...answer, rejected: true } as AppendEntriesResponse
    table.act('a', (raft, now) => raft.receive(rejection, now))
  }
  t.same(match(), [5, 5])
})

t.test('R-R12 an answer of an older term counts for nothing', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('c')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.settle()
  const acknowledged = (message: RaftMessage) =>
    message.kind === 'appendEntriesResponse' && !message.rejected && message.index === 3
  const old = table.seat('b').sent.find(acknowledged) as AppendEntriesResponse
  table.heal()
  table.elect('b')
  table.isolate('a')
  table.elect('a')
  table.passes = ({ kind }) => kind !== 'appendEntries'
  table.elect('a')
  const before = table.raft('a').status()
  t.match(before, { role: 'leader', term: 3 })
  t.ok(before.lastIndex > old.index && old.term < before.term)
  table.act('a', (raft, now) => raft.receive(old, now))
  t.same(
    table
      .raft('a')
      .status()
      .progress.map(({ matchIndex }) => matchIndex),
    [0, 0]
  )
})

t.test('R-R13 R-F03 appends are paged by size, an entry above it goes alone', async (t) => {
  const log = new RaftLog(null, logOf([replica('a')], [1, 1, 1]))
  log.append([entry(5, 1, new Uint8Array(5_000)), entry(6, 1)])
  const page = (from: number) =>
    log.page(from as LogIndex, 10, 100).map(({ index }) => index as number)
  t.same(page(2), [2, 3])
  t.same(page(4), [4])
  t.same(page(5), [5])
  t.same(page(7), [])
  t.same(log.page(2 as LogIndex, 9_999, 2).length, 2)
})

t.test('R-F02 uncommitted entries are bounded, and flat without a quorum', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.isolate('a')
  const outcomes = Array.from({ length: 100 }, () =>
    table.act('a', (raft, now) => raft.propose(batch(...new Uint8Array(98)), now))
  )
  t.equal(outcomes.filter(({ kind }) => kind === 'proposed').length, 10)
  t.match(outcomes.at(-1), { kind: 'refused', reason: 'backpressure', leaderHint: replica('a') })
  t.equal(table.raft('a').status().uncommittedBytes, 1_000)
})

t.test('R-M10 a configuration holds when appended and is rolled back when truncated', async (t) => {
  const log = new RaftLog(null, logOf([replica('a')], [1]))
  const [newer] = logOf([replica('a'), replica('b')], [])
  log.append([entry(3, 2, newer?.payload)])
  t.same(log.configuration.voters, [replica('a'), replica('b')])
  log.truncateFrom(3 as LogIndex)
  t.same(log.configuration.voters, [replica('a')])
})

t.test('X-37: gaps, terms that fall or are ahead, commits beyond: nothing is kept', async (t) => {
  const table = new RaftTable({ voters: three })
  for (const entries of [
    [entry(3, 1)],
    [entry(2, 4)],
    [entry(2, 1), entry(3, 0)],
    [entry(2, 1), entry(4, 1)]
  ]) {
    table.act('b', (raft, now) => raft.receive(append(1, [1, 0], entries), now))
  }
  t.match(table.raft('b').status(), { lastIndex: 1, messagesIgnored: 4 })
  const ahead = deliver(table, append(1, [9, 1], [entry(10, 1)], 50))
  t.match(ahead, { rejected: true }, 'a point that this log does not reach')
  deliver(table, append(1, [1, 0], [], 2 ** 53 - 1))
  t.match(table.raft('b').status(), { lastIndex: 1, commitIndex: 1 }, 'no further than the log')
  t.same(terms(table, 'b'), [0])
})

t.test('X-37: a term of 2^53 is no term on the wire', async (t) => {
  const writer = new ByteWriter(1 << 16)
  const { codec } = raftDeclarations.appendEntries as typeof appendEntriesMessage
  const message = append(2 ** 53 - 1, [1, 0], [])
  codec.write(writer, toWire(message, storageOf(message.from), storageOf(message.to)) as never)
  const bytes = Buffer.from(writer.take())
  t.equal(codec.read(new ByteReader(bytes)).term, 2 ** 53 - 1)
  const largest = Buffer.from('001fffffffffffff', 'hex')
  Buffer.from('0020000000000000', 'hex').copy(bytes, bytes.indexOf(largest))
  t.throws(() => codec.read(new ByteReader(bytes)), { code: 'ERR_SKEIN_PROTOCOL' })
})

t.test('X-38: a second leader of the same term stops the replica', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('b')
  const { term } = table.raft('b').status()
  t.throws(
    () => table.act('b', (raft, now) => raft.receive(append(term, [1, 0], []), now)),
    /lead term/
  )
})

t.test('every message comes back from its bytes as it was', async (t) => {
  const table = new RaftTable({ voters: three })
  table.elect('a')
  table.act('a', (raft, now) => raft.propose(batch(1, 2, 3), now))
  table.settle()
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  table.advance(200)
  table.elect('a')
  table.join('d')
  table.compact('a', 0)
  table.snapshot('a')
  table.change('a', { d: 'learner' })
  table.advance(200)
  table.snapshot('a')
  table.advance(200)
  table.refuse('d')
  const seen = new Set<string>()
  for (const message of table.seats.flatMap(({ sent }) => sent)) {
    const { codec } = raftDeclarations[message.kind] as typeof appendEntriesMessage
    const writer = new ByteWriter(1 << 20)
    codec.write(writer, toWire(message, storageOf(message.from), storageOf(message.to)) as never)
    const reader = new ByteReader(writer.take())
    t.same(fromWire(codec.read(reader), message.from, message.to), message)
    reader.expectEnd()
    seen.add(message.kind)
  }
  t.same([...seen].sort(), Object.keys(raftDeclarations).sort())
})
