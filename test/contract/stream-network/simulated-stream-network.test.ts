import type { MonotonicMs } from '../../../src/core/index.js'
import { runningNetworks } from '../../support/simulated-networks.js'
import { streamNetworkContract } from './stream-network-contract.js'

streamNetworkContract('simulated', async (t) => {
  const networks = runningNetworks(t)
  return {
    networkOf: networks.streamsOf,
    address: () => 'b:0',
    vacantAddress: async () => 'b:9',
    deadline: (ms) => (networks.now() + ms) as MonotonicMs
  }
})
