import t from 'tap'
import { SkeinClient } from '../../lib/client.js'
import { ClusterNetworkManager } from '../../lib/index.js'
import { nodeCompression, nodeCrypto } from '../../src/runtime/index.js'
import { simulate } from '../../src/simulation/simulation.js'
import { type SwarmOptions, troubles, withoutTroubles } from '../../src/simulation/swarm-options.js'
import { looksAtAll } from '../support/thoroughness.js'

const seeds = looksAtAll ? [41, 42, 43, 44] : [42]

/** Nothing else strikes; one is hardly over when the next begins. */
const onlySwizzle = (drawn: SwarmOptions): SwarmOptions => ({
  ...withoutTroubles(
    drawn,
    troubles.filter((trouble) => trouble !== 'mail')
  ),
  calmMs: 2_000,
  swizzle: { meanIntervalMs: 1_500, lengthMsMin: 300, lengthMsMax: 2_500 }
})

t.test('D-04 nodes are clogged one by one, freed in another order: safe, then alive', async (t) => {
  let cuts = 0
  let acknowledged = 0
  for (const seed of seeds) {
    const result = await simulate(
      seed,
      { nodes: 5, seconds: 10 },
      {
        create: (init) => ClusterNetworkManager.create(init),
        connect: (init) => SkeinClient.connect(init),
        crypto: nodeCrypto(),
        compression: nodeCompression(),
        swarm: onlySwizzle
      }
    )
    t.strictSame(result.violations, [], `seed ${seed}`)
    t.ok(result.healedInMs !== null, `seed ${seed} answers everything when it is freed`)
    const { swizzle, ...others } = result.faults
    t.same(
      Object.values(others).filter((count) => count > 0),
      [],
      'nothing else strikes'
    )
    cuts += swizzle
    acknowledged += result.operations.ok
  }
  t.ok(cuts > 100 * seeds.length, `${cuts} messages met a clogged link`)
  t.ok(acknowledged > 50 * seeds.length, `${acknowledged} operations`)
})
