import t from 'tap'
import { type KeyRingChange, keyRingSection } from '../../../../src/control/sections/key-ring.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { SectionRun } from './run-section.js'

const ring = (version: number, writer: string, ...keys: string[]): KeyRingChange => ({
  version,
  writer,
  primary: keys[0] ?? '',
  keys
})
const key = '0badcafe'

t.test('the higher version counts, then the greater name of its writer', async (t) => {
  const run = new SectionRun(keyRingSection)
  t.same(run.apply(ring(2, 'b', key)), { refusal: null })
  t.same(run.apply(ring(1, 'z', key)), { refusal: 'older' })
  t.same(run.apply(ring(2, 'a', key)), { refusal: 'older' })
  t.same(run.apply(ring(2, 'b', key)), { refusal: 'older' }, 'the same again changes nothing')
  t.same(run.apply(ring(2, 'c', key, '00000001')), { refusal: null })
  t.match(run.state.ring, { version: 2, writer: 'c', primary: key, keys: [key, '00000001'] })
})

t.test('what is no ring is refused', async (t) => {
  const run = new SectionRun(keyRingSection)
  for (const bad of [
    ring(9, 'a'),
    ring(9, 'a', 'BADCAFE0'),
    ring(9, 'a', key, key),
    { ...ring(9, 'a', key), primary: '00000001' }
  ]) {
    t.same(run.apply(bad), { refusal: 'malformed' })
  }
  t.equal(run.state.ring, null)
})

t.test('in whatever order rings come, the same one is kept', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  for (let round = 0; round < 200; round++) {
    const run = new SectionRun(keyRingSection)
    const rings = Array.from({ length: 12 }, () =>
      ring(1 + random.nextInt(4), `w${random.nextInt(4)}`, key)
    )
    for (const one of rings) run.apply(one)
    const best = rings
      .map(({ version, writer }) => `${version} ${writer}`)
      .sort()
      .at(-1)
    const kept = `${run.state.ring?.version} ${run.state.ring?.writer}`
    if (kept !== best) t.fail(`round ${round}: ${kept}, ${best}`)
  }
  t.pass('200 rounds')
})
