import t from 'tap'
import { configurationOf } from '../../../../src/consensus/index.js'
import type { InstallSnapshot } from '../../../../src/consensus/messages.js'
import { PersistTracker } from '../../../../src/consensus/raft/persist-tracker.js'
import { Progress } from '../../../../src/consensus/raft/progress.js'
import { RaftLog } from '../../../../src/consensus/raft/raft-log.js'
import {
  DEFAULT_GROUP,
  type LogEntry,
  type LogIndex,
  pick,
  SplittableRandom,
  type Term
} from '../../../../src/core/index.js'
import {
  at,
  entry,
  founding,
  logOf,
  RaftTable,
  replica,
  tableOptions
} from '../../../support/raft/raft-table.js'

const three = ['a', 'b', 'c']
const voters = three.map(replica)
const index = (value: number) => value as LogIndex
const term = (value: number) => value as Term
const hash = new Uint8Array(32).fill(7)

const offer = (change: Partial<InstallSnapshot>): InstallSnapshot => ({
  kind: 'installSnapshot',
  group: DEFAULT_GROUP,
  from: replica('a'),
  to: replica('b'),
  term: term(5),
  index: index(9),
  indexTerm: term(4),
  configuration: configurationOf(voters),
  configurationIndex: index(1),
  format: 1,
  sizeBytes: 10,
  sha256: hash,
  ...change
})

const eventsOf = (table: RaftTable, type: string) =>
  table.seat('b').events.filter((event) => event.type === type)

t.test('a log with a base answers as one that has everything, where it can', async (t) => {
  const random = SplittableRandom.fromSeed(1)
  const seen = { compactions: 0, truncations: 0, below: 0 }
  for (let run = 0; run < 60; run++) {
    // The dumb twin: a list from index 1 that forgets nothing.
    const twin: LogEntry[] = [founding(voters)]
    const log = new RaftLog(null, twin)
    let base = 0
    for (let step = 0; step < 60; step++) {
      const last = twin.length
      const lastTerm = twin.at(-1)?.term ?? 0
      const what = random.nextInt(6)
      if (what === 0 && last > base + 1) {
        const from = Math.max(2, base + 1 + random.nextInt(last - base))
        twin.length = from - 1
        log.truncateFrom(index(from))
        seen.truncations++
      } else if (what === 1 && last > base) {
        base += random.nextInt(last - base + 1)
        log.compactTo(index(base))
        seen.compactions++
      } else {
        const payload = random.nextInt(5) === 0 ? founding(voters).payload : undefined
        const next = entry(last + 1, lastTerm + random.nextInt(2), payload)
        twin.push(next)
        log.append([next])
      }
      const answers = {
        base: log.baseIndex,
        last: log.lastIndex,
        lastTerm: log.lastTerm,
        bytes: log.sizeBytes
      }
      const behind = twin.slice(base)
      t.same(answers, {
        base,
        last: twin.length,
        lastTerm: twin.at(-1)?.term ?? 0,
        bytes: behind.reduce((sum, { payload }) => sum + payload.length, 0)
      })
      t.same(log.between(index(base + 1), log.lastIndex), behind)
      const probe = random.nextInt(twin.length + 3)
      const wanted = probe === 0 ? 0 : twin[probe - 1]?.term
      if (probe >= base) t.equal(log.termAt(index(probe)), wanted)
      else t.equal(log.termAt(index(probe)), undefined)
      const bound = random.nextInt(Number(twin.at(-1)?.term ?? 0) + 2)
      const found = log.lastIndexBelowTerm(index(probe), term(bound))
      const right = twin.findLastIndex((one, i) => i < probe && one.term <= bound) + 1
      if (right >= base) t.equal(found, right, `${probe}/${bound}`)
      else {
        t.ok(found >= right && found < Math.max(base, 1), `${found}, at least ${right}`)
        seen.below++
      }
      const configured = twin.findLastIndex(({ payload }) => payload[0] === 1) + 1
      if (configured > base) t.equal(log.configurationIndex, configured)
      t.same(log.configuration.voters.length, 3)
      const again = new RaftLog(base === 0 ? null : log.baseAt(index(base)), behind)
      t.same([again.lastIndex, again.configuration], [log.lastIndex, log.configuration])
    }
  }
  t.ok(seen.compactions > 100 && seen.truncations > 100 && seen.below > 50, JSON.stringify(seen))
})

t.test('R-S13 a tail is bounded by entries and bytes', async (t) => {
  const log = new RaftLog(null, logOf(voters, [1, 1, 1, 1]))
  const size = entry(2, 1).payload.length
  const infinite = Number.POSITIVE_INFINITY
  t.equal(log.tailBelow(index(4), { entriesMax: 0, bytesMax: infinite }), 4)
  t.equal(log.tailBelow(index(4), { entriesMax: 2, bytesMax: infinite }), 2)
  t.equal(log.tailBelow(index(4), { entriesMax: 9, bytesMax: infinite }), 0)
  t.equal(log.tailBelow(index(4), { entriesMax: 9, bytesMax: 2 * size }), 2)
})

t.test('R-S02 a follower in need of a snapshot gets no appends', async (t) => {
  const progress = new Progress(index(10), tableOptions, at(0))
  progress.handleAccepted(index(3))
  progress.becomeSnapshot()
  t.notOk(progress.isPaused, 'an offer may go')
  progress.noteOffered(index(8))
  t.ok(progress.isPaused)
  t.notOk(progress.handleRejected(index(9), index(5)), 'what it says of appends is old')
  progress.resume()
  t.notOk(progress.isPaused, 'another offer may go')
  t.ok(progress.handleAccepted(index(8)))
  t.match(progress, { mode: 'replicate', match: 8, next: 9 })
})

t.test('R-S05 an offer that the log agrees with commits, and nothing else', async (t) => {
  const table = new RaftTable({ voters: three, logs: { b: [1, 2, 4] } })
  table.act('b', (raft, now) => raft.receive(offer({ index: index(3), indexTerm: term(2) }), now))
  const { commitIndex, lastIndex, baseIndex } = table.raft('b').status()
  t.same([commitIndex, lastIndex, baseIndex], [3, 4, 0])
  t.same(eventsOf(table, 'SnapshotOffered'), [])
  t.match(table.seat('b').sent.at(-1), { kind: 'appendEntriesResponse', rejected: false, index: 3 })
  table.act('b', (raft, now) => raft.receive(offer({ index: index(2), indexTerm: term(1) }), now))
  t.match(table.seat('b').sent.at(-1), { rejected: false, index: 3 }, 'a stale one')
  table.act('b', (raft, now) => raft.receive(offer({}), now))
  t.match(eventsOf(table, 'SnapshotOffered'), [{ base: { index: 9, term: 4 } }])
})

t.test('R-S14 an offer that contradicts itself is ignored', async (t) => {
  const [a, b] = voters
  const nobody = { ...configurationOf(voters), voters: [] }
  const twice = { ...configurationOf(voters), voters: [a, a] } as InstallSnapshot['configuration']
  const both = { ...configurationOf(voters), learners: [b] } as InstallSnapshot['configuration']
  const unsound: Partial<InstallSnapshot>[] = [
    { configuration: nobody },
    { configuration: twice },
    { configuration: both },
    { configurationIndex: index(10) },
    { indexTerm: term(6) },
    { index: index(0) },
    { sha256: hash.subarray(1) }
  ]
  for (const change of unsound) {
    const table = new RaftTable({ voters: three })
    table.act('b', (raft, now) => raft.receive(offer(change), now))
    t.equal(table.raft('b').status().messagesIgnored, 1, JSON.stringify(change))
    t.same(eventsOf(table, 'SnapshotOffered'), [])
  }
})

t.test('R-S06 R-S10 what the log had and the snapshot has not is gone', async (t) => {
  const table = new RaftTable({ voters: three, logs: { b: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] } })
  const learners = [replica('b')]
  const configuration = configurationOf([replica('a'), replica('c')], learners)
  const change = { configuration, configurationIndex: index(7) }
  table.act('b', (raft, now) => raft.receive(offer(change), now))
  table.restore('b')
  const status = table.raft('b').status()
  t.match(status, { baseIndex: 9, lastIndex: 9, lastTerm: 4, commitIndex: 9, durableIndex: 9 })
  t.match(status, { role: 'learner', configurationIndex: 7, configuration })
  t.match(table.seat('b'), { base: { index: 9, term: 4 }, entries: [] })
  const kinds = table.seat('b').events.map(({ type }) => type)
  for (const kind of ['ConfigurationChanged', 'ConfigurationCommitted', 'RoleChanged']) {
    t.ok(kinds.includes(kind as (typeof kinds)[number]), kind)
  }
  t.match(table.seat('b').sent.at(-1), { kind: 'appendEntriesResponse', index: 9 })
  table.restart('b')
  t.match(table.raft('b').status(), { baseIndex: 9, lastIndex: 9, commitIndex: 9, configuration })
})

t.test('a restore that the log has overtaken keeps what is behind it', async (t) => {
  const table = new RaftTable({ voters: three, options: { unappliedBytesMax: 1_000 } })
  table.act('b', (raft, now) => raft.receive(offer({}), now))
  table.holdApply('b')
  const entries = Array.from({ length: 9 }, (_, i) => entry(i + 2, i + 2 < 9 ? 1 : 4))
  table.act('b', (raft, now) =>
    raft.receive(
      {
        kind: 'appendEntries',
        group: DEFAULT_GROUP,
        from: replica('a'),
        to: replica('b'),
        term: term(5),
        prevIndex: index(1),
        prevTerm: term(0),
        commitIndex: index(10),
        entries
      },
      now
    )
  )
  t.notOk(table.raft('b').needsSnapshot(index(9)))
  table.restore('b')
  t.match(table.raft('b').status(), { baseIndex: 9, lastIndex: 10, commitIndex: 10 })
  table.releaseApply('b')
  t.equal(table.raft('b').status().emittedIndex, 10)
})

t.test('R-P05 a base makes older requests count for what is left of them', async (t) => {
  const log = new RaftLog(null, logOf(voters, [1, 1, 1]))
  const tracker = new PersistTracker(index(1))
  tracker.noteAppended(index(2))
  const hardState = { term: term(1), vote: null }
  const first = tracker.take(DEFAULT_GROUP, hardState, log, at(0))
  const base = { ...log.baseAt(index(3)), index: index(20), term: term(2) }
  log.reset(base)
  tracker.noteBase({ base, replacesLog: true })
  t.equal(tracker.durableIndex, 20, 'the engine holds it')
  tracker.confirm(first?.sequence ?? 0)
  t.equal(tracker.durableIndex, 20)
  const second = tracker.take(DEFAULT_GROUP, hardState, log, at(1))
  t.match(second, { base: { base: { index: 20 }, replacesLog: true }, entries: [] })
  t.equal(tracker.take(DEFAULT_GROUP, hardState, log, at(1)), null)
})

t.test('R-S13 the log is held behind a snapshot until who took it in keeps up', async (t) => {
  const table = new RaftTable({ voters: three })
  const propose = () => {
    table.act('a', (raft, now) => raft.propose(entry(0, 0).payload, now))
    table.settle()
  }
  const base = () => table.raft('a').status().baseIndex
  table.elect('a')
  table.isolate('c')
  for (let i = 0; i < 3; i++) propose()
  table.compact('a', 0)
  table.heal()
  table.advance(300)
  table.snapshot('a')
  table.advance(300)
  const snapshotIndex = base()
  t.ok(table.raft('a').isLogHeld)
  propose()
  table.isolate('c')
  table.restore('c')
  propose()
  table.compact('a', 0)
  t.equal(base(), snapshotIndex, 'who is offered one, and silent for a while')
  table.heal()
  table.advance(300)
  table.act('a', (raft, now) => raft.handleSnapshot(null, now))
  const { progress } = table.raft('a').status()
  t.match(progress.at(-1), { mode: 'replicate', matchIndex: snapshotIndex + 2 })
  for (let i = 0; i < 3; i++) {
    table.advance(50)
    propose()
  }
  t.notOk(table.raft('a').isLogHeld, 'it keeps up')
  table.compact('a', 0)
  t.equal(base(), table.raft('a').status().lastIndex)
})

t.test('R-S13 the log is not held longer for who is silent than its snapshot', async (t) => {
  const table = new RaftTable({
    voters: ['a', 'b'],
    learners: ['d'],
    options: { snapshotKeepMs: 5_000 }
  })
  table.isolate('d')
  table.elect('a')
  t.ok(table.raft('a').isLogHeld)
  table.act('a', (raft, now) => raft.propose(entry(0, 0).payload, now))
  table.settle()
  table.advance(4_000)
  t.ok(table.raft('a').isLogHeld)
  table.advance(2_000)
  t.notOk(table.raft('a').isLogHeld)
  table.compact('a', 0)
  t.equal(table.raft('a').status().baseIndex, table.raft('a').status().lastIndex)
})

t.test('R-S12 at most two get a snapshot at a time, the others wait their turn', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] })
  table.elect('a')
  table.isolate('e', 'f', 'g')
  for (let i = 0; i < 3; i++) {
    table.act('a', (raft, now) => raft.propose(entry(0, 0).payload, now))
    table.settle()
  }
  table.compact('a', 0)
  table.heal()
  table.advance(300)
  table.snapshot('a')
  table.advance(300)
  const offered = () =>
    ['e', 'f', 'g'].filter((name) =>
      table.seat(name).events.some(({ type }) => type === 'SnapshotOffered')
    )
  const first = offered()
  t.equal(first.length, 2)
  table.restore(pick(SplittableRandom.fromSeed(1), first))
  table.advance(300)
  t.equal(offered().length, 3)
})
