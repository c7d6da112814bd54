import t from 'tap'
import { checksMax, DivergenceCheck } from '../../../../src/consensus/group/divergence-check.js'
import type { LogIndex, ReplicaId } from '../../../../src/core/ids.js'

const voters = ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}/0000000000000001` as ReplicaId)
const [a, b, c, d, e] = voters as [ReplicaId, ReplicaId, ReplicaId, ReplicaId, ReplicaId]
const at = (index: number) => index as LogIndex

t.test('a minority that differs is told, once each, early and late', async (t) => {
  const check = new DivergenceCheck()
  t.equal(check.report(at(1), a, 'x', voters), null)
  t.equal(check.report(at(1), b, 'y', voters), null)
  t.equal(check.report(at(1), c, 'x', voters), null)
  t.same(check.report(at(1), d, 'x', voters), { index: 1, diverged: [b], halted: false })
  t.same(check.report(at(1), e, 'z', voters), { index: 1, diverged: [e], halted: false })
  t.equal(check.report(at(1), e, 'z', voters), null)
})

t.test('all alike, or silent, is nothing to tell', async (t) => {
  const check = new DivergenceCheck()
  for (const voter of [a, b, c]) t.equal(check.report(at(1), voter, 'x', voters), null)
})

t.test('without a possible majority the group halts, as soon as that is certain', async (t) => {
  const check = new DivergenceCheck()
  t.equal(check.report(at(1), a, 'v', voters), null)
  t.equal(check.report(at(1), b, 'w', voters), null)
  t.equal(check.report(at(1), c, 'x', voters), null)
  t.same(check.report(at(1), d, 'y', voters), { index: 1, diverged: [], halted: true })
})

t.test('who does not vote is not heard, and old checks are forgotten', async (t) => {
  const check = new DivergenceCheck()
  const three = [a, b, c]
  t.equal(check.report(at(1), d, 'x', three), null)
  check.report(at(1), a, 'x', three)
  for (let index = 2; index <= checksMax + 1; index++) check.report(at(index), a, 'x', three)
  t.equal(check.report(at(1), b, 'y', three), null)
  t.equal(check.report(at(1), c, 'z', three), null, 'the first report was forgotten')
  check.clear()
  check.report(at(9), a, 'x', three)
  check.report(at(9), b, 'x', three)
  t.same(check.report(at(9), c, 'y', three), { index: 9, diverged: [c], halted: false })
})
