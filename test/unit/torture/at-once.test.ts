import t from 'tap'
import { SplittableRandom } from '../../../src/core/index.js'
import { families, familyOf, planWaves } from '../../torture/at-once.js'
import { type NemesisKind, nemesisKinds, strikeIntervalMs } from '../../torture/nemesis.js'

const plan = (seed: number, atOnce: number, kinds: readonly NemesisKind[] = nemesisKinds) =>
  planWaves(SplittableRandom.fromSeed(seed), kinds, { durationMs: 300_000, atOnce })

/** Strikes by the wave that they belong to. */
function wavesOf(strikes: ReturnType<typeof plan>) {
  const waves = new Map<number, typeof strikes>()
  for (const one of strikes) {
    const wave = Math.floor(one.atMs / strikeIntervalMs)
    waves.set(wave, [...(waves.get(wave) ?? []), one])
  }
  return [...waves.values()]
}

t.test(
  'J-02 a wave strikes with as many families as it was told, all of them at once',
  async (t) => {
    for (let seed = 0; seed < 20; seed++) {
      for (const wave of wavesOf(plan(seed, 3))) {
        t.equal(new Set(wave.map(({ kind }) => familyOf(kind))).size, 3)
        const lastBegins = Math.max(...wave.map(({ atMs }) => atMs))
        const firstEnds = Math.min(...wave.map(({ atMs, holdMs }) => atMs + holdMs))
        t.ok(lastBegins < firstEnds, 'none has ended when the last one begins')
      }
    }
  }
)

t.test('J-02 of a family each kind comes before any comes again, by the seed alone', async (t) => {
  t.same(plan(7, 3), plan(7, 3))
  t.notSame(plan(7, 3), plan(8, 3))
  const strikes = plan(1, families.length)
  t.equal(strikes.length, 60 * families.length)
  for (const family of families) {
    const ofFamily = nemesisKinds.filter((kind) => familyOf(kind) === family)
    const first = strikes.filter(({ kind }) => familyOf(kind) === family).slice(0, ofFamily.length)
    t.equal(new Set(first.map(({ kind }) => kind)).size, ofFamily.length, family)
  }
})

t.test('J-02 where fewer families can strike, fewer do', async (t) => {
  const [wave = []] = wavesOf(plan(1, 5, ['kill_all', 'pause_leader']))
  t.same(wave.map(({ kind }) => familyOf(kind)).sort(), ['kill', 'pause'])
})
