import t from 'tap'
import { silentLogger } from '../../../src/core/index.js'
import { UdpDatagramNetwork } from '../../../src/runtime/index.js'
import { datagramNetworkContract } from './datagram-network-contract.js'

datagramNetworkContract('UDP', () => ({
  network: new UdpDatagramNetwork({ logger: silentLogger }),
  address: () => '127.0.0.1:0'
}))

t.test('UDP: what is too large is counted and not sent', async (t) => {
  const network = new UdpDatagramNetwork({ logger: silentLogger })
  const socket = await network.bind('127.0.0.1:0', () => {})
  t.teardown(() => socket.close())
  socket.send('127.0.0.1:9', new Uint8Array(1401))
  t.match(network.counters.snapshot(), { datagrams_sent: 0, send_errors: 1 })
})
