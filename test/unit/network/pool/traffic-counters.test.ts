import t from 'tap'
import { codeOf, DeliveryWorld } from '../../../support/delivery-world.js'
import { node } from '../../../support/transport-world.js'

t.test('what the transport counts is what the streams carried', async (t) => {
  const world = new DeliveryWorld()
  const a = await world.start('a')
  const b = await world.start('b')
  const of = (name: Parameters<typeof a.transport.counters.get>[0]) =>
    [a.transport.counters.get(name), b.transport.counters.get(name)] as const
  for (let i = 0; i < 20; i++) {
    t.equal(await world.outcome(a.send('b', i, { reliability: i % 2 ? 'none' : 'ordered' })), 'ok')
  }
  await world.clock.until(() => b.handled.length === 20)
  const [dialler, acceptor] = world.hub.newest
  t.same(of('bytes_sent'), [dialler.deliveredBytes, acceptor.deliveredBytes])
  t.same(of('bytes_received'), [acceptor.deliveredBytes, dialler.deliveredBytes])
  t.equal(of('messages_sent')[0], 20)
  t.equal(of('messages_received')[1], 20)
  t.equal(of('messages_sent')[1], b.delivery.counters.get('acks_sent'))
  t.equal(of('messages_received')[0], 10, 'one acknowledgement for each that wants one')
  t.same(of('active_connections'), [1, 1])
  t.same(of('connection_errors'), [0, 0])
  t.same(of('failed_sends'), [0, 0])
  t.equal(await codeOf(a.send('z', 1, { reliability: 'none' })), 'ERR_SKEIN_NOT_SENT')
  t.same(of('failed_sends'), [1, 0])
  dialler.break()
  await world.clock.until(() => !a.transport.isConnected(node('b')))
  t.same(of('connection_errors'), [1, 1])
  t.equal(of('active_connections')[0], 0)
})
