import t from 'tap'
import type {
  GroupId,
  LogIndex,
  MonotonicMs,
  Term,
  TransactionId
} from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { transactionIdOf } from '../../../../src/core/transaction-id.js'
import { Coordinator } from '../../../../src/failover/two-phase/coordinator.js'
import { TransactionState } from '../../../../src/failover/two-phase/transaction-state.js'
import { defaultOptions } from '../../../support/two-phase/world.js'

const [own, other] = [0, 1] as [GroupId, GroupId]
const now = 0 as MonotonicMs

t.test('a vote of an earlier epoch does not count', async (t) => {
  const view = new TransactionState(own, defaultOptions.limits)
  const random = SplittableRandom.fromSeed(1)
  const coordinator = new Coordinator(
    { view, random },
    { ...defaultOptions.coordinator, group: own }
  )
  coordinator.lead(2 as Term, now)
  const transaction = transactionIdOf(1, [0, 1])
  const branches = [own, other].map((group) => ({ group, data: new Uint8Array(), reads: false }))
  t.same(coordinator.begin({ transaction, branches, timeoutMs: 100 }, now, 0), { kind: 'begun' })
  const vote = (group: GroupId, epoch: number) =>
    coordinator.handleVote(
      transaction,
      group,
      {
        epoch: epoch as Term,
        vote: 'yes',
        reason: '',
        results: new Uint8Array(),
        index: 1 as LogIndex
      },
      now,
      0
    )
  vote(own, 2)
  vote(other, 1)
  t.equal(coordinator.drain().persist, null)
  vote(other, 2)
  t.match(coordinator.drain().persist, [{ kind: 'decide', transaction, groups: [other] }])
})

t.test('what an earlier leader left is told as recovered, once each', async (t) => {
  const view = new TransactionState(own, defaultOptions.limits)
  const random = SplittableRandom.fromSeed(1)
  const [orphan, decided] = [transactionIdOf(1, [0, 1]), transactionIdOf(2, [0, 2])]
  const at = (index: number) => ({ index: index as LogIndex, term: 1 as Term, now: index })
  const locks = (key: string) => ({ readKeys: [], writeKeys: [key] })
  const prepare = (transaction: TransactionId, sequence: number) => ({
    kind: 'prepare' as const,
    transaction,
    epoch: 1 as Term,
    sequence,
    coordinator: own,
    groups: [own, other],
    expiresAt: 1_000,
    locks: locks(`k${sequence}`),
    command: null,
    kept: null
  })
  view.apply([prepare(orphan, 1), prepare(decided, 2)], at(1))
  const decision = { epoch: 1 as Term, expiresAt: 1_000, groups: [other] }
  view.apply(
    [{ kind: 'decide', transaction: decided, ...decision, client: null, result: null }],
    at(2)
  )
  const coordinator = new Coordinator(
    { view, random },
    { ...defaultOptions.coordinator, group: own }
  )
  coordinator.lead(2 as Term, now)
  const led = coordinator.drain()
  const recovered = { type: 'Recovered', transaction: decided, decision: 'commit' }
  t.same(led.emit, [recovered])
  t.match(led.persist, [{ kind: 'abort', transaction: orphan }])
  coordinator.handleTimeout(5_000 as MonotonicMs, 5_000)
  t.same(coordinator.drain().persist, null, 'the abort is on its way')
  const aborted = view.apply(led.persist ?? [], at(3))
  coordinator.handleApplied(aborted.answers, now)
  t.match(coordinator.drain().emit, [{ type: 'Recovered', transaction: orphan, decision: 'abort' }])
  coordinator.handleTimeout(9_000 as MonotonicMs, 9_000)
  t.same(coordinator.drain().emit, [])
})

t.test('R-M19 nobody presumes an abort where a decision may be lost', async (t) => {
  const view = new TransactionState(own, defaultOptions.limits)
  const random = SplittableRandom.fromSeed(1)
  const [held, gone] = [transactionIdOf(1, [0, 1]), transactionIdOf(2, [0, 2])]
  const at = (index: number) => ({ index: index as LogIndex, term: 1 as Term, now: index })
  const branch = {
    kind: 'prepare' as const,
    transaction: held,
    epoch: 1 as Term,
    sequence: 1,
    coordinator: own,
    groups: [own, other],
    expiresAt: 1_000,
    locks: { readKeys: [], writeKeys: ['k'] },
    command: null,
    kept: null
  }
  view.apply([branch], at(1))
  view.apply([{ kind: 'recover', epoch: 50 as Term }], at(2))
  const coordinator = new Coordinator(
    { view, random },
    { ...defaultOptions.coordinator, group: own }
  )
  coordinator.lead(51 as Term, now)
  coordinator.handleTimeout(60_000 as MonotonicMs, 60_000)
  t.same(coordinator.drain().persist, null, 'its own branch stays')
  for (const transaction of [held, gone]) {
    t.match(coordinator.handleQuery(transaction, 1 as Term, other), { decision: 'undecided' })
  }
  t.same(coordinator.drain().persist, null, 'and nothing is fenced')
  const word = { transaction: held, outcome: 'commit', by: 'somebody', reason: '' } as const
  coordinator.handleApplied(view.apply([{ kind: 'resolve', ...word }], at(3)).answers, now)
  t.match(coordinator.handleQuery(held, 1 as Term, other), { decision: 'commit', index: 3 })
  t.match(coordinator.drain().sendNow, [{ kind: 'commit', to: other, transaction: held }])
  t.match(coordinator.handleQuery(gone, 51 as Term, other), { decision: 'undecided' })
  t.match(coordinator.drain().persist, [{ kind: 'abort', transaction: gone }], 'of its own epoch')
})
