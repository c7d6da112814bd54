import t from 'tap'
import type { GroupId, LogIndex, MonotonicMs } from '../../../../src/core/ids.js'
import {
  departedMax,
  nodeSessionsMax,
  SessionTable,
  sessionRequestsMax,
  sessionSilenceMs
} from '../../../../src/failover/session/session-table.js'
import { b, id, seen } from './home-group.js'

const ms = (n: number) => n as MonotonicMs

const adopted = (n = 1, epoch = 1) => ({
  id: id(n),
  client: 'app',
  epoch,
  settings: [],
  prepared: [{ name: 'q', sql: 'SELECT 1' }],
  seen: [seen(5)],
  lastInsertRowid: null
})

const ran = (index: number, lastInsertRowid: bigint | null = null) => ({
  seen: [seen(index)],
  lastInsertRowid
})

function tableWith(...sessions: number[]) {
  const table = new SessionTable()
  for (const n of sessions) table.adopt(adopted(n), ms(0))
  return table
}

t.test('requests run at home, for the program whose session it is', async (t) => {
  const table = tableWith(1)
  t.match(table.enter(id(1), 'app', ms(1)), { kind: 'run', session: { epoch: 1 } })
  t.match(table.enter(id(1), 'other', ms(1)), { kind: 'foreign' })
  t.match(table.enter(id(2), 'app', ms(1)), { kind: 'absent' })
})

t.test('M-06 a move waits for the requests that are under way and holds the others', async (t) => {
  const table = tableWith(1)
  table.enter(id(1), 'app', ms(1))
  table.enter(id(1), 'app', ms(1))
  t.ok(table.beginMove(id(1)))
  t.notOk(table.beginMove(id(1)), 'once')
  t.match(table.enter(id(1), 'app', ms(1)), { kind: 'held' })
  t.notOk(table.leave(id(1), ran(9, 3n)))
  t.notOk(table.isAtSafePoint(id(1)))
  const other = { group: 1 as GroupId, index: 4 as LogIndex }
  t.ok(table.leave(id(1), { ...ran(7), seen: [seen(7), other] }))
  t.match(table.capture(id(1)), { epoch: 1, seen: [seen(9), other], lastInsertRowid: 3n })
  table.depart(id(1), b, 2)
  t.match(table.enter(id(1), 'app', ms(1)), { kind: 'moved', to: b, epoch: 2 })
})

t.test('a move that is given up lets it go on where it is', async (t) => {
  const table = tableWith(1)
  table.beginMove(id(1))
  table.enter(id(1), 'app', ms(1))
  table.endMove(id(1), 4)
  table.release(id(1))
  t.match(table.enter(id(1), 'app', ms(1)), { kind: 'run', session: { epoch: 4 } })
})

t.test('an older home, and an older end, do not displace a newer one', async (t) => {
  const table = tableWith(1)
  table.adopt(adopted(1, 5), ms(0))
  table.adopt(adopted(1, 3), ms(0))
  table.depart(id(1), b, 4)
  table.drop(id(1), 4)
  t.equal(table.of(id(1))?.epoch, 5)
  table.drop(id(1), 5)
  t.equal(table.of(id(1)), null)
})

t.test('what is seen at home never goes back, not by a newer epoch either', async (t) => {
  const table = tableWith(1)
  table.enter(id(1), 'app', ms(1))
  table.leave(id(1), ran(20))
  table.adopt(adopted(1, 2), ms(1))
  t.equal(table.of(id(1))?.seenIndexOf(seen(0).group), 20)
})

t.test(
  'what was heard of is told once, at a safe point; what was not told comes again',
  async (t) => {
    const table = tableWith(1, 2, 3)
    table.enter(id(1), 'app', ms(1))
    table.beginMove(id(2))
    const told = table.takeHeard(9)
    t.same(
      told.map(({ session }) => session),
      [id(3)]
    )
    t.same(table.takeHeard(9), [])
    table.returnHeard(told)
    t.equal(table.takeHeard(9).length, 1)
    table.leave(id(1), null)
    t.match(table.takeHeard(1), [{ session: id(1) }])
  }
)

t.test('the silent are found, unless something of them is under way', async (t) => {
  const table = tableWith(1, 2)
  table.enter(id(1), 'app', ms(0))
  t.same(table.silent(ms(sessionSilenceMs - 1), 9), [])
  t.match(table.silent(ms(sessionSilenceMs), 9), [{ session: id(2) }])
})

t.test('sessions, requests and memories are bounded', async (t) => {
  const table = tableWith(...Array.from({ length: nodeSessionsMax }, (_, n) => n))
  t.ok(table.isFull)
  for (let n = 0; n < sessionRequestsMax; n++) table.enter(id(1), 'app', ms(1))
  t.match(table.enter(id(1), 'app', ms(1)), { kind: 'full' })
  for (let n = 0; n < departedMax + 10; n++) table.depart(id(n), b, 2)
  t.equal(table.departed, departedMax)
  t.match(table.enter(id(0), 'app', ms(1)), { kind: 'absent' }, 'the first is forgotten')
  t.equal(table.size, 0)
})
