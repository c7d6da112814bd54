import t from 'tap'
import type { HostBeat } from '../../../../src/consensus/host/host-messages.js'
import {
  asleepIntervalMs,
  asleepIntervalsMax,
  Quiescence,
  type Rest
} from '../../../../src/consensus/host/quiescence.js'
import type { GroupId, LogIndex, MonotonicMs, ReplicaId, Term } from '../../../../src/core/ids.js'

const options = { quiesceAfterMs: 1_000, heartbeatIntervalMs: 100, silenceMs: 500 }
const [g, h] = [7 as GroupId, 8 as GroupId]
const [b, c] = [`b/${'0'.repeat(16)}` as ReplicaId, `c/${'0'.repeat(16)}` as ReplicaId]
const rest: Rest = { term: 3 as Term, index: 9 as LogIndex }
const at = (ms: number) => ms as MonotonicMs
const beat = (changes: Partial<HostBeat> = {}): HostBeat => ({
  group: g,
  term: rest.term,
  commitIndex: rest.index,
  sleeps: true,
  ...changes
})

t.test('a group is idle when nothing passed for long enough', async (t) => {
  const quiescence = new Quiescence(options)
  t.notOk(quiescence.isIdle(g, at(0)), 'it is counted from the first question')
  t.notOk(quiescence.isIdle(g, at(999)))
  t.ok(quiescence.isIdle(g, at(1_000)))
  quiescence.noteActivity(g, at(1_500))
  t.notOk(quiescence.isIdle(g, at(2_499)))
  t.ok(quiescence.isIdle(g, at(2_500)))
  const never = new Quiescence({ ...options, quiesceAfterMs: 0 })
  never.isIdle(g, at(0))
  t.notOk(never.isIdle(g, at(1e9)))
})

t.test('a leader sleeps only when every member has said so, with the same entry', async (t) => {
  const quiescence = new Quiescence(options)
  quiescence.noteReady(g, b, rest)
  t.notOk(quiescence.areAllReady(g, [b, c], rest))
  quiescence.noteReady(g, c, { ...rest, index: 8 as LogIndex })
  t.notOk(quiescence.areAllReady(g, [b, c], rest), 'what b said was of another entry')
  quiescence.noteReady(g, b, rest)
  quiescence.noteReady(g, c, rest)
  t.ok(quiescence.areAllReady(g, [b, c], rest))
  t.notOk(quiescence.areAllReady(g, [], rest), 'without members there is nobody to save for')
  quiescence.noteActivity(g, at(5))
  t.notOk(quiescence.areAllReady(g, [b, c], rest), 'they may have woken')
})

t.test(
  'while a leader sleeps its host is heard by all members, and the group at times',
  async (t) => {
    const quiescence = new Quiescence(options)
    t.equal(quiescence.nextDeadline(), Number.POSITIVE_INFINITY)
    quiescence.leadAsleep(g, rest, [b, c], at(0))
    quiescence.leadAsleep(h, rest, [c], at(50))
    t.equal(quiescence.nextDeadline(), at(100))
    for (const replica of [b, c]) quiescence.hearAnswers(replica, at(0))
    const first = quiescence.tick(at(100))
    t.same(
      [...first.beats],
      [
        [b, []],
        [c, []]
      ]
    )
    t.same(first.wake, [])
    t.equal(quiescence.nextDeadline(), at(200))
    for (const replica of [b, c]) quiescence.hearAnswers(replica, at(asleepIntervalMs))
    const told = quiescence.tick(at(asleepIntervalMs))
    t.same(
      [...told.beats],
      [
        [b, [beat()]],
        [c, [beat()]]
      ]
    )
    const later = quiescence.tick(at(asleepIntervalMs + 50))
    t.same(later.beats.get(c), [beat({ group: h })])
    t.ok(quiescence.isAsleepWith(g, rest))
    t.notOk(quiescence.isAsleepWith(g, { ...rest, term: 4 as Term }))
  }
)

t.test('a silent member wakes all that sleep with it, a silent leader all under it', async (t) => {
  const leading = new Quiescence(options)
  leading.leadAsleep(g, rest, [b, c], at(0))
  leading.leadAsleep(h, rest, [c], at(0))
  leading.hearAnswers(b, at(400))
  leading.hearAnswers(c, at(10))
  t.same(leading.tick(at(509)).wake, [])
  t.same(leading.tick(at(510)).wake, [g, h])
  t.equal(leading.heardAt(b, false), at(400))
  const following = new Quiescence(options)
  following.hearBeats(b, 1, at(0))
  following.followAsleep(g, rest, b, at(0))
  t.same(following.tick(at(499)).wake, [])
  t.same(following.tick(at(500)).wake, [g])
  t.equal(following.heardAt(b, true), at(0))
  following.noteWoken(g, at(500))
  t.same(following.tick(at(600)).wake, [])
  t.equal(following.sleeping, 0)
  following.forget((replica) => replica === b)
  t.equal(following.heardAt(b, true), Number.NEGATIVE_INFINITY)
})

t.test('another life of the leader’s host keeps no promise of the former', async (t) => {
  const quiescence = new Quiescence(options)
  t.same(quiescence.hearBeats(b, 1, at(0)), [])
  quiescence.followAsleep(g, rest, b, at(0))
  t.same(quiescence.hearBeats(b, 1, at(100)), [])
  t.same(quiescence.hearBeats(b, 2, at(200)), [g])
})

t.test('a follower that is not spoken of wakes by itself', async (t) => {
  const quiescence = new Quiescence(options)
  quiescence.followAsleep(g, rest, b, at(0))
  const patienceMs = asleepIntervalMs * asleepIntervalsMax
  quiescence.hearBeats(b, 1, at(patienceMs - 1))
  t.ok(quiescence.sleepsOn(b, beat(), at(asleepIntervalMs)))
  t.notOk(quiescence.sleepsOn(c, beat(), at(asleepIntervalMs)), 'c does not lead it')
  t.notOk(quiescence.sleepsOn(b, beat({ sleeps: false }), at(asleepIntervalMs)))
  t.notOk(quiescence.sleepsOn(b, beat({ commitIndex: 10 as LogIndex }), at(asleepIntervalMs)))
  t.notOk(quiescence.sleepsOn(b, beat({ term: 4 as Term }), at(asleepIntervalMs)))
  t.notOk(quiescence.sleepsOn(b, beat({ group: h }), at(asleepIntervalMs)), 'it is awake')
  t.same(quiescence.tick(at(patienceMs)).wake, [])
  quiescence.hearBeats(b, 1, at(patienceMs + asleepIntervalMs))
  t.same(quiescence.tick(at(patienceMs + asleepIntervalMs)).wake, [g])
})
