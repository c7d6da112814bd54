import t from 'tap'
import { type ErrorCode, errorCodes, RemoteError } from '../../../src/core/index.js'
import { openSerialsMax } from '../../../src/core/limits.js'
import { OwnClient } from '../../../src/core/own-client.js'
import { backoffMs, isWaiting, Outcomes, outcomeOf } from '../../../src/routing/retry-policy.js'

const thrown = (code: ErrorCode) => new RemoteError({ code, message: '', retryable: false })

t.test('only errors that say so count as certain', async (t) => {
  const certain = errorCodes.filter((code) => outcomeOf(thrown(code)) === Outcomes.NothingDone)
  t.same(certain, [
    'ERR_SKEIN_NOT_STARTED',
    'ERR_SKEIN_NOT_LEADER',
    'ERR_SKEIN_NO_LEADER',
    'ERR_SKEIN_NOT_SENT',
    'ERR_SKEIN_DIAL_FAILED',
    'ERR_SKEIN_UNKNOWN_NODE',
    'ERR_SKEIN_BACKPRESSURE',
    'ERR_SKEIN_OVERLOADED',
    'ERR_SKEIN_BUFFER_FULL',
    'ERR_SKEIN_STALE_ROUTE',
    'ERR_SKEIN_NO_ELIGIBLE_NODE',
    'ERR_SKEIN_NO_QUORUM',
    'ERR_SKEIN_DRAINING',
    'ERR_SKEIN_SESSION_MOVED',
    'ERR_SKEIN_SESSION_DETACHED',
    'ERR_SKEIN_LOCKED',
    'ERR_SKEIN_TOO_STALE',
    'ERR_SKEIN_TRANSACTION_ABORTED'
  ])
  for (const code of ['CONNECTION_LOST', 'TIMEOUT', 'INDETERMINATE', 'INTERNAL', 'STOPPED']) {
    t.equal(outcomeOf(thrown(`ERR_SKEIN_${code}` as ErrorCode)), Outcomes.Unknown, code)
  }
  t.equal(outcomeOf(new Error('anything else')), Outcomes.Unknown)
  for (const code of errorCodes) {
    if (isWaiting(thrown(code))) t.equal(outcomeOf(thrown(code)), Outcomes.NothingDone, code)
  }
})

t.test('pauses double up to the bound, with half of them left to chance', async (t) => {
  t.same(
    [1, 2, 3].map((n) => backoffMs(20, n, 1)),
    [20, 40, 80]
  )
  t.same(
    [1, 2, 3].map((n) => backoffMs(20, n, 0)),
    [10, 20, 40]
  )
  t.equal(backoffMs(20, 1_000, 1), 320)
  t.equal(backoffMs(20, 0, 1), 20)
})

t.test('serials rise once each; the low-water mark is the oldest open one', async (t) => {
  const client = new OwnClient('me' as OwnClient['clientId'])
  t.same([client.open(), client.open(), client.open()], [1, 2, 3])
  t.match(client.tag(2), { clientId: 'me', serial: 2, answeredBelow: 1 })
  client.close(2)
  t.match(client.tag(3), { answeredBelow: 1 })
  client.close(1)
  t.match(client.tag(3), { answeredBelow: 3 })
  client.close(3)
  t.equal(client.open(), 4)
  t.match(client.tag(4), { answeredBelow: 4 })
})

t.test('one slow write holds the others back before their answers are dropped', async (t) => {
  const client = new OwnClient('me' as OwnClient['clientId'])
  const slow = client.open() ?? 0
  for (let i = 1; i < openSerialsMax; i++) client.close(client.open() ?? 0)
  t.equal(client.open(), null)
  client.close(slow)
  t.equal(client.open(), openSerialsMax + 1)
})
