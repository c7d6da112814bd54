import t from 'tap'
import { ReadRounds } from '../../../../src/consensus/group/read-rounds.js'
import type { LogIndex, MonotonicMs } from '../../../../src/core/ids.js'

function makeRounds(lengthMax = 100) {
  const begun: { round: number; deadline: number }[] = []
  const rounds = new ReadRounds(lengthMax, (round, deadline) => begun.push({ round, deadline }))
  const told: string[] = []
  const join = (name: string, deadline = 100) =>
    rounds.join({
      deadline: deadline as MonotonicMs,
      resolve: (index) => told.push(`${name}=${index}`),
      reject: (error) => told.push(`${name}:${error.message}`)
    })
  return { rounds, begun, told, join }
}

const at = (index: number) => index as LogIndex

t.test('R-Q03 who comes during a round waits for the next one', async (t) => {
  const { rounds, begun, told, join } = makeRounds()
  join('one')
  join('two', 300)
  join('three', 200)
  t.same(begun, [{ round: 1, deadline: 100 }])
  rounds.handleReady(1, at(7))
  t.same(told, ['one=7'])
  t.same(begun[1], { round: 2, deadline: 300 })
  rounds.handleReady(1, at(8))
  t.same(told, ['one=7'], 'a second answer of the first round is nobody’s')
  rounds.handleReady(2, at(9))
  t.same(told, ['one=7', 'two=9', 'three=9'])
  t.equal(rounds.length, 0)
})

t.test('a refused round refuses its own callers only', async (t) => {
  const { rounds, begun, told, join } = makeRounds()
  join('one')
  join('two')
  rounds.handleRefused(1, () => new Error('no'))
  t.same(told, ['one:no'])
  t.equal(begun.length, 2)
})

t.test('R-Q08 late callers are swept, and a round without callers is abandoned', async (t) => {
  const { rounds, begun, told, join } = makeRounds()
  join('one', 50)
  join('two', 500)
  rounds.sweep(60 as MonotonicMs, () => new Error('late'))
  t.same(told, ['one:late'])
  t.equal(begun.length, 2)
  rounds.handleReady(1, at(5))
  t.same(told, ['one:late'], 'the answer of the abandoned round is too old for two')
  rounds.handleReady(2, at(6))
  t.same(told, ['one:late', 'two=6'])
})

t.test('a round whose leader is gone is asked anew, for everybody', async (t) => {
  const { rounds, begun, told, join } = makeRounds()
  rounds.askAgain()
  t.same(begun, [], 'nobody asks')
  join('one')
  join('two', 300)
  rounds.askAgain()
  t.same(begun[1], { round: 2, deadline: 300 })
  rounds.handleRefused(1, () => new Error('gone'))
  rounds.handleReady(1, at(5))
  t.same(told, [], 'the former leader’s answer counts no more')
  rounds.handleReady(2, at(6))
  t.same(told, ['one=6', 'two=6'])
})

t.test('at the bound nobody joins', async (t) => {
  const { rounds, told, join } = makeRounds(2)
  t.ok(join('one'))
  t.ok(join('two'))
  t.notOk(join('three'))
  rounds.rejectAll(() => new Error('stop'))
  t.same(told, ['one:stop', 'two:stop'])
})
