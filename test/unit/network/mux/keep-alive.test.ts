import t from 'tap'
import { SplittableRandom } from '../../../../src/core/index.js'
import { KeepAlive } from '../../../../src/network/mux/keep-alive.js'
import { PendingRequests } from '../../../../src/network/mux/pending-requests.js'
import type { AnyDeclaration } from '../../../../src/wire/index.js'
import { at } from '../../../support/muxer-pair.js'

const limits = { keepAliveIntervalMs: 1_000, idleTimeoutMs: 5_000 }

t.test('quiet: pings at the interval, gone at the time-out', async (t) => {
  const keepAlive = new KeepAlive(limits, at(0))
  const told: [number, string][] = []
  for (let now = 0; now <= 6_000; now += 100) {
    const verdict = keepAlive.check(at(now))
    if (verdict !== 'fine') told.push([now, verdict])
    if (verdict === 'gone') break
  }
  t.same(told, [
    [1_000, 'ping'],
    [2_000, 'ping'],
    [3_000, 'ping'],
    [4_000, 'ping'],
    [5_000, 'gone']
  ])
})

t.test('traffic keeps it silent', async (t) => {
  const keepAlive = new KeepAlive(limits, at(0))
  for (let now = 0; now <= 60_000; now += 500) {
    keepAlive.handleReceived(at(now))
    t.equal(keepAlive.check(at(now)), 'fine')
  }
})

t.test('a process that was stopped itself asks before it gives up', async (t) => {
  const keepAlive = new KeepAlive(limits, at(0))
  t.equal(keepAlive.check(at(1_000)), 'ping')
  t.equal(keepAlive.check(at(60_000)), 'ping')
  t.equal(keepAlive.check(at(60_500)), 'fine')
  t.equal(keepAlive.check(at(61_000)), 'gone')
})

t.test('deadlines come due on time, like in a table that is searched each time', async (t) => {
  const random = SplittableRandom.fromSeed(5)
  const requests = new PendingRequests<null>(10_000)
  const twin = new Map<number, number>()
  const response = { name: 'none' } as AnyDeclaration
  let id = 0
  for (let now = 0; now < 3_000; now++) {
    for (let i = random.nextInt(4); i > 0; i--) {
      const deadline = now + 1 + random.nextInt(400)
      const request = { response, ticket: null, isSent: false, outgoing: null }
      requests.add({ id: ++id, deadline: at(deadline), ...request })
      twin.set(id, deadline)
    }
    if (random.nextInt(3) > 0 && id > 0) {
      const gone = 1 + random.nextInt(id)
      t.equal(requests.remove(gone), twin.delete(gone))
    }
    const next = Math.min(...twin.values())
    t.ok(requests.nextDeadline() <= Math.max(next, now) + 1 || t.fail(`late at ${now}`))
    const due = requests.takeDue(at(now)).map((request) => request.id)
    const late = [...twin].filter(([, deadline]) => deadline <= now - 1).map(([key]) => key)
    t.ok(late.every((key) => due.includes(key)) || t.fail(`forgotten at ${now}`))
    for (const key of due) {
      t.ok((twin.get(key) ?? Infinity) <= now || t.fail(`early at ${now}`))
      twin.delete(key)
    }
  }
})
