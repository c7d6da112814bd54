import t from 'tap'
import { SplittableRandom, type WallMs } from '../../../src/core/index.js'
import { HybridClock, hybridToWall } from '../../../src/wire/index.js'

const wall = (ms: number) => ms as WallMs

t.test('it rises although the wall clock stands still or falls back', async (t) => {
  const clock = new HybridClock(500)
  const first = clock.tick(wall(1_000))
  const second = clock.tick(wall(1_000))
  const third = clock.tick(wall(400))
  t.ok(second > first)
  t.ok(third > second)
  t.equal(hybridToWall(third), 1_000)
  t.equal(hybridToWall(clock.tick(wall(1_001))), 1_001)
})

t.test('it passes what it heard, unless that lies too far ahead', async (t) => {
  const here = new HybridClock(500)
  const there = new HybridClock(500)
  const heard = there.tick(wall(1_500))
  t.ok(here.observe(heard, wall(1_000)))
  t.ok(here.tick(wall(1_000)) > heard)
  const absurd = there.tick(wall(9_000))
  t.notOk(here.observe(absurd, wall(1_000)))
  t.equal(here.rejected, 1)
  t.ok(here.tick(wall(1_000)) < absurd)
})

t.test('a message always bears a later time than what its sender had seen', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  const clocks = [new HybridClock(500), new HybridClock(500), new HybridClock(500)]
  const seen = clocks.map(() => 0)
  for (let step = 0; step < 2_000; step++) {
    const from = random.nextInt(3)
    const to = random.nextInt(3)
    const now = 10_000 + step + random.nextInt(100)
    const time = clocks[from]?.tick(wall(now)) ?? 0
    t.ok(time > (seen[from] ?? 0) || t.fail('time fell back'))
    seen[from] = time
    if (clocks[to]?.observe(time, wall(now))) seen[to] = Math.max(seen[to] ?? 0, time)
  }
})
