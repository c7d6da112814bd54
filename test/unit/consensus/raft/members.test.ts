/** Changes of the configuration on a table of cores; the stories tell them in full. */
import t from 'tap'
import {
  type Configuration,
  configurationOf,
  encodeConfiguration,
  encodeEntryPayload
} from '../../../../src/consensus/index.js'
import type { AppendEntries } from '../../../../src/consensus/messages.js'
import { CatchUp } from '../../../../src/consensus/raft/catch-up.js'
import { RaftLog } from '../../../../src/consensus/raft/raft-log.js'
import { DEFAULT_GROUP, type LogIndex, type Term } from '../../../../src/core/index.js'
import { at, batch, entry, logOf, RaftTable, replica } from '../../../support/raft/raft-table.js'

const index = (value: number): LogIndex => value as LogIndex

const namesOf = (ids: Configuration['voters']): string => ids.map((id) => id[0]).join('')

/** `voters`, and behind bars those who are on their way out. */
function votersOf(table: RaftTable, name: string): string {
  const { voters, votersOutgoing } = table.raft(name).configuration
  return [voters, votersOutgoing]
    .filter((half) => half.length > 0)
    .map(namesOf)
    .join('|')
}

/** a leads, and the learners have caught up. */
function seated(voters: readonly string[], learners: readonly string[] = []): RaftTable {
  const table = new RaftTable({ voters, learners })
  table.elect('a')
  table.advance(600)
  return table
}

t.test('R-M01 R-M12 one change at a time; what is so already is no change', async (t) => {
  const table = seated(['a', 'b', 'c'], ['d'])
  t.match(table.change('b', { d: 'voter' }), { reason: 'notLeader', leaderHint: replica('a') })
  t.match(table.change('a', { d: 'voter' }), { kind: 'proposed', index: 3, term: 1 })
  t.match(table.change('a', { c: 'none' }), { reason: 'changePending', leaderHint: replica('a') })
  table.settle()
  t.match(table.change('a', { d: 'voter', a: 'voter' }), { kind: 'unchanged' })
  t.match(table.change('a', { z: 'none' }), { kind: 'refused', reason: 'unknownReplica' })
  t.match(table.change('a', { c: 'none' }), { kind: 'proposed' })
  table.settle()
  t.equal(votersOf(table, 'b'), 'abd')
})

t.test('R-M02 a leader changes nothing before it has committed an entry of its term', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c'] })
  table.passes = ({ kind }) => kind !== 'appendEntries'
  table.elect('a')
  t.match(table.raft('a').status(), { role: 'leader', commitIndex: 0 })
  t.match(table.change('a', { c: 'none' }), { reason: 'termNotCommitted' })
  table.heal()
  table.advance(200)
  t.match(table.change('a', { c: 'none' }), { kind: 'proposed' })
})

t.test('R-M05 a learner becomes a voter when it keeps up, no sooner and no longer', async (t) => {
  const catchUp = new CatchUp(index(100), 500, at(0))
  catchUp.note(index(60), index(150), at(300))
  t.notOk(catchUp.isCaughtUp(at(300)), 'the round goes on')
  catchUp.note(index(100), index(180), at(900))
  t.notOk(catchUp.isCaughtUp(at(900)), 'too long a round')
  catchUp.note(index(180), index(181), at(1_200))
  t.ok(catchUp.isCaughtUp(at(1_200)))
  t.notOk(catchUp.isCaughtUp(at(1_701)), 'silent since')
  catchUp.note(index(181), index(181), at(2_000))
  t.notOk(catchUp.isCaughtUp(at(2_000)))
  catchUp.note(index(181), index(181), at(2_100))
  t.ok(catchUp.isCaughtUp(at(2_100)))
})

t.test('R-M05 rounds that get shorter have it come nearer, however many it takes', async (t) => {
  /** What is written in a round takes `factor` times as long as the round: 2 s to begin with. */
  const refusedAfter = (factor: number): { rounds: number; ms: number } | null => {
    const catchUp = new CatchUp(index(0), 500, at(0))
    let roundMs = 2_000
    let ms = 0
    for (let rounds = 1; rounds < 200; rounds++) {
      const until = ms + roundMs
      for (; ms < until; ms = Math.min(ms + 20, until)) {
        if (catchUp.roundsWithoutGain(at(ms)) >= 10) return { rounds, ms }
      }
      catchUp.note(index(rounds - 1), index(rounds), at(ms))
      if (catchUp.isCaughtUp(at(ms))) return null
      roundMs *= factor
    }
    throw new Error('neither near nor far')
  }
  for (const factor of [0.2, 0.5, 0.8, 0.9, 0.98]) t.equal(refusedAfter(factor), null, `${factor}`)
  for (const factor of [1, 1.02, 1.2, 2, 50]) {
    const { ms = 0, rounds = 0 } = refusedAfter(factor) ?? {}
    const told = `${factor}: after ${rounds} rounds and ${ms} ms`
    t.ok(ms >= 22_000 && ms <= 22_020, `10 times the first round; ${told}`)
  }
})

t.test('R-M05 who was near once is given time anew when it lags', async (t) => {
  const catchUp = new CatchUp(index(5), 500, at(0))
  catchUp.note(index(5), index(6), at(1))
  t.ok(catchUp.isCaughtUp(at(1)))
  t.equal(catchUp.roundsWithoutGain(at(1 + 4_999)), 9)
  t.equal(catchUp.roundsWithoutGain(at(1 + 5_000)), 10)
  catchUp.note(index(6), index(7), at(6_000))
  catchUp.note(index(7), index(8), at(6_500))
  t.equal(catchUp.roundsWithoutGain(at(6_500)), 0)
})

t.test('R-M05 a newcomer is fed as a learner first', async (t) => {
  const table = seated(['a', 'b', 'c'])
  table.join('d')
  t.match(table.change('a', { d: 'voter' }), { reason: 'notCaughtUp' })
  t.match(table.change('a', { d: 'learner' }), { kind: 'proposed' })
  table.advance(200)
  t.match(table.raft('d').status(), { role: 'learner', lastIndex: 3, commitIndex: 3 })
  t.match(table.raft('a').status().progress.at(-1), { isVoter: false, isCaughtUp: true })
  t.match(table.change('a', { d: 'voter' }), { kind: 'proposed' })
  table.settle()
  t.match(table.raft('d').status(), { role: 'follower', commitIndex: 4 })
  t.match(table.seat('d').events.at(-1), { type: 'Committed' })
  const roles = table.seat('d').events.filter(({ type }) => type === 'RoleChanged')
  t.match(roles, [{ role: 'follower', reason: 'configurationChanged' }])
})

t.test('R-M05 no change to voters too few of which answer', async (t) => {
  const table = seated(['a', 'b', 'c', 'd'])
  table.isolate('b')
  table.advance(1_500)
  t.match(table.change('a', { c: 'none', d: 'none' }), { reason: 'quorumInactive' })
  t.match(table.change('a', { b: 'none' }), { kind: 'proposed' })
})

t.test('R-M07 R-C07 a removed leader stays until that is committed, and counts not', async (t) => {
  const table = seated(['a', 'b', 'c'])
  table.isolate('c')
  t.match(table.change('a', { a: 'none' }), { kind: 'proposed', index: 3 })
  table.settle()
  t.match(table.raft('a').status(), { role: 'leader', durableIndex: 3, commitIndex: 2 })
  const proposal = table.act('a', (raft, now) => raft.propose(batch(1), now))
  t.match(proposal, { kind: 'refused', reason: 'transferring', leaderHint: null })
  table.heal()
  table.advance(300)
  t.match(table.raft('a').status(), { role: 'learner', commitIndex: 3 })
  t.equal(table.leaders.length, 1, 'one that was asked to, without waiting for silence')
  t.equal(table.raft('a').nextDeadline(), Number.POSITIVE_INFINITY)
})

t.test('R-M08 R-T02 transfers go to who stays, and keep changes waiting', async (t) => {
  const table = seated(['a', 'b', 'c'], ['d'])
  table.isolate('c')
  t.match(table.change('a', { b: 'none', d: 'voter' }), { kind: 'proposed' })
  t.equal(votersOf(table, 'a'), 'acd|abc')
  table.act('a', (raft, now) => raft.transferLeadership(replica('b'), now))
  t.match(table.seat('a').events.at(-1), { outcome: 'refused', reason: 'notAVoter' }, 'it leaves')
  table.act('a', (raft, now) => raft.transferLeadership(replica('c'), now))
  t.match(table.change('a', { d: 'none' }), { reason: 'transferring' })
  table.settle()
  t.equal(votersOf(table, 'a'), 'acd|abc', 'committed, and left when the transfer has ended')
  table.advance(1_100)
  t.match(
    table.seat('a').events.findLast(({ type }) => type === 'TransferEnded'),
    {
      target: replica('c'),
      outcome: 'timedOut'
    }
  )
  t.equal(votersOf(table, 'a'), 'acd')
})

t.test('R-M09 whom an uncommitted configuration leaves out may have to lead', async (t) => {
  const table = seated(['a', 'b'])
  table.isolate('b')
  table.change('a', { a: 'none' })
  table.settle()
  table.restart('a')
  t.match(table.raft('a').status(), { role: 'learner', configurationIndex: 3 })
  table.heal()
  table.advance(4_000)
  t.match(table.raft('b').status(), { role: 'leader', commitIndex: 5 })
  t.match(table.raft('a').status(), { role: 'learner', commitIndex: 4 })
  t.equal(table.raft('a').nextDeadline(), Number.POSITIVE_INFINITY)
})

t.test('R-M10 a configuration is rolled back with its entry', async (t) => {
  const table = seated(['a', 'b', 'c'], ['d'])
  table.isolate('a')
  table.change('a', { d: 'voter' })
  t.equal(votersOf(table, 'a'), 'abcd')
  table.elect('b')
  table.heal()
  table.advance(500)
  t.equal(votersOf(table, 'a'), 'abc')
  const told = table.seat('a').events.filter(({ type }) => type.startsWith('Configuration'))
  t.match(told.at(-1), {
    type: 'ConfigurationChanged',
    configuration: { learners: [replica('d')] }
  })
  const log = new RaftLog(null, logOf([replica('a')], [1]))
  log.append([entry(3, 2, encodeConfiguration(configurationOf([replica('a'), replica('b')])))])
  t.same([log.configurationIndex, namesOf(log.configurationBefore.voters)], [3, 'a'])
  log.truncateFrom(index(3))
  t.same([log.configurationIndex, namesOf(log.configuration.voters)], [1, 'a'])
  t.equal(log.configurationIndexAt(index(9)), 1)
})

t.test('R-M11 the next leader leaves a joint configuration', async (t) => {
  const table = seated(['a', 'b', 'c'], ['d'])
  table.passes = ({ from }) => from === replica('a')
  table.change('a', { b: 'none', d: 'voter' })
  table.settle()
  t.equal(votersOf(table, 'c'), 'acd|abc')
  table.isolate('a')
  table.elect('c')
  t.match(table.raft('c').status(), { role: 'leader', term: 2 })
  table.advance(200)
  t.equal(votersOf(table, 'c'), 'acd')
  t.match(table.raft('b').status(), { role: 'learner' })
})

t.test('R-M13 who was removed while away is told so when it would campaign', async (t) => {
  const table = seated(['a', 'b', 'c'])
  table.isolate('c')
  table.change('a', { c: 'none' })
  table.advance(2_500)
  t.notOk(
    table
      .raft('a')
      .status()
      .progress.some(({ replica: id }) => id === replica('c')),
    'nobody waits for it'
  )
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.heal()
  table.advance(3_000)
  t.match(table.raft('c').status(), { role: 'learner', lastIndex: 3, commitIndex: 3 })
  t.equal(table.raft('c').nextDeadline(), Number.POSITIVE_INFINITY)
  t.match(table.raft('a').status(), { role: 'leader', term: 1, lastIndex: 4 })
  table.join('z')
  const preVote = {
    kind: 'preVote',
    group: DEFAULT_GROUP,
    from: replica('z'),
    to: replica('a'),
    term: 2 as Term,
    lastIndex: index(0),
    lastTerm: 0 as Term,
    transfer: false
  } as const
  table.act('a', (raft, now) => raft.receive(preVote, now))
  t.equal(table.raft('a').status().progress.length, 1, 'a stranger gets nothing')
})

t.test('R-E30 a committed change that is not applied keeps from campaigning', async (t) => {
  const table = seated(['a', 'b', 'c'], ['d'])
  table.holdApply('b')
  table.change('a', { d: 'voter' })
  table.settle()
  table.isolate('b')
  table.advance(3_000)
  t.match(table.raft('b').status(), { role: 'follower', leader: replica('a') })
  table.releaseApply('b')
  table.advance(1_100)
  t.match(table.raft('b').status(), { role: 'preCandidate' })
})

t.test('R-C06 R-Q05 without a dead voter commits and reads go on', async (t) => {
  const table = seated(['a', 'b'])
  table.isolate('b')
  table.act('a', (raft, now) => raft.propose(batch(1), now))
  table.act('a', (raft, now) => raft.requestReadIndex(7, now))
  table.settle()
  t.match(table.raft('a').status(), { commitIndex: 2, pendingReads: 1 })
  table.change('a', { b: 'none' })
  t.match(table.raft('a').status(), { commitIndex: 4, pendingReads: 0 })
  t.match(
    table.seat('a').events.filter(({ type }) => type === 'ReadReady'),
    [{ requestId: 7, index: 2 }]
  )
})

t.test('a configuration that breaks the rules stops the replica that is sent it', async (t) => {
  const table = new RaftTable({ voters: ['a', 'b', 'c'] })
  const payload = encodeEntryPayload({ kind: 'configuration', voters: [], learners: [] })
  const append: AppendEntries = {
    kind: 'appendEntries',
    group: DEFAULT_GROUP,
    from: replica('a'),
    to: replica('b'),
    term: 1 as Term,
    prevIndex: index(1),
    prevTerm: 0 as Term,
    commitIndex: index(1),
    entries: [entry(2, 1, payload)]
  }
  const receive = () => table.act('b', (raft, now) => raft.receive(append, now))
  t.throws(receive, { code: 'ERR_SKEIN_PROTOCOL' })
})
