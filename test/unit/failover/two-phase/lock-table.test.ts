import fc from 'fast-check'
import t from 'tap'
import type { TransactionId } from '../../../../src/core/ids.js'
import { compareAge, stampOf, transactionIdOf } from '../../../../src/core/transaction-id.js'
import {
  escalate,
  LockHolders,
  type Locks,
  lockKeysMax
} from '../../../../src/failover/two-phase/lock-holders.js'
import { LockTable } from '../../../../src/failover/two-phase/lock-table.js'

const id = (age: number): TransactionId => transactionIdOf(age, [0, age])
const writes = (...writeKeys: string[]): Locks => ({ readKeys: [], writeKeys })
const reads = (...readKeys: string[]): Locks => ({ readKeys, writeKeys: [] })
const readAll: Locks = { readKeys: 'all', writeKeys: [] }
const writeAll: Locks = { readKeys: 'all', writeKeys: 'all' }

t.test('an id says how old it is', async (t) => {
  t.equal(stampOf(transactionIdOf(1_234, [1, 2])), 1_234)
  t.ok(compareAge(transactionIdOf(9, [1, 1]), transactionIdOf(10, [0, 0])) < 0)
  t.throws(() => transactionIdOf(-1, [0, 0]), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
})

t.test('rows and groups shut out whom they must', async (t) => {
  const cases: readonly (readonly [string, Locks, Locks, boolean])[] = [
    ['two readers of a row', reads('a'), reads('a'), false],
    ['reader and writer of a row', reads('a'), writes('a'), true],
    ['two writers of a row', writes('a'), writes('a'), true],
    ['writers of two rows', writes('a'), writes('b'), false],
    ['range readers', readAll, readAll, false],
    ['range reader and reader', readAll, reads('a'), false],
    ['range reader and writer', readAll, writes('a'), true],
    ['DDL and reader', writeAll, reads('a'), true],
    ['DDL and writer', writeAll, writes('a'), true],
    ['DDL and range reader', writeAll, readAll, true],
    ['DDL twice', writeAll, writeAll, true],
    ['nothing and DDL', reads(), writeAll, false]
  ]
  for (const [name, one, other, conflicts] of cases) {
    for (const [first, second] of [
      [one, other],
      [other, one]
    ] as const) {
      const holders = new LockHolders()
      holders.hold(id(1), first)
      const asked = holders.conflictsOf(second, id(2))
      const isEmpty = first.readKeys.length + first.writeKeys.length === 0
      t.equal(asked.length > 0, conflicts && !isEmpty, name)
    }
  }
})

t.test('what is released leaves nothing behind', async (t) => {
  const holders = new LockHolders()
  holders.hold(id(1), { readKeys: ['a', 'b'], writeKeys: ['b', 'c'] })
  holders.hold(id(2), { readKeys: 'all', writeKeys: [] })
  holders.release(id(1))
  holders.release(id(2))
  t.equal(holders.size, 0)
  t.equal(holders.keyCount, 0)
  t.same(holders.conflictsOf(writeAll, null), [])
})

t.test('more rows than may be named become the group', async (t) => {
  const many = Array.from({ length: lockKeysMax + 1 }, (_, i) => `row ${i}`)
  t.same(escalate(reads(...many)), readAll)
  t.same(escalate(writes(...many)), writeAll)
  const mixed = { readKeys: many, writeKeys: ['a'] }
  t.same(escalate(mixed), { readKeys: 'all', writeKeys: ['a'] })
  t.same(escalate(writes('a')), writes('a'))
})

t.test('an older one waits, a younger one dies', async (t) => {
  const table = new LockTable()
  t.equal(table.acquire(id(5), writes('a')).kind, 'held')
  t.same(table.acquire(id(9), writes('a')), { kind: 'dies', by: id(5) })
  t.same(table.acquire(id(3), writes('a')), { kind: 'waits', by: [id(5)] })
  t.same(table.waits(), [{ transaction: id(3), by: [id(5)] }])
  t.same(table.acquire(id(4), writes('a')), { kind: 'dies', by: id(3) }, 'an older one waits')
  t.same(table.release(id(5)), { held: [id(3)], died: [] })
  t.ok(table.holds(id(3)))
})

t.test('who waits dies when an older one comes to hold its rows', async (t) => {
  const table = new LockTable()
  table.acquire(id(5), writes('a'))
  table.acquire(id(4), { readKeys: [], writeKeys: ['a', 'b'] })
  const outcome = table.acquire(id(2), writes('b'))
  t.same(outcome, { kind: 'held', others: { held: [], died: [id(4)] } })
  t.same(table.release(id(5)), { held: [], died: [] })
  t.equal(table.waiterCount, 0)
})

t.test('a plain write with a place is overtaken by older ones alone', async (t) => {
  const table = new LockTable()
  table.acquire(id(9), writes('a'))
  t.ok(table.keepPlace(id(5), writes('a')))
  t.same(table.waits(), [], 'it is no transaction')
  t.same(table.acquire(id(7), writes('a')), { kind: 'dies', by: id(5) }, 'nobody waits for it')
  t.same(table.acquire(id(3), writes('a')), { kind: 'waits', by: [id(9)] })
  t.same(table.release(id(9)), { held: [id(3)], died: [] })
  t.same(table.release(id(3)), { held: [], died: [] })
  t.same(table.blockersOf(writes('a')), [], 'it finds its rows free')
  t.same(table.acquire(id(7), writes('a')), { kind: 'dies', by: id(5) }, 'before its turn, too')
  table.release(id(5))
  t.equal(table.acquire(id(7), writes('a')).kind, 'held')
})

t.test('it asks for other rows when it looks again, and leaves the former ones', async (t) => {
  const table = new LockTable()
  table.acquire(id(9), writes('a', 'b'))
  table.keepPlace(id(5), writes('a'))
  table.keepPlace(id(5), writes('b'))
  t.equal(table.placeCount, 1)
  table.release(id(9))
  t.equal(table.acquire(id(7), writes('a')).kind, 'held')
  t.same(table.acquire(id(8), writes('b')), { kind: 'dies', by: id(5) })
})

t.test('a waiter that would wait for an older one alone dies', async (t) => {
  const table = new LockTable()
  table.acquire(id(8), writes('x'))
  table.acquire(id(9), writes('y'))
  t.equal(table.acquire(id(6), writes('y')).kind, 'waits')
  t.equal(table.acquire(id(2), writes('x', 'y')).kind, 'waits')
  t.same(table.release(id(9)), { held: [], died: [id(6)] }, 'the older one waits for x')
  t.same(table.release(id(8)), { held: [id(2)], died: [] })
})

t.test('as many have a place as may wait', async (t) => {
  const table = new LockTable(1)
  t.ok(table.keepPlace(id(1), writes('a')))
  t.notOk(table.keepPlace(id(2), writes('a')))
  table.acquire(id(9), writes('b'))
  t.equal(table.acquire(id(5), writes('b')).kind, 'waits', 'they are counted apart')
})

t.test('at most so many wait', async (t) => {
  const table = new LockTable(1)
  table.acquire(id(9), writes('a'))
  t.equal(table.acquire(id(5), writes('a')).kind, 'waits')
  t.equal(table.acquire(id(4), writes('a')).kind, 'full')
})

t.test('whoever is no transaction looks and holds nothing', async (t) => {
  const table = new LockTable()
  table.acquire(id(5), writes('a'))
  t.same(table.blockersOf(reads('a')), [id(5)])
  t.same(table.blockersOf(reads('b')), [])
  t.same(table.blockersOf(readAll), [id(5)])
  t.equal(table.holderCount, 1)
})

/** The same in the dumbest way: a list of who has what. */
class Twin {
  readonly held = new Map<TransactionId, Locks>()

  conflicts(a: Locks, b: Locks): boolean {
    const touches = ({ readKeys, writeKeys }: Locks) => readKeys.length + writeKeys.length > 0
    if (!touches(a) || !touches(b)) return false
    if (a.writeKeys === 'all' || b.writeKeys === 'all') return true
    const writesOf = (one: Locks) => one.writeKeys as readonly string[]
    const meets = (one: Locks, other: Locks) =>
      writesOf(one).some(
        (key) =>
          other.readKeys === 'all' || other.readKeys.includes(key) || other.writeKeys.includes(key)
      )
    return meets(a, b) || meets(b, a)
  }
}

t.test('random claims agree with a list of who has what', async (t) => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const claim = fc.record({
    readKeys: fc.oneof(
      { weight: 4, arbitrary: fc.uniqueArray(key, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.constant('all' as const) }
    ),
    writeKeys: fc.oneof(
      { weight: 6, arbitrary: fc.uniqueArray(key, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.constant('all' as const) }
    )
  })
  const step = fc.record({ age: fc.integer({ min: 1, max: 12 }), claim, releases: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new LockTable()
      const twin = new Twin()
      const waiting = new Map<TransactionId, Locks>()
      const settle = ({
        held,
        died
      }: {
        held: readonly TransactionId[]
        died: readonly TransactionId[]
      }) => {
        for (const one of held) {
          twin.held.set(one, waiting.get(one) as Locks)
          waiting.delete(one)
        }
        for (const one of died) waiting.delete(one)
      }
      for (const { age, claim, releases } of steps) {
        const transaction = id(age)
        if (releases || twin.held.has(transaction)) {
          twin.held.delete(transaction)
          waiting.delete(transaction)
          settle(table.release(transaction))
        } else {
          waiting.delete(transaction)
          const acquired = table.acquire(transaction, claim)
          if (acquired.kind === 'held') {
            twin.held.set(transaction, claim)
            settle(acquired.others)
          } else if (acquired.kind === 'waits') waiting.set(transaction, claim)
        }
        const held = [...twin.held]
        for (const [one, locks] of held) {
          for (const [other, others] of held) {
            if (one !== other && twin.conflicts(locks, others)) return false
          }
          if (!table.holds(one)) return false
        }
        for (const { transaction: waiter, by } of table.waits()) {
          if (!waiting.has(waiter) || by.some((holder) => compareAge(holder, waiter) < 0)) {
            return false
          }
        }
        if (table.waiterCount !== waiting.size || table.holderCount !== held.length) return false
      }
      return true
    }),
    { numRuns: 300 }
  )
  t.pass('300 runs')
})
