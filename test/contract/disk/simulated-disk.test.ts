import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { SimulatedDisk } from '../../../src/simulation/simulated-disk.js'
import { VirtualClock } from '../../support/virtual-clock.js'
import { diskContract } from './disk-contract.js'

diskContract('simulated disk', async () => {
  const components = { clock: new VirtualClock(), random: SplittableRandom.fromSeed(1) }
  return new SimulatedDisk(components).mount()
})
