import t from 'tap'
import { type Configuration, configurationOf } from '../../../../src/consensus/configuration.js'
import {
  planRecovery,
  type RecoveryRequest,
  type ReplicaHolding,
  recoveryTermLeap,
  type SurvivorReport
} from '../../../../src/consensus/recovery/recovery-plan.js'
import {
  type GroupId,
  type LogIndex,
  type NodeId,
  replicaIdOf,
  type StorageId,
  type Term
} from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { testCrypto } from '../../../support/test-crypto.js'

const storage = (node: string) => `${node.charCodeAt(0).toString(16)}`.padEnd(16, '0') as StorageId
const replica = (node: string) => replicaIdOf(node as NodeId, storage(node))
const replicas = (nodes: string) => [...nodes].map(replica)
const voters = (nodes: string) => configurationOf(replicas(nodes))

interface Held {
  readonly term?: number
  readonly last: readonly [term: number, index: number]
  readonly committed?: number
  readonly configuration?: Configuration
  readonly branches?: ReplicaHolding['branches']
  readonly decided?: readonly string[]
}

function report(node: string, founders: string, ...held: readonly Held[]): SurvivorReport {
  return {
    nodeId: node as NodeId,
    storageId: storage(node),
    clusterName: 'test',
    founders: replicas(founders),
    groups: held.map((_, group) => group as GroupId),
    replicas: held.map(
      ({ last: [lastTerm, lastIndex], ...one }, group): ReplicaHolding => ({
        group: group as GroupId,
        term: (one.term ?? lastTerm) as Term,
        lastTerm: lastTerm as Term,
        lastIndex: lastIndex as LogIndex,
        committedIndex: (one.committed ?? 0) as LogIndex,
        lastWriteAt: 1,
        configuration: one.configuration ?? voters(founders),
        branches: one.branches ?? [],
        decided: one.decided ?? []
      })
    )
  }
}

const crypto = testCrypto(SplittableRandom.fromSeed(1))
const plan = (reports: readonly SurvivorReport[], over: Partial<RecoveryRequest> = {}) =>
  planRecovery(crypto, { reports, lost: [], force: false, ...over })
const ids = (nodes: string) => [...nodes] as NodeId[]

t.test('R-M19 each group goes on from the highest last term, then last index', async (t) => {
  const made = plan(
    [
      report('a', 'abcde', { last: [3, 10], term: 9 }, { last: [2, 90], committed: 80 }),
      report('b', 'abcde', { last: [2, 50], committed: 7 }, { last: [2, 91] })
    ],
    { lost: ids('cde') }
  )
  t.match(made.groups, [
    { group: 0, from: 'a', lastTerm: 3, lastIndex: 10, committedIndex: 7, hasQuorum: false },
    { group: 1, from: 'b', lastTerm: 2, lastIndex: 91, committedIndex: 80 }
  ])
  t.equal(made.groups[0]?.term, 9 + recoveryTermLeap)
  const [a, b] = made.founders
  t.match(made.groups, [
    { voters: [a], learners: [b] },
    { voters: [b], learners: [a] }
  ])
  t.notOk(
    replicas('abcde').some((old) => made.founders.includes(old)),
    'storage ids are new'
  )
  t.not(made.clusterId, made.clusterIdBefore)
})

t.test('R-M19 a quorum that survives is not recovered but by force', async (t) => {
  const two = [report('a', 'abc', { last: [1, 5] }), report('b', 'abc', { last: [1, 6] })]
  t.throws(() => plan(two, { lost: ids('c') }), {
    code: 'ERR_SKEIN_RECOVERY_REFUSED',
    message: /a, b are a quorum of every group: start them/
  })
  t.match(plan(two, { lost: ids('c'), force: true }).groups, [{ from: 'b', hasQuorum: true }])
  // A joint configuration takes a majority of both.
  const joint = { ...voters('abc'), votersOutgoing: replicas('cde') }
  const held = { last: [1, 6], configuration: joint } as const
  const made = plan([report('a', 'abc', held), report('b', 'abc', held)], { lost: ids('cde') })
  t.match(made.groups, [{ hasQuorum: false, votersBefore: replicas('abcde') }])
})

t.test('R-M19 nobody who votes is forgotten', async (t) => {
  const one = [report('a', 'abc', { last: [1, 5] })]
  t.throws(() => plan(one, { lost: ids('b') }), {
    code: 'ERR_SKEIN_RECOVERY_REFUSED',
    message: /^not accounted for: c;/,
    details: { missing: ['c'] }
  })
  t.throws(() => plan(one, { lost: ids('abc') }), /a is among the survivors/)
  t.match(plan(one, { lost: ids('bc') }).lost, ids('bc'))
})

t.test('R-M19 a learner may be all that is left; nothing at all is refused', async (t) => {
  const configuration = configurationOf(replicas('abc'), replicas('d'))
  const made = plan([report('d', 'abc', { last: [4, 9], configuration })], { lost: ids('abc') })
  t.match(made.groups, [{ from: 'd', votersBefore: replicas('abc'), learners: [] }])
  const empty = { last: [0, 0], configuration: { ...voters('a'), voters: [] } } as const
  t.throws(() => plan([report('d', 'abc', empty)], { lost: ids('abc') }), {
    code: 'ERR_SKEIN_RECOVERY_REFUSED',
    details: { group: 0 }
  })
})

t.test('R-M19 reports are of one cluster, and of a node once', async (t) => {
  const a = report('a', 'abc', { last: [1, 5] })
  t.throws(() => plan([]), /one at least/)
  t.throws(() => plan([a, a]), /a is there twice/)
  t.throws(() => plan([a, report('b', 'abd', { last: [1, 5] })]), /of another cluster than/)
})

t.test('R-M19 a branch whose decision nobody has waits for an operator', async (t) => {
  const branch = (transaction: string, coordinator: number, epoch = 1) => ({
    transaction,
    coordinator: coordinator as GroupId,
    epoch: epoch as Term
  })
  const held = [
    { last: [1, 5], decided: ['told'], branches: [branch('own', 0)] },
    { last: [1, 5], branches: [branch('told', 0), branch('lost', 0, 70)] }
  ] as const
  const made = plan([report('a', 'abc', ...held)], { lost: ids('bc') })
  t.match(made.groups, [{ undecided: ['own'] }, { undecided: ['lost'] }])
  t.equal(made.groups[0]?.term, 70 + recoveryTermLeap, 'above every epoch that was heard of')
})
