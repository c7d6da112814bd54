import t from 'tap'
import {
  BackpressureError,
  NotLeaderError,
  Priorities,
  type TransportEvent
} from '../../../../src/core/index.js'
import type { TransportDriver } from '../../../../src/network/index.js'
import { controlMessages } from '../../../../src/network/mux/messages.js'
import { bytes, Catalogue, declareRequest } from '../../../../src/wire/index.js'
import {
  bulk,
  clusterIdOf,
  echo,
  node,
  note,
  TransportWorld
} from '../../../support/transport-world.js'

const answerPlusOne = (driver: TransportDriver) =>
  driver.onRequest(echo, async ({ body }) => ({ count: body.count + 1 }))

async function pair(options: Parameters<TransportWorld['start']>[1] = {}) {
  const world = new TransportWorld()
  const a = await world.start('a', options)
  const b = await world.start('b', options)
  answerPlusOne(a)
  answerPlusOne(b)
  return { world, a, b }
}

t.test('a request is answered, over one connection for both directions', async (t) => {
  const { world, a, b } = await pair()
  t.same(await world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(100))), {
    count: 2
  })
  t.same(await world.outcome(b.request(node('a'), echo, { count: 5 }, world.deadline(100))), {
    count: 6
  })
  t.equal(world.hub.ends.length, 2)
  t.ok(a.isConnected(node('b')) && b.isConnected(node('a')))
  t.same(world.changes.sort(), ['a has b', 'b has a'])
  t.equal(a.counters.get('active_connections'), 1)
})

t.test('messages to one node stay in order, and those sent while dialling arrive', async (t) => {
  const { world, a, b } = await pair()
  const seen: string[] = []
  b.onMessage(note, ({ from, body }) => seen.push(`${from} ${body.text}`))
  for (let i = 0; i < 50; i++) t.ok(a.send(node('b'), note, { text: `${i}` }))
  await world.clock.until(() => seen.length === 50)
  t.same(
    seen,
    Array.from({ length: 50 }, (_, i) => `a ${i}`)
  )
  t.ok(world.hub.newest[0].deliveredBytes > 0)
})

t.test('a message to oneself passes the codec and the same handlers, not at once', async (t) => {
  const { world, a } = await pair()
  const seen: unknown[] = []
  const sent = { text: 'self' }
  a.onMessage(note, ({ from, body }) => seen.push([from, body]))
  t.ok(a.send(node('a'), note, sent))
  t.equal(seen.length, 0)
  await world.clock.until(() => seen.length === 1)
  t.same(seen, [['a', { text: 'self' }]])
  t.not((seen[0] as unknown[])[1], sent)
  const answer = a.request(node('a'), echo, { count: 3 }, world.deadline(50))
  t.same(await world.outcome(answer), { count: 4 })
  t.equal(a.counters.get('active_connections'), 0)
})

t.test('traffic is told per node, the same from both ends', async (t) => {
  const { world, a, b } = await pair()
  t.equal(a.trafficOf(node('b')), null)
  const seen: number[] = []
  b.onMessage(note, ({ body }) => seen.push(body.text.length))
  for (let i = 0; i < 40; i++) t.ok(a.send(node('b'), note, { text: 'x'.repeat(125) }))
  await world.clock.until(() => seen.length === 40)
  const there = a.trafficOf(node('b'))
  t.ok(there !== null && there.bytesSent > 5_000 && there.bytesSent < 10_000, `${there?.bytesSent}`)
  t.equal(b.trafficOf(node('a'))?.bytesReceived, there?.bytesSent)
  t.equal(a.trafficOf(node('c')), null)
})

t.test('X-53 what a handler throws travels as its code and facts', async (t) => {
  const { world, a, b } = await pair()
  b.onRequest(echo, async () => {
    throw new NotLeaderError('not here', { leaderHint: node('c') })
  })
  const request = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  const error = await world.clock.settle(request.catch((thrown: unknown) => thrown))
  t.match(error, { code: 'ERR_SKEIN_NOT_LEADER', retryable: true, leaderHint: 'c' })
  b.onRequest(echo, () => {
    throw new Error('a defect')
  })
  const second = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  t.equal(await world.outcome(second), 'ERR_SKEIN_INTERNAL')
})

t.test(
  'a deadline ends the wait; the late answer is dropped and the handler is told',
  async (t) => {
    const { world, a, b } = await pair()
    await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(100)))
    let aborted = 0
    let answer: () => void = () => {}
    b.onRequest(echo, (inbound) => {
      inbound.signal.addEventListener('abort', () => aborted++)
      t.ok(inbound.deadline !== null && inbound.deadline > world.clock.now())
      return new Promise((resolve) => {
        answer = () => resolve({ count: 9 })
      })
    })
    const start = world.clock.now()
    const request = a.request(node('b'), echo, { count: 1 }, world.deadline(40))
    t.equal(await world.outcome(request), 'ERR_SKEIN_TIMEOUT')
    t.ok(world.clock.now() - start >= 40 && world.clock.now() - start <= 42)
    await world.clock.until(() => aborted === 1)
    answer()
    await world.clock.advance(10)
    t.equal(a.counters.get('late_answers'), 0)
    t.equal(a.counters.get('request_timeouts'), 1)
    t.ok(a.isConnected(node('b')))
  }
)

t.test('a caller can cancel, before and after the request left', async (t) => {
  const { world, a, b } = await pair()
  const unsent = new AbortController()
  const first = a.request(
    node('b'),
    echo,
    { count: 1 },
    { ...world.deadline(100), signal: unsent.signal }
  )
  unsent.abort()
  t.equal(await world.outcome(first), 'ERR_SKEIN_CANCELLED')
  let served = 0
  let aborted = 0
  b.onRequest(echo, (inbound) => {
    served++
    inbound.signal.addEventListener('abort', () => aborted++)
    return new Promise(() => {})
  })
  const sent = new AbortController()
  const second = a.request(
    node('b'),
    echo,
    { count: 1 },
    { ...world.deadline(1_000), signal: sent.signal }
  )
  await world.clock.until(() => served === 1)
  sent.abort()
  t.equal(await world.outcome(second), 'ERR_SKEIN_CANCELLED')
  await world.clock.until(() => aborted === 1)
  t.equal(served, 1, 'the cancelled first request never arrived')
  const before = AbortSignal.abort()
  const third = a.request(node('b'), echo, { count: 1 }, { ...world.deadline(100), signal: before })
  t.equal(await world.outcome(third), 'ERR_SKEIN_CANCELLED')
})

t.test('a node that cannot be reached: not sent, at once while the pause lasts', async (t) => {
  const { world, a } = await pair()
  const nowhere = a.request(node('zz'), echo, { count: 1 }, world.deadline(100))
  t.equal(await world.outcome(nowhere), 'ERR_SKEIN_NOT_SENT')
  world.hub.isUnreachable = true
  const queued = a.request(node('b'), echo, { count: 1 }, world.deadline(1_000))
  t.equal(await world.outcome(queued), 'ERR_SKEIN_NOT_SENT')
  const dials = a.counters.get('dials')
  const paused = a.request(node('b'), echo, { count: 1 }, world.deadline(1_000))
  t.equal(await world.outcome(paused), 'ERR_SKEIN_NOT_SENT')
  t.notOk(a.send(node('b'), note, { text: 'x' }))
  t.equal(a.counters.get('dials'), dials)
  await world.clock.advance(60)
  world.hub.isUnreachable = false
  await world.clock.advance(300)
  const later = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  t.same(await world.outcome(later), { count: 2 })
})

t.test('a lost connection is dialled again, with growing pauses', async (t) => {
  const { world, a } = await pair()
  await world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(100)))
  world.hub.newest[0].break()
  await world.clock.advance(0)
  t.notOk(a.isConnected(node('b')))
  await world.clock.until(() => a.isConnected(node('b')), 200)
  const dials = a.counters.get('dials')
  world.hub.isUnreachable = true
  world.hub.newest[0].break()
  for (let i = 0; i < 1_000; i++) {
    a.send(node('b'), note, { text: 'anybody there' })
    await world.clock.advance(10)
  }
  const tried = a.counters.get('dials') - dials
  t.ok(tried >= 5 && tried <= 12, `${tried} dials in 10 s`)
})

t.test('a silent peer is noticed by keep-alive, a quiet one is not cut', async (t) => {
  const { world, a } = await pair()
  await world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(100)))
  await world.clock.advance(60_000)
  t.ok(a.isConnected(node('b')))
  t.equal(world.hub.ends.length, 2)
  for (const end of world.hub.newest) end.isSilent = true
  const request = a.request(node('b'), echo, { count: 1 }, world.deadline(60_000))
  const since = world.clock.now()
  t.equal(await world.outcome(request), 'ERR_SKEIN_CONNECTION_LOST')
  t.ok(world.clock.now() - since <= 7_000)
})

t.test('S-03: simultaneous dials end in one connection and lose nothing', async (t) => {
  for (let skew = 0; skew <= 8; skew++) {
    const { world, a, b } = await pair()
    world.hub.latencyMs = 3
    const seen: string[] = []
    for (const driver of [a, b]) driver.onMessage(note, ({ body }) => seen.push(body.text))
    const outcomes: Promise<unknown>[] = []
    const talk = (driver: TransportDriver, to: string) => {
      for (let i = 0; i < 20; i++) {
        t.ok(driver.send(node(to), note, { text: `to ${to} ${i}` }))
        outcomes.push(driver.request(node(to), echo, { count: i }, world.deadline(1_000)))
      }
    }
    talk(a, 'b')
    await world.clock.advance(skew)
    talk(b, 'a')
    const answers = await world.outcome(Promise.all(outcomes))
    t.same(
      answers,
      [0, 1].flatMap(() => Array.from({ length: 20 }, (_, i) => ({ count: i + 1 }))),
      `skew ${skew}`
    )
    await world.clock.advance(200)
    t.equal(seen.length, 40, `skew ${skew}`)
    t.equal(new Set(seen).size, 40)
    t.equal(a.counters.get('active_connections'), 1)
    t.ok(a.isConnected(node('b')) && b.isConnected(node('a')))
    t.equal(a.counters.get('connection_errors') + b.counters.get('connection_errors') <= 1, true)
    t.same(
      world.changes.filter((change) => change.includes('lost')),
      []
    )
  }
})

t.test('a peer that restarted is believed; its old connection is closed', async (t) => {
  const { world, a, b } = await pair()
  await world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(100)))
  for (const end of world.hub.newest) end.isSilent = true
  const request = a.request(node('b'), echo, { count: 1 }, world.deadline(60_000))
  const pending = request.catch((error: { code: string }) => error.code)
  await world.clock.advance(2)
  const reborn = await world.start('b')
  answerPlusOne(reborn)
  const answer = reborn.request(node('a'), echo, { count: 7 }, world.deadline(100))
  t.same(await world.outcome(answer), { count: 8 })
  t.equal(await world.clock.settle(pending), 'ERR_SKEIN_CONNECTION_LOST')
  const onNew = a.request(node('b'), echo, { count: 2 }, world.deadline(100))
  t.same(await world.outcome(onNew), { count: 3 })
  t.ok(b.counters.get('connections_opened') > 0)
})

t.test('a full send queue says so, and what was taken arrives', async (t) => {
  const { world, a, b } = await pair({ config: { sendQueueLengthMax: 16 } })
  const seen: string[] = []
  b.onMessage(note, ({ body }) => seen.push(body.text))
  const taken = Array.from({ length: 30 }, (_, i) => a.send(node('b'), note, { text: `${i}` }))
  t.equal(taken.filter(Boolean).length, 16)
  const request = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  t.equal(await world.outcome(request), 'ERR_SKEIN_BACKPRESSURE')
  await world.clock.until(() => seen.length === 16)
  t.equal(a.counters.get('failed_sends'), 15)
})

t.test('requests beyond the served bound are answered with back-pressure', async (t) => {
  const { world, a, b } = await pair({ config: { requestsServedMax: 2 } })
  const answers: (() => void)[] = []
  b.onRequest(echo, ({ body }) => new Promise((resolve) => answers.push(() => resolve(body))))
  const requests = [1, 2, 3].map((count) =>
    a.request(node('b'), echo, { count }, world.deadline(1_000))
  )
  t.equal(await world.outcome(requests[2] as Promise<unknown>), new BackpressureError('').code)
  for (const answer of answers) answer()
  t.same(await world.outcome(Promise.all(requests.slice(0, 2))), [{ count: 1 }, { count: 2 }])
})

t.test('critical messages pass bulk that is queued, and bulk still arrives', async (t) => {
  const { world, a, b } = await pair()
  world.hub.watermarkBytes = 64 * 1024
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(100)))
  const order: string[] = []
  b.onMessage(bulk, ({ body }) => order.push(`bulk ${body.length}`))
  b.onMessage(note, ({ body }) => order.push(body.text))
  for (let i = 0; i < 8; i++) t.ok(a.send(node('b'), bulk, new Uint8Array(1_000_000 + i)))
  await world.clock.advance(4)
  a.send(node('b'), note, { text: 'urgent' }, { priority: Priorities.Critical })
  await world.clock.until(() => order.length === 9)
  t.equal(order[0], 'urgent')
  t.same(
    order.slice(1),
    Array.from({ length: 8 }, (_, i) => `bulk ${1_000_000 + i}`)
  )
})

t.test('a message above the bound is refused where it is sent', async (t) => {
  const { world, a } = await pair()
  t.throws(() => a.send(node('b'), bulk, new Uint8Array(1024 * 1024 + 1)), {
    code: 'ERR_SKEIN_MESSAGE_TOO_LARGE'
  })
  const next = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  t.same(await world.outcome(next), { count: 2 })
})

t.test('a type that the other side does not know is answered, not fatal', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a')
  const old = new Catalogue([...controlMessages, note])
  const b = await world.start('b', { catalogue: old })
  const seen: string[] = []
  b.onMessage(note, ({ body }) => seen.push(body.text))
  const request = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  t.equal(await world.outcome(request), 'ERR_SKEIN_UNKNOWN_MESSAGE')
  a.send(node('b'), bulk, new Uint8Array(5))
  a.send(node('b'), note, { text: 'still here' })
  await world.clock.until(() => b.counters.get('unknown_messages') === 2)
  t.same(seen, ['still here'])
})

t.test('a node that starts answers so, and not that it will never know the message', async (t) => {
  const world = new TransportWorld()
  const [a, b] = [await world.start('a'), await world.start('b')]
  const ask = () => world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(100)))
  b.setStarting(true)
  t.equal(await ask(), 'ERR_SKEIN_NOT_STARTED')
  b.setStarting(false)
  t.equal(await ask(), 'ERR_SKEIN_UNKNOWN_MESSAGE')
})

t.test('X-05 R-M18: equal and unknown cluster ids fit, different ones are refused', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { clusterId: clusterIdOf('1') })
  const b = await world.start('b')
  const c = await world.start('c', { clusterId: clusterIdOf('2') })
  const events: TransportEvent[] = []
  a.onEvent((event) => events.push(event))
  answerPlusOne(a)
  t.same(await world.outcome(b.request(node('a'), echo, { count: 1 }, world.deadline(100))), {
    count: 2
  })
  t.equal(world.learned.get('b'), clusterIdOf('1'))
  const refused = c.request(node('a'), echo, { count: 1 }, world.deadline(100))
  const error = await world.clock.settle(refused.catch((thrown: unknown) => thrown))
  t.match(error, {
    code: 'ERR_SKEIN_NOT_SENT',
    cause: { code: 'ERR_SKEIN_HANDSHAKE_REFUSED', details: { reason: 'clusterId' } }
  })
  t.match(events.at(-1), { type: 'PeerRefused', code: 'ERR_SKEIN_HANDSHAKE_REFUSED' })
  const seed = c.dialAddress(world.addressOf('a'), world.deadline(100).deadline)
  t.equal(await world.outcome(seed), 'ERR_SKEIN_HANDSHAKE_REFUSED')
  t.equal(a.counters.get('handshakes_refused'), 2)
})

t.test('a seed address tells who stands there, and one connection comes of it', async (t) => {
  const { world, a, b } = await pair()
  const dial = (name: string) =>
    world.outcome(a.dialAddress(world.addressOf(name), world.deadline(100).deadline))
  t.equal(await dial('b'), 'b')
  t.ok(a.isConnected(node('b')))
  t.equal(await dial('b'), 'b')
  t.equal(await dial('a'), 'a')
  t.equal(b.counters.get('active_connections'), 1)
  const nobody = a.dialAddress('127.0.0.1:1', world.deadline(100).deadline)
  t.equal(await world.outcome(nobody), 'ERR_SKEIN_DIAL_FAILED')
})

t.test('stop finishes what is under way and refuses what is new', async (t) => {
  const { world, a, b } = await pair()
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(100)))
  let answer: () => void = () => {}
  b.onRequest(
    echo,
    () =>
      new Promise((resolve) => {
        answer = () => resolve({ count: 42 })
      })
  )
  const underWay = a.request(node('b'), echo, { count: 1 }, world.deadline(3_000))
  await world.clock.advance(5)
  const stopped = b.stop()
  await world.clock.advance(20)
  t.notOk(a.isConnected(node('b')))
  const late = a.request(node('b'), echo, { count: 1 }, world.deadline(3_000))
  t.equal(await world.outcome(late), 'ERR_SKEIN_NOT_SENT')
  answer()
  t.same(await world.outcome(underWay), { count: 42 })
  await world.clock.settle(stopped)
  t.notOk(b.send(node('a'), note, { text: 'x' }))
  t.equal(
    await world.outcome(b.request(node('a'), echo, { count: 1 }, world.deadline(9))),
    'ERR_SKEIN_NOT_SENT'
  )
  await world.clock.settle(a.stop())
  t.equal(a.counters.get('active_connections'), 0)
})

t.test('a stop whose peer does not answer is over after five seconds', async (t) => {
  const { world, a } = await pair()
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(100)))
  for (const end of world.hub.newest) end.isSilent = true
  const begin = world.clock.now()
  await world.clock.settle(a.stop())
  t.ok(world.clock.now() - begin <= 5_000)
})

t.test('a node that only talks to itself still hears its timers', async (t) => {
  const { world, a } = await pair()
  let isOver = false
  let rounds = 0
  world.clock.schedule(world.deadline(5).deadline, () => {
    isOver = true
  })
  const talk = async () => {
    while (!isOver) {
      await a.request(node('a'), echo, { count: rounds++ }, world.deadline(1_000))
    }
  }
  await world.clock.settle(talk())
  t.ok(isOver && rounds > 10, `${rounds} rounds`)
})

t.test(
  '1,024 requests of 64 KiB at once: each is answered, however late answers leave',
  async (t) => {
    const big = declareRequest({
      number: 0xf004,
      name: 'BigEcho',
      priority: Priorities.Normal,
      body: bytes(64 * 1024),
      answer: bytes(64 * 1024),
      about: 'For tests.'
    })
    const world = new TransportWorld()
    const config = { sendQueueBytesMax: 1024 * 1024, reassemblyBytesMax: 2 * 1024 * 1024 }
    const options = { config, catalogue: new Catalogue([...controlMessages, big]) }
    const a = await world.start('a', options)
    const b = await world.start('b', options)
    const mostWaiting = () => {
      let most = 0
      b.tellQueues((name, length) => {
        if (name === 'answersWaitingMax') most = Math.max(most, length)
      })
      return most
    }
    const held: (() => void)[] = []
    b.onRequest(big, async ({ body }) => {
      await new Promise<void>((resolve) => held.push(resolve))
      return body
    })
    let answered = 0
    let refused = 0
    const ask = async (number: number): Promise<void> => {
      const body = new Uint8Array(64 * 1024).fill(number)
      for (;;) {
        try {
          const answer = await a.request(node('b'), big, body, world.deadline(60_000))
          t.ok(answer.length === body.length && answer[7] === body[7], `${number}`)
          answered++
          return
        } catch (error) {
          if (!(error instanceof BackpressureError)) throw error
          refused++
          await new Promise<void>((resolve) => {
            world.clock.schedule(world.deadline(5).deadline, resolve)
          })
        }
      }
    }
    const all = Promise.all(Array.from({ length: 1_024 }, (_, i) => ask(i)))
    await world.clock.until(() => held.length === 1_024)
    for (const answer of held) answer()
    await world.clock.advance(1)
    t.ok(mostWaiting() > 900, 'what has no room waits, not encoded')
    await world.clock.settle(all)
    t.equal(answered, 1_024)
    t.ok(refused > 0, 'the asker was told to wait')
    t.equal(b.counters.get('connections_opened'), 1, 'over one connection')
    t.equal(mostWaiting(), 0)
  }
)
