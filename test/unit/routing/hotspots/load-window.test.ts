import t from 'tap'
import { type MonotonicMs, SplittableRandom } from '../../../../src/core/index.js'
import { LoadWindow, windowParts } from '../../../../src/routing/hotspots/load-window.js'

const at = (ms: number) => ms as MonotonicMs
const windowMs = 60_000
const partMs = windowMs / windowParts

t.test('rates are those of a list of all times', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const begun = random.nextInt(100_000)
    const window = new LoadWindow({ windowMs, keysMax: 64 }, at(begun))
    const events: { at: number; key: string; isForLeader: boolean }[] = []
    let now = begun
    for (let i = 0; i < 400; i++) {
      now += random.nextInt(20) === 0 ? random.nextInt(90_000) : random.nextInt(400)
      const key = `k${random.nextInt(8)}`
      const isForLeader = random.nextInt(2) === 0
      window.record(key, isForLeader, at(now))
      events.push({ at: now, key, isForLeader })
      if (random.nextInt(10) !== 0) continue
      const part = Math.floor((now - begun) / partMs)
      const from = (parts: number) => begun + Math.max(0, part - parts + 1) * partMs
      const rate = (parts: number, isWanted: (event: (typeof events)[number]) => boolean) => {
        const counted = events.filter((event) => event.at >= from(parts) && isWanted(event))
        return (counted.length * 1_000) / Math.max(partMs, now - from(parts))
      }
      const load = window.load(at(now), 8)
      const close = (one: number, other: number) => Math.abs(one - other) < 1e-9
      t.ok(
        close(
          load.burstPerSecond,
          rate(2, () => true)
        ),
        `seed ${seed}: burst`
      )
      t.ok(
        close(
          load.windowPerSecond,
          rate(windowParts, () => true)
        ),
        `seed ${seed}: window`
      )
      t.ok(
        close(
          load.leaderPerSecond,
          rate(2, (event) => event.isForLeader)
        ),
        'leader'
      )
      for (const { key, burstPerSecond, windowPerSecond } of load.keys) {
        t.ok(
          close(
            burstPerSecond,
            rate(2, (event) => event.key === key)
          ),
          `burst of ${key}`
        )
        t.ok(
          close(
            windowPerSecond,
            rate(windowParts, (event) => event.key === key)
          ),
          key
        )
      }
    }
  }
})

t.test('the busiest keys come first, and no more than asked for', async (t) => {
  const window = new LoadWindow({ windowMs, keysMax: 64 }, at(0))
  for (let i = 0; i < 20; i++) for (let k = 0; k <= i; k++) window.record(`k${i}`, false, at(k))
  const { keys } = window.load(at(100), 3)
  t.same(
    keys.map(({ key }) => key),
    ['k19', 'k18', 'k17']
  )
  t.same(window.load(at(10 * windowMs), 3).keys, [], 'what is old is gone')
})
