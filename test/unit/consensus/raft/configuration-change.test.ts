import fc from 'fast-check'
import t from 'tap'
import {
  type Configuration,
  configurationFault,
  configurationOf,
  electorateOf,
  isJoint,
  membersOf,
  noConfiguration
} from '../../../../src/consensus/configuration.js'
import {
  configurationIn,
  encodeConfiguration,
  encodeEntryPayload
} from '../../../../src/consensus/entry.js'
import {
  changeConfiguration,
  leaveJoint,
  type MemberChange,
  type MemberRole
} from '../../../../src/consensus/raft/configuration-change.js'
import { tallyVotes } from '../../../../src/consensus/raft/quorum.js'
import type { ReplicaId } from '../../../../src/core/index.js'
import { haveDisjointQuorums } from '../../../support/raft/disjoint-quorums.js'
import { replica } from '../../../support/raft/raft-table.js'

const ids = ['a', 'b', 'c', 'd', 'e', 'f'].map(replica)
const [a, b, c, d] = ids as [ReplicaId, ReplicaId, ReplicaId, ReplicaId]

const configurations = fc
  .tuple(fc.subarray(ids, { minLength: 1 }), fc.subarray(ids))
  .map(([voters, others]) =>
    configurationOf(
      voters,
      others.filter((id) => !voters.includes(id))
    )
  )
const roles = fc.constantFrom<MemberRole>('voter', 'learner', 'none')
const changeLists = fc.array(fc.record({ replica: fc.constantFrom(...ids), role: roles }), {
  maxLength: 5
})

/** A naive twin: a table of who is what. */
function slowChange(before: Configuration, changes: readonly MemberChange[]) {
  const roleOf = new Map<ReplicaId, MemberRole>()
  for (const id of before.voters) roleOf.set(id, 'voter')
  for (const id of before.learners) roleOf.set(id, 'learner')
  const named = new Set<ReplicaId>()
  for (const { replica: id } of changes) {
    if (named.has(id)) return 'namedTwice'
    named.add(id)
  }
  for (const { replica: id, role } of changes) {
    if (role === 'none' && !roleOf.has(id)) return 'unknownReplica'
  }
  for (const { replica: id, role } of changes) roleOf.set(id, role)
  const all = (wanted: MemberRole) => ids.filter((id) => roleOf.get(id) === wanted)
  return all('voter').length === 0 ? 'noVoters' : configurationOf(all('voter'), all('learner'))
}

t.test('R-M03 R-M04 a change leads to what a table of roles says, by safe steps', async (t) => {
  let joints = 0
  fc.assert(
    fc.property(configurations, changeLists, (before, changes) => {
      const expected = slowChange(before, changes)
      const change = changeConfiguration(before, changes)
      if (change.kind === 'refused') return change.reason === expected
      if (typeof expected === 'string') return false
      const [text, was] = [JSON.stringify(expected), JSON.stringify(before)]
      if (change.kind === 'unchanged') return text === was
      const { configuration } = change
      if (configurationFault(configuration) !== null) return false
      if (haveDisjointQuorums(before, configuration)) return false
      if (!isJoint(configuration)) return JSON.stringify(configuration) === text && text !== was
      joints++
      const after = leaveJoint(configuration)
      return (
        JSON.stringify(configuration.votersOutgoing) === JSON.stringify(before.voters) &&
        configurationFault(after) === null &&
        !haveDisjointQuorums(configuration, after) &&
        JSON.stringify(after) === text
      )
    }),
    { numRuns: 3_000, seed: 4 }
  )
  t.ok(joints > 200, `${joints} joint ones`)
})

t.test('R-M04 one voter is changed in one step, more by way of a joint one', async (t) => {
  const before = configurationOf([a, b, c])
  const next = (...changes: MemberChange[]) => {
    const change = changeConfiguration(before, changes)
    return change.kind === 'changed' ? change.configuration : change
  }
  t.same(next({ replica: d, role: 'voter' }), configurationOf([a, b, c, d]))
  t.same(next({ replica: c, role: 'learner' }), configurationOf([a, b], [c]))
  t.same(next({ replica: d, role: 'learner' }), configurationOf([a, b, c], [d]))
  t.same(next({ replica: d, role: 'voter' }, { replica: a, role: 'learner' }), {
    voters: [b, c, d],
    votersOutgoing: [a, b, c],
    learners: [],
    learnersNext: [a]
  })
})

t.test('R-M04 R-M12 what is refused, and what changes nothing', async (t) => {
  const before = configurationOf([a, b], [c])
  const kindOf = (...changes: MemberChange[]) => {
    const change = changeConfiguration(before, changes)
    return change.kind === 'refused' ? change.reason : change.kind
  }
  t.equal(kindOf(), 'unchanged')
  t.equal(kindOf({ replica: a, role: 'voter' }, { replica: c, role: 'learner' }), 'unchanged')
  t.equal(kindOf({ replica: d, role: 'none' }), 'unknownReplica')
  t.equal(kindOf({ replica: d, role: 'voter' }, { replica: d, role: 'none' }), 'namedTwice')
  t.equal(kindOf({ replica: a, role: 'none' }, { replica: b, role: 'learner' }), 'noVoters')
  const strangers = Array.from({ length: 63 }, (_, i) => replica(`s${i}`))
  const add = (role: MemberRole) => strangers.map((id) => ({ replica: id, role }))
  t.equal(kindOf(...add('voter')), 'tooManyMembers')
  t.equal(kindOf(...add('learner')), 'changed')
  const joint = changeConfiguration(before, [
    { replica: a, role: 'none' },
    { replica: c, role: 'voter' }
  ])
  t.ok(joint.kind === 'changed' && isJoint(joint.configuration))
  if (joint.kind !== 'changed') return
  t.match(changeConfiguration(joint.configuration, []), { reason: 'changePending' })
  t.same(membersOf(joint.configuration), [a, b, c])
  t.same(electorateOf(joint.configuration), [a, b, c])
})

t.test('R-M02 two changes at once would have disjoint quorums', async (t) => {
  const four = configurationOf([a, b, c, d])
  const five = configurationOf(ids.slice(0, 5))
  const three = configurationOf([a, b, c])
  t.notOk(haveDisjointQuorums(four, five))
  t.notOk(haveDisjointQuorums(four, three))
  t.notOk(haveDisjointQuorums(three, configurationOf([a, b])))
  t.ok(haveDisjointQuorums(five, configurationOf([c, d])), 'a check that cannot fail is none')
  t.equal(tallyVotes(five, new Map([a, b, c].map((id) => [id, true]))), 'won')
})

t.test('configurations come back from their bytes; broken ones are refused', async (t) => {
  const whole: Configuration[] = [
    configurationOf([b, a], [c]),
    { voters: [b, c], votersOutgoing: [a, b], learners: [d], learnersNext: [a] }
  ]
  for (const configuration of whole) {
    t.same(configurationIn(encodeConfiguration(configuration)), configuration)
  }
  t.equal(configurationIn(encodeEntryPayload({ kind: 'noop' })), null)
  const broken: Partial<Configuration>[] = [
    { voters: [] },
    { voters: [b, a] },
    { voters: [a, a] },
    { learners: [a] },
    { learners: [b], votersOutgoing: [b] },
    { learnersNext: [b] },
    { learnersNext: [a], votersOutgoing: [a] }
  ]
  for (const part of broken) {
    const configuration = { ...noConfiguration, voters: [a], ...part }
    t.type(configurationFault(configuration), 'string')
    const bytes = encodeEntryPayload({ kind: 'jointConfiguration', ...configuration })
    t.throws(() => configurationIn(bytes), { code: 'ERR_SKEIN_PROTOCOL' })
  }
})
