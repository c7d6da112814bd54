import t from 'tap'
import { BackpressureError, type NodeId, NotLeaderError } from '../../../../src/core/index.js'
import { deliveryMessages } from '../../../../src/network/delivery/messages.js'
import { controlMessages } from '../../../../src/network/mux/messages.js'
import { Catalogue } from '../../../../src/wire/index.js'
import {
  codeOf,
  DeliveryWorld,
  type Process,
  type ProcessOptions,
  parcel,
  question,
  reliabilities,
  unheard
} from '../../../support/delivery-world.js'

async function pair(options: ProcessOptions = {}) {
  const world = new DeliveryWorld()
  const a = await world.start('a', options)
  const b = await world.start('b', options)
  return { world, a, b }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

for (const reliability of reliabilities) {
  t.test(`${reliability}: a message resolves when it was handled, also to oneself`, async (t) => {
    const { world, a, b } = await pair()
    const seen: string[] = []
    b.before = async (number) => void seen.push(`handling ${number}`)
    t.equal(await world.outcome(a.send('b', 1, { reliability })), 'ok')
    t.same(seen, ['handling 1'])
    t.same(b.handled, [{ from: 'a', number: 1, skipped: 0 }])
    t.equal(await world.outcome(a.send('a', 2, { reliability })), 'ok')
    t.same(a.numbers, [2])
    t.equal(a.delivery.counters.get('acked_handled'), 2)
    t.equal(a.delivery.counters.get('retries'), 0)
    t.equal(b.delivery.counters.get('acks_sent'), 1)
  })

  t.test(
    `${reliability}: X-53 what the handler throws is told by its code, and once`,
    async (t) => {
      const { world, a, b } = await pair()
      b.before = (number) => {
        if (number === 1) throw new NotLeaderError('ask c', { leaderHint: 'c' as NodeId })
        if (number === 2) throw new Error('a bug')
      }
      const error = await world.clock.settle(a.send('b', 1, { reliability }).catch((e) => e))
      t.match(error, { code: 'ERR_SKEIN_NOT_LEADER', leaderHint: 'c', retryable: true })
      t.equal(await world.outcome(a.send('b', 2, { reliability })), 'ERR_SKEIN_INTERNAL')
      t.equal(await world.outcome(a.send('b', 3, { reliability })), 'ok')
      t.same(b.handled, [{ from: 'a', number: 3, skipped: 0 }])
      t.equal(b.delivery.counters.get('handler_failures'), 2)
    }
  )

  t.test(`${reliability}: a node that nobody can reach: not delivered, for certain`, async (t) => {
    const { world, a } = await pair()
    const nowhere = a.send('z', 1, { reliability, timeoutMs: 700 })
    const error = await world.clock.settle(nowhere.catch((e) => e))
    t.match(error, { code: 'ERR_SKEIN_UNDELIVERED', retryable: true, nodeId: 'z' })
    t.equal(world.clock.now(), 700)
  })

  t.test(`${reliability}: a node that comes up in time gets it`, async (t) => {
    const { world, a, b } = await pair()
    world.hub.isUnreachable = true
    const sent = a.send('b', 1, { reliability, timeoutMs: 5_000 })
    await world.clock.advance(1_500)
    world.hub.isUnreachable = false
    t.equal(await world.outcome(sent), 'ok')
    t.same(b.numbers, [1])
  })

  t.test(`${reliability}: no word before the deadline: it may have been handled`, async (t) => {
    const { world, a, b } = await pair()
    let release = () => {}
    b.before = () => new Promise<void>((resolve) => (release = resolve))
    const sent = a.send('b', 1, { reliability, timeoutMs: 3_000 })
    const error = await world.clock.settle(sent.catch((e) => e))
    t.match(error, { code: 'ERR_SKEIN_INDETERMINATE', retryable: false, nodeId: 'b' })
    t.match(error.details, { wasTaken: true, attempts: 2 }, 'told that it is here, it waits')
    release()
    await world.clock.advance(1_000)
    t.same(b.numbers, [1], 'and so it was')
    b.before = () => {}
    t.equal(await world.outcome(a.send('b', 2, { reliability })), 'ok', 'the next is as good')
    t.same(b.numbers, [1, 2])
  })

  t.test(`${reliability}: a receiver that stands still: three retries, then silence`, async (t) => {
    const { world, a, b } = await pair({ delivery: { retryBackoffMs: 100 } })
    t.equal(await world.outcome(a.send('b', 0, { reliability })), 'ok')
    for (const end of world.hub.ends) end.isPaused = true
    const sent = codeOf(a.send('b', 1, { reliability, timeoutMs: 4_000 }))
    await world.clock.advance(3_900)
    t.equal(a.delivery.counters.get('retries'), 3)
    for (const end of world.hub.ends) end.resume()
    t.equal(await world.clock.settle(sent), 'ok', 'its word still counts')
    t.same(b.numbers, [0, 1])
    t.equal(b.delivery.counters.get('duplicates') + settled(b), 3)
  })

  t.test(`${reliability}: a cancelled message says whether it may have been handled`, async (t) => {
    const { world, a, b } = await pair()
    world.hub.isUnreachable = true
    const early = new AbortController()
    const never = a.send('b', 1, { reliability, signal: early.signal }).catch((e) => e)
    await world.clock.advance(10)
    early.abort()
    t.match(await never, { code: 'ERR_SKEIN_CANCELLED', details: { mayHaveBeenHandled: false } })
    world.hub.isUnreachable = false
    await world.clock.advance(1_000)
    b.before = () => new Promise<void>(() => {})
    const late = new AbortController()
    const sent = a.send('b', 2, { reliability, signal: late.signal }).catch((e) => e)
    await world.clock.advance(1_000)
    late.abort()
    t.match(await sent, { code: 'ERR_SKEIN_CANCELLED', details: { mayHaveBeenHandled: true } })
    t.equal(
      codeOfAborted(
        await a.send('b', 3, { reliability, signal: AbortSignal.abort() }).catch((e) => e)
      ),
      'ERR_SKEIN_CANCELLED'
    )
  })

  t.test(`${reliability}: beyond the bound the caller is told at once`, async (t) => {
    const { world, a, b } = await pair({ delivery: { deliveriesMax: 16 } })
    b.before = () => new Promise<void>(() => {})
    const sent = upTo(20).map((i) => codeOf(a.send('b', i, { reliability, timeoutMs: 500 })))
    await world.clock.advance(1_000)
    const outcomes = await Promise.all(sent)
    t.same(outcomes.slice(16), Array(4).fill('ERR_SKEIN_BACKPRESSURE'))
    t.same(new Set(outcomes.slice(0, 16)), new Set(['ERR_SKEIN_INDETERMINATE']))
    t.equal(a.delivery.counters.get('backpressure_refusals'), 4)
    const large = { reliability, text: 'x'.repeat(60_000), timeoutMs: 500 }
    const bytes = await pair({ delivery: { deliveriesBytesMax: 100_000 } })
    bytes.b.before = () => new Promise<void>(() => {})
    const first = codeOf(bytes.a.send('b', 1, large))
    await t.rejects(bytes.a.send('b', 2, large), BackpressureError)
    t.equal(await bytes.world.clock.settle(first), 'ERR_SKEIN_INDETERMINATE')
  })

  t.test(`${reliability}: more than the window holds go through it in turn`, async (t) => {
    const { world, a, b } = await pair()
    const sent = upTo(3_000).map((i) => a.send('b', i, { reliability }))
    const lengths = new Map<string, number>()
    const note = (name: string, length: number, max: number) => {
      if (length > max) t.fail(`${name} ${length} of ${max}`)
      lengths.set(name, Math.max(length, lengths.get(name) ?? 0))
    }
    a.delivery.tellQueues(note)
    t.equal(await world.outcome(Promise.all(sent)), 'ok')
    b.delivery.tellQueues(note)
    t.equal(lengths.get('delivery.deliveriesMax'), 3_000)
    t.same(
      b.numbers.sort((x, y) => x - y),
      upTo(3_000)
    )
  })

  t.test(`${reliability}: nobody handles it, or nobody knows it`, async (t) => {
    const world = new DeliveryWorld()
    const a = await world.start('a')
    const b = await world.start('b')
    await world.start('old', {
      catalogue: new Catalogue([...controlMessages, ...deliveryMessages, parcel])
    })
    const message = { type: unheard, body: {} }
    for (const to of ['b', 'old'] as NodeId[]) {
      const sent = a.delivery.send(to, message, { reliability })
      t.equal(await world.outcome(sent), 'ERR_SKEIN_UNKNOWN_MESSAGE', to)
    }
    b.transport.setStarting(true)
    const early = a.delivery.send('b' as NodeId, message, { reliability })
    t.equal(await world.outcome(early), 'ERR_SKEIN_NOT_STARTED')
    const next = a.send('b', 1, { reliability })
    t.equal(await world.outcome(next), 'ok', 'those behind it are not held up')
  })

  t.test(
    `${reliability}: the receiver starts anew: what it may have seen is not repeated`,
    async (t) => {
      const { world, a, b } = await pair()
      b.before = () => new Promise<void>(() => {})
      const seen = upTo(3).map((i) => codeOf(a.send('b', i, { reliability, timeoutMs: 20_000 })))
      await world.clock.advance(50)
      b.kill()
      await world.clock.advance(10)
      const waiting = upTo(3).map((i) =>
        codeOf(a.send('b', 10 + i, { reliability, timeoutMs: 20_000 }))
      )
      const again = await world.start('b')
      await world.clock.advance(10_000)
      t.same(await Promise.all(seen), Array(3).fill('ERR_SKEIN_INDETERMINATE'))
      t.same(await Promise.all(waiting), ['ok', 'ok', 'ok'])
      t.same(
        again.handled,
        upTo(3).map((i) => ({ from: 'a', number: 10 + i, skipped: 0 }))
      )
    }
  )

  t.test(
    `${reliability}: the sender starts anew: its numbers are not those of the former`,
    async (t) => {
      const { world, a, b } = await pair()
      t.equal(
        await world.outcome(Promise.all(upTo(5).map((i) => a.send('b', i, { reliability })))),
        'ok'
      )
      a.kill()
      const again = await world.start('a')
      const sent = upTo(5).map((i) => again.send('b', 10 + i, { reliability }))
      t.equal(await world.outcome(Promise.all(sent)), 'ok')
      t.same(b.numbers, [0, 1, 2, 3, 4, 10, 11, 12, 13, 14])
    }
  )
}

t.test('ordered: one after the other, each when the one before is through', async (t) => {
  const { world, a, b } = await pair()
  let running = 0
  b.before = async () => {
    t.equal(++running, 1)
    await new Promise<void>((resolve) => {
      world.clock.schedule((world.clock.now() + 5) as typeof at, resolve)
    })
    running--
  }
  const at = world.clock.now()
  const sent = upTo(30).map((i) =>
    a.send('b', i, { reliability: 'ordered', priority: ((i * 7) % 4) as 0 | 1 | 2 | 3 })
  )
  t.equal(await world.outcome(Promise.all(sent)), 'ok')
  t.same(b.numbers, upTo(30), 'whatever their priority')
})

t.test('ordered: a message that is given up leaves a gap, and the next one says so', async (t) => {
  const { world, a, b } = await pair()
  t.equal(await world.outcome(a.send('b', 0, { reliability: 'ordered' })), 'ok')
  b.before = (number) => (number === 1 ? new Promise<void>(() => {}) : undefined)
  const stuck = codeOf(a.send('b', 1, { reliability: 'ordered', timeoutMs: 60_000 }))
  const short = codeOf(a.send('b', 2, { reliability: 'ordered', timeoutMs: 1_000 }))
  const long = codeOf(a.send('b', 3, { reliability: 'ordered', timeoutMs: 90_000 }))
  await world.clock.advance(2_000)
  t.equal(await short, 'ERR_SKEIN_INDETERMINATE')
  t.same(b.numbers, [0], 'the first still runs')
  await world.clock.advance(60_000)
  t.equal(await stuck, 'ERR_SKEIN_INDETERMINATE')
  t.same(b.numbers, [0], 'a handler without an end holds its lane')
  t.equal(await world.clock.settle(long), 'ERR_SKEIN_INDETERMINATE')
})

t.test('ordered: how many never came is said once; what was refused is no gap', async (t) => {
  const { world, a, b } = await pair()
  const ordered = (number: number, timeoutMs = 60_000) =>
    codeOf(a.send('b', number, { reliability: 'ordered', timeoutMs }))
  t.equal(await world.clock.settle(ordered(0)), 'ok')
  let end = () => {}
  b.before = (n) => (n === 1 ? new Promise<void>((resolve) => (end = resolve)) : undefined)
  const first = ordered(1)
  await world.clock.until(() => b.delivery.counters.get('acked_received') === 2)
  // While no connection can be had, those with little time come to their end.
  world.hub.isUnreachable = true
  world.hub.newest[0].break()
  await world.clock.until(() => !a.transport.isConnected('b' as NodeId))
  const lost = [ordered(2, 1_000), ordered(3, 1_000), ordered(4, 1_000)]
  const options = { reliability: 'ordered', timeoutMs: 60_000 } as const
  const unknown = codeOf(a.delivery.send('b' as NodeId, { type: unheard, body: {} }, options))
  const later = [ordered(5), ordered(6)]
  t.same(await world.clock.settle(Promise.all(lost)), Array(3).fill('ERR_SKEIN_UNDELIVERED'))
  world.hub.isUnreachable = false
  t.equal(await world.clock.settle(unknown), 'ERR_SKEIN_UNKNOWN_MESSAGE')
  end()
  t.same(await world.clock.settle(Promise.all([first, ...later])), ['ok', 'ok', 'ok'])
  const told = b.handled.map(({ number, skipped }) => [number, skipped])
  t.same(told, [
    [0, 0],
    [1, 0],
    [5, 3],
    [6, 0]
  ])
  t.ok(a.delivery.counters.get('gaps_told') >= 1)
})

t.test('none: queued or not, and nothing more is promised', async (t) => {
  const { world, a, b } = await pair()
  t.equal(await world.outcome(a.send('b', 1, { reliability: 'none' })), 'ok')
  await world.clock.until(() => b.handled.length === 1)
  t.equal(await codeOf(a.send('z', 1, { reliability: 'none' })), 'ERR_SKEIN_NOT_SENT')
  b.before = () => Promise.reject(new Error('nobody hears it'))
  t.equal(await world.outcome(a.send('b', 2, { reliability: 'none' })), 'ok')
  await world.clock.until(() => b.delivery.counters.get('handler_failures') === 1)
})

t.test('a request that left and has no answer is no time-out', async (t) => {
  const { world, a, b } = await pair()
  b.delivery.onRequest(question, async ({ body }) => {
    if (body.number === 2) await new Promise<void>(() => {})
    return { number: body.number + 1 }
  })
  const ask = (to: string, number: number) =>
    a.delivery.request(to as NodeId, { type: question, body: { number } }, { timeoutMs: 300 })
  t.same(await world.clock.settle(ask('b', 1)), { number: 2 })
  t.equal(await world.outcome(ask('b', 2)), 'ERR_SKEIN_INDETERMINATE')
  t.equal(await world.outcome(ask('z', 1)), 'ERR_SKEIN_NOT_SENT')
})

t.test('the body is what it was when it was sent, and a wrong one is refused', async (t) => {
  const { world, a, b } = await pair()
  const body = { number: 1, text: 'as it was' }
  const sent = a.delivery.send('b' as NodeId, { type: parcel, body })
  body.number = 2
  t.equal(await world.outcome(sent), 'ok')
  t.same(b.numbers, [1])
  const send = (wrong: unknown, options = {}) =>
    codeOf(a.delivery.send('b' as NodeId, { type: parcel, body: wrong as typeof body }, options))
  t.equal(await send({ number: -1, text: '' }), 'ERR_SKEIN_INVALID_ARGUMENT')
  t.equal(await send({}), 'ERR_SKEIN_INVALID_ARGUMENT')
  t.equal(await send(body, { timeoutMs: 600_001 }), 'ERR_SKEIN_INVALID_ARGUMENT')
  const request = a.delivery.send('b' as NodeId, { type: question, body: { number: 1 } })
  t.equal(await codeOf(request), 'ERR_SKEIN_INVALID_ARGUMENT')
})

t.test('who stops tells everybody that waits', async (t) => {
  const { world, a, b } = await pair()
  b.before = () => new Promise<void>(() => {})
  const seen = codeOf(a.send('b', 1))
  const unseen = codeOf(a.send('z', 2))
  await world.clock.advance(20)
  a.delivery.stop()
  t.same(await Promise.all([seen, unseen]), ['ERR_SKEIN_INDETERMINATE', 'ERR_SKEIN_UNDELIVERED'])
  t.equal(await codeOf(a.send('c', 3)), 'ERR_SKEIN_BACKPRESSURE')
})

const settled = (process: Process) => process.delivery.counters.get('settled_arrivals')
const codeOfAborted = (error: { code?: string }) => error.code
