import t from 'tap'
import { NEVER } from '../../../../src/core/deadlines.js'
import type { MonotonicMs, TransactionId } from '../../../../src/core/ids.js'
import type { Change } from '../../../../src/failover/two-phase/changes.js'
import { DecisionHold } from '../../../../src/failover/two-phase/decision-hold.js'

const at = (ms: number) => ms as MonotonicMs
const transaction = '0000000003e8-00000000000000ff' as TransactionId
const decide = { kind: 'decide', transaction } as Change
const abort: Change = { kind: 'abort', transaction, reason: '' }

t.test('decisions wait while somebody holds, everything else goes', async (t) => {
  const hold = new DecisionHold()
  t.same(hold.pass([decide, abort], at(0)), [decide, abort])
  t.ok(hold.hold('one', at(10), at(0)))
  t.same(hold.pass([decide, abort], at(1)), [abort])
  t.equal(hold.keptCount, 1)
  t.equal(hold.nextDeadline(), 10)
  t.same(hold.pass([abort], at(9)), [abort])
  t.same(hold.pass([abort], at(10)), [decide, abort], 'it ends by itself, in order')
  t.same(hold.pass([], at(11)), [])
})

t.test('one holds at a time, and may for longer', async (t) => {
  const hold = new DecisionHold()
  t.ok(hold.hold('one', at(10), at(0)))
  t.notOk(hold.hold('two', at(10), at(9)))
  t.ok(hold.hold('one', at(20), at(9)))
  t.ok(hold.isHeldBy('one', at(19)))
  hold.release('two')
  t.ok(hold.isActive(at(19)), 'only by who holds')
  hold.release('one')
  t.notOk(hold.isActive(at(19)))
  t.equal(hold.nextDeadline(), NEVER)
  t.ok(hold.hold('two', at(30), at(19)))
  t.notOk(hold.isHeldBy('one', at(20)))
})
