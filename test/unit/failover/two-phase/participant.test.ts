import t from 'tap'
import type { GroupId, MonotonicMs, Term } from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { transactionIdOf } from '../../../../src/core/transaction-id.js'
import { LockTable } from '../../../../src/failover/two-phase/lock-table.js'
import { Participant } from '../../../../src/failover/two-phase/participant.js'
import {
  participantDefaults,
  transactionLimits
} from '../../../../src/failover/two-phase/transaction-options.js'
import { TransactionState } from '../../../../src/failover/two-phase/transaction-state.js'

const own = 1 as GroupId
const coordinator = 0 as GroupId
const now = 0 as MonotonicMs
const id = (n: number) => transactionIdOf(n, [0, n])

const request = (n: number) => ({
  transaction: id(n),
  epoch: 1 as Term,
  sequence: n,
  coordinator,
  groups: [coordinator, own],
  data: new Uint8Array(0),
  timeoutMs: 1_000,
  mayDropOut: false
})

function leading(): Participant {
  const participant = new Participant(
    {
      view: new TransactionState(own, transactionLimits),
      random: SplittableRandom.fromSeed(1),
      locks: new LockTable()
    },
    { ...participantDefaults, group: own }
  )
  participant.lead(now)
  participant.drain()
  return participant
}

const rows = { readKeys: [], writeKeys: ['row'] }
const planned = {
  kind: 'planned',
  locks: rows,
  command: { tag: 'rows', bytes: Uint8Array.of(1) },
  results: new Uint8Array(0),
  kept: null
} as const

t.test('T-06 whoever waits for a vote is answered when an abort comes first', async (t) => {
  const votesFor = (participant: Participant, n: number) =>
    participant.drain().sendNow.filter(({ kind, transaction }) => {
      return kind === 'vote' && transaction === id(n)
    })
  const participant = leading()
  participant.handlePrepare(request(1), now, 0)
  t.same(votesFor(participant, 1), [], 'its plan is being made')
  participant.handleAbort(id(1), coordinator, 'another group said no')
  t.match(votesFor(participant, 1), [{ vote: { vote: 'no', reason: 'it was aborted' } }])

  participant.handlePrepare(request(5), now, 0)
  participant.handlePlanned(id(5), planned, 0)
  participant.handlePrepare(request(4), now, 0)
  participant.handlePlanned(id(4), planned, 0)
  t.same(votesFor(participant, 4), [], 'it waits for the row of a younger one')
  participant.handleAbort(id(4), coordinator, 'another group said no')
  t.match(votesFor(participant, 4), [{ vote: { vote: 'no', reason: 'it was aborted' } }])
})
