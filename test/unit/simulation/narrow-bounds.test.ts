import t from 'tap'
import { resolveConfig } from '../../../src/core/config/resolve.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import {
  type DrawnBounds,
  drawBounds,
  type NarrowBound,
  narrowBounds,
  narrowConfigOf
} from '../../../src/simulation/narrow-bounds.js'

const seeds = 400

const given = {
  node: { id: 'a', dataDirectory: '/a' },
  cluster: { seeds: ['b:1'] },
  security: { insecure: true }
}
const resolved = (drawn: DrawnBounds) =>
  resolveConfig({ preset: 'local', code: { ...given, ...narrowConfigOf(drawn) } })

const drawnBySeed = Array.from({ length: seeds }, (_, seed) =>
  drawBounds(SplittableRandom.fromSeed(seed))
)

t.test('D-13 some seeds have narrow bounds, each of them some', async (t) => {
  const narrow = drawnBySeed.filter((drawn) => Object.keys(drawn).length > 0)
  t.ok(narrow.length > seeds / 4 && narrow.length < seeds / 2, `${narrow.length} of ${seeds}`)
  const seen = new Set(narrow.flatMap((drawn) => Object.keys(drawn)))
  t.strictSame([...seen].sort(), [...narrowBounds].sort(), 'every bound in some seed')
})

t.test('D-13 every value is a valid configuration, and below that of production', async (t) => {
  const { consensus, membership, routing, transport } = resolved({})
  const production = { ...consensus, ...membership, ...routing, ...transport }
  for (const drawn of drawnBySeed) {
    resolved(drawn)
    for (const [name, value] of Object.entries(drawn)) {
      const sections = Object.values(narrowConfigOf({ [name as NarrowBound]: value }))
      const [field] = Object.keys(Object.assign({}, ...sections))
      t.ok(value < Number(production[field as keyof typeof production]), `${name} ${value}`)
    }
  }
})
