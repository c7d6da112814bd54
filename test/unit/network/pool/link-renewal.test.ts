import t from 'tap'
import { peerNameOf, type WallMs } from '../../../../src/core/index.js'
import { clusterIdOf, echo, node, TransportWorld } from '../../../support/transport-world.js'

t.test('X-50 connections are replaced by age while requests go on: none is lost', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { linkAgeMaxMs: 10_000 })
  const b = await world.start('b', { linkAgeMaxMs: 10_000 })
  let served = 0
  for (const driver of [a, b]) {
    driver.onRequest(echo, async ({ body }) => {
      served++
      // Longer than it takes to open another connection: answers come on the old one.
      await new Promise<void>((resolve) => {
        world.clock.schedule(
          (world.clock.now() + 40) as ReturnType<typeof world.clock.now>,
          resolve
        )
      })
      return body
    })
  }
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(5_000)))
  const asked: Promise<{ count: number }>[] = []
  for (let at = 0; at < 60_000; at += 10) {
    asked.push(a.request(node('b'), echo, { count: at }, world.deadline(5_000)))
    asked.push(b.request(node('a'), echo, { count: at }, world.deadline(5_000)))
    await world.clock.advance(10)
  }
  const settled = await world.clock.settle(Promise.allSettled(asked))
  t.same(
    settled.filter(({ status }) => status === 'rejected'),
    [],
    `${asked.length} requests`
  )
  t.equal(served, asked.length + 1, 'each was served once')
  const renewed = a.counters.get('connections_renewed')
  t.ok(renewed >= 5 && renewed <= 8, `${renewed} in a minute, at an age of 7.5 to 10 s`)
  t.equal(b.counters.get('connections_renewed'), renewed)
  t.same([...world.changes].sort(), ['a has b', 'b has a'], 'nobody was ever out of reach')
  await world.clock.advance(5_000)
  t.equal(world.hub.ends.length, 2 * (a.counters.get('dials') + b.counters.get('dials')))
})

t.test('X-50 the old connection goes before the new one is open at its acceptor', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { linkAgeMaxMs: 10_000 })
  const b = await world.start('b')
  b.onRequest(echo, async ({ body }) => body)
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(5_000)))
  while ((world.hub.ends[2]?.deliveredBytes ?? 0) === 0) await world.clock.advance(1)
  // Hello has come; what opens the connection at the acceptor is late.
  const renewing = world.hub.ends[2]
  if (renewing !== undefined) renewing.isPaused = true
  await world.clock.advance(10)
  t.equal(a.counters.get('connections_renewed'), 1)
  t.equal(b.counters.get('connections_renewed'), 0)
  const asked = a.request(node('b'), echo, { count: 1 }, world.deadline(5_000))
  await world.clock.advance(10)
  renewing?.resume()
  t.same(await world.outcome(asked), { count: 1 })
  t.equal(b.counters.get('connections_renewed'), 1, 'both ends say so')
  await world.clock.advance(100)
  const open = world.hub.ends.length - 2
  t.equal(open, 2, 'one connection was opened in the place of one')
  t.same([...world.changes].sort(), ['a has b', 'b has a'])
})

t.test('a peer that cannot be dialled anew keeps its old connection', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { linkAgeMaxMs: 10_000 })
  const b = await world.start('b')
  b.onRequest(echo, async ({ body }) => body)
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(5_000)))
  world.hub.isUnreachable = true
  await world.clock.advance(60_000)
  t.ok(a.counters.get('dial_failures') >= 4, 'tried again and again')
  t.equal(a.counters.get('connections_renewed'), 0)
  t.same(await world.outcome(a.request(node('b'), echo, { count: 1 }, world.deadline(5_000))), {
    count: 1
  })
  t.same([...world.changes].sort(), ['a has b', 'b has a'])
})

t.test('an acceptor whose dialler does not renew retires the connection itself', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a')
  const b = await world.start('b', { linkAgeMaxMs: 10_000 })
  b.onRequest(echo, async ({ body }) => body)
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(5_000)))
  const asked: Promise<unknown>[] = []
  for (let at = 0; at < 30_000; at += 10) {
    asked.push(a.request(node('b'), echo, { count: at }, world.deadline(5_000)))
    await world.clock.advance(10)
  }
  const settled = await world.clock.settle(Promise.allSettled(asked))
  t.same(
    settled.filter(({ status }) => status === 'rejected'),
    []
  )
  t.ok(a.counters.get('dials') >= 3, `${a.counters.get('dials')} dials`)
})

t.test('X-11 a cut ends the open connection at once, and requests under way with it', async (t) => {
  const world = new TransportWorld()
  const certificate = { serialNumber: '2a', notBefore: 0 as WallMs, notAfter: 9e15 as WallMs }
  const b = { kind: 'node', nodeId: node('b'), clusterName: 'test' } as const
  world.hub.certificates.set(peerNameOf(b), certificate)
  const a = await world.start('a')
  const far = await world.start('b')
  const other = await world.start('c')
  for (const driver of [far, other]) driver.onRequest(echo, () => new Promise(() => {}))
  const toB = a.request(node('b'), echo, { count: 1 }, world.deadline(5_000))
  const toC = a.request(node('c'), echo, { count: 1 }, world.deadline(500))
  await world.clock.advance(100)
  const cuts = a.cut((_, { serialNumber }) => (serialNumber === '2a' ? 'is revoked' : null))
  t.match(cuts, [{ peer: b, certificate, reason: 'is revoked' }])
  t.equal(await world.outcome(toB), 'ERR_SKEIN_CONNECTION_LOST')
  t.equal(a.isConnected(node('b')), false)
  t.equal(a.isConnected(node('c')), true, 'another peer is not touched')
  t.equal(await world.outcome(toC), 'ERR_SKEIN_TIMEOUT')
  t.equal(a.counters.get('connections_cut'), 1)
})

for (const sameIdentity of ['newest', 'oldest'] as const) {
  t.test(`X-13 two processes of one name: the ${sameIdentity} is kept, and told`, async (t) => {
    const world = new TransportWorld()
    const a = await world.start('a', { sameIdentity, clusterId: clusterIdOf('1') })
    const events: object[] = []
    a.onEvent((event) => events.push(event))
    const first = world.create('b')
    const second = world.create('b')
    const reach = (driver: typeof first) =>
      world.outcome(
        driver.request(
          node('a'),
          echo,
          { count: 1 },
          {
            ...world.deadline(300),
            address: world.addressOf('a')
          }
        )
      )
    a.onRequest(echo, async ({ body }) => body)
    t.same(await reach(first), { count: 1 })
    const outcome = await reach(second)
    if (sameIdentity === 'newest') t.same(outcome, { count: 1 })
    else t.match(outcome, /ERR_SKEIN_(CONNECTION_LOST|NOT_SENT)/)
    await world.clock.advance(10)
    t.equal(first.isConnected(node('a')), sameIdentity === 'oldest')
    t.match(events, [
      { type: 'PeerConnected' },
      { type: 'DuplicateIdentity', nodeId: 'b', kept: sameIdentity }
    ])
    t.equal(a.counters.get('duplicate_identities'), 1)
  })
}
