import t from 'tap'
import type { Term } from '../../../src/core/ids.js'
import { FenceGate } from '../../../src/failover/rolling-restart/plan-fence.js'

const fence = (plan: string, epoch: number, revision: number) => ({
  plan,
  epoch: epoch as Term,
  revision,
  boot: 'this'
})

t.test('an order that was overtaken is refused, the same one again is not', async (t) => {
  const gate = new FenceGate('this')
  t.equal(gate.admit(fence('p', 2, 5)), null)
  t.equal(gate.admit(fence('p', 2, 5)), null)
  t.match(gate.admit(fence('p', 1, 9)), /epoch 2/)
  t.match(gate.admit(fence('p', 2, 4)), /epoch 2/)
  t.equal(gate.admit(fence('p', 2, 6)), null)
  t.equal(gate.admit(fence('q', 2, 1)), null, 'the next plan counts from the beginning')
  t.equal(gate.admit(fence('q', 3, 1)), null)
  t.match(gate.admit({ ...fence('q', 9, 9), boot: 'former' }), /another process/)
  t.equal(gate.admit(null), null, 'operators are not fenced')
})
