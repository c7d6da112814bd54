import t from 'tap'
import type { GroupId, MonotonicMs, Term } from '../../../../src/core/ids.js'
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
      { epoch: epoch as Term, vote: 'yes', reason: '', results: new Uint8Array() },
      now,
      0
    )
  vote(own, 2)
  vote(other, 1)
  t.equal(coordinator.drain().persist, null)
  vote(other, 2)
  t.match(coordinator.drain().persist, [{ kind: 'decide', transaction, groups: [other] }])
})
