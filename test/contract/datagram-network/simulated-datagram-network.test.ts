import { runningNetworks } from '../../support/simulated-networks.js'
import { datagramNetworkContract } from './datagram-network-contract.js'

datagramNetworkContract('simulated', (t) => {
  let port = 1
  return { network: runningNetworks(t).datagrams(), address: () => `any:${port++}` }
})
