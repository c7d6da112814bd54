import { connect } from 'node:net'
import t from 'tap'
import { after, type PeerIdentity, silentLogger, toNodeId } from '../../../src/core/index.js'
import { nodeClock, PlainStreamNetwork } from '../../../src/runtime/index.js'
import { vacantAddress } from '../../support/vacant-port.js'
import { clusterName, nodePeer, streamNetworkContract } from './stream-network-contract.js'

const clock = nodeClock()

const networkOf = (self: PeerIdentity) =>
  new PlainStreamNetwork(
    { clock, logger: silentLogger },
    { self, handshakeTimeoutMs: 200, handshakesMax: 4 }
  )

streamNetworkContract('plain', async (t) => ({
  networkOf,
  address: () => '127.0.0.1:0',
  vacantAddress: () => vacantAddress(t),
  deadline: (ms) => after(clock.now(), ms)
}))

for (const [name, firstBytes, reason] of [
  ['silence', '', 'refused_timeout'],
  ['garbage', 'GET / HTTP/1.1\n', 'refused_protocol'],
  ['an endless line', 'x'.repeat(1000), 'refused_protocol'],
  ['another cluster', 'skein-insecure 1 spiffe://other/node/a\n', 'refused_identity']
] as const) {
  t.test(`plain: ${name} is refused and counted`, async (t) => {
    const network = networkOf(nodePeer('b'))
    const listener = await network.listen('127.0.0.1:0', () => t.fail('accepted'))
    t.teardown(() => listener.close())
    const socket = connect(Number(listener.address.split(':')[1]), '127.0.0.1')
    socket.on('error', () => socket.destroy())
    if (firstBytes !== '') socket.write(firstBytes)
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    // The dialler may learn of the end a turn before the listener does.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    t.equal(network.counters.get(reason), 1)
  })
}

t.test('plain: a node of another cluster is not dialled', async (t) => {
  const listener = await networkOf(nodePeer('b')).listen('127.0.0.1:0', () => {})
  t.teardown(() => listener.close())
  const stranger = networkOf({ kind: 'node', nodeId: toNodeId('a'), clusterName: 'other' })
  const options = { expectedNodeId: toNodeId('b'), deadline: after(clock.now(), 5_000) }
  await t.rejects(stranger.dial(listener.address, options))
  t.not(clusterName, 'other')
})
