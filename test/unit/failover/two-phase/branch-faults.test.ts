import t from 'tap'
import type { GroupId, Term, TransactionId } from '../../../../src/core/ids.js'
import { transactionIdOf } from '../../../../src/core/transaction-id.js'
import { BranchFaults } from '../../../../src/failover/two-phase/branch-faults.js'

const id = (n: number) => transactionIdOf(n, [0, n])

const request = (n: number) => ({
  transaction: id(n),
  epoch: 1 as Term,
  sequence: n,
  coordinator: 0 as GroupId,
  groups: [0, 1] as GroupId[],
  data: new Uint8Array(0),
  timeoutMs: 1_000,
  mayDropOut: false
})

function withPrepared(...numbers: readonly number[]) {
  const prepared: TransactionId[] = numbers.map(id)
  const faults = new BranchFaults(() => prepared)
  const end = (n: number) => prepared.splice(prepared.indexOf(id(n)), 1)
  return { faults, prepared, end }
}

t.test('a fault stands at once when nothing is prepared', async (t) => {
  const { faults } = withPrepared()
  t.same(faults.judge(request(5)), { kind: 'stands' })
  t.same(faults.takeReady(), [])
})

t.test('T-20 it waits for all that was prepared when it was met, no later ones', async (t) => {
  const { faults, prepared, end } = withPrepared(6, 7)
  t.same(faults.judge(request(5)), { kind: 'waits' })
  prepared.push(id(8))
  end(6)
  t.same(faults.takeReady(), [])
  end(7)
  t.same(faults.takeReady(), [request(5)], 'planned once more')
  t.same(faults.takeReady(), [], 'once')
  t.same(faults.judge(request(5)), { kind: 'stands' }, 'though 8 is prepared')
})

t.test('T-20 for an older one it does not wait: it dies, and is tried again', async (t) => {
  const { faults, end } = withPrepared(4, 6)
  t.same(faults.judge(request(5)), { kind: 'dies', by: id(4) })
  end(4)
  t.same(faults.takeReady(), [], 'it was given up')
  t.same(faults.judge(request(5)), { kind: 'waits' })
})

t.test('what has voted is forgotten', async (t) => {
  const { faults, end } = withPrepared(6)
  faults.judge(request(5))
  faults.forget(id(5))
  end(6)
  t.same(faults.takeReady(), [])
})
