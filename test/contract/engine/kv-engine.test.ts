import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { KvEngine } from '../../../src/simulation/kv-engine.js'
import { SimulatedDisk } from '../../../src/simulation/simulated-disk.js'
import { VirtualClock } from '../../support/virtual-clock.js'
import { engineContract } from './engine-contract.js'

engineContract({
  name: 'key-value engine',
  async make() {
    const clock = new VirtualClock()
    const disk = new SimulatedDisk({ clock, random: SplittableRandom.fromSeed(1) }).mount()
    return { create: () => new KvEngine({ clock, disk }) }
  },
  schema: [],
  set: (key, value) => ({ sql: `set ${key} ${value}` }),
  get: (key) => ({ sql: `get ${key}` }),
  failing: { sql: 'expect nothing something' },
  valueIn: ({ rows }) => (rows[0]?.[0] as string | undefined) ?? null
})
