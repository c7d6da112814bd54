import t from 'tap'
import {
  DialFailedError,
  type MonotonicMs,
  SplittableRandom,
  silentLogger
} from '../../../../src/core/index.js'
import { Seeds } from '../../../../src/network/membership/seeds-driver.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

/** Seeds that answer or do not, and members that come and go. */
class Setting {
  readonly clock = new VirtualClock()
  readonly answering = new Set<string>()
  readonly members = new Set<string>()
  readonly asked: { seed: string; at: number }[] = []
  readonly seeds: Seeds

  constructor(t: { teardown(handler: () => unknown): void }) {
    this.seeds = new Seeds(
      {
        clock: this.clock,
        random: SplittableRandom.fromSeed(3),
        logger: silentLogger,
        contact: async (seed) => {
          this.asked.push({ seed, at: this.clock.now() })
          if (!this.answering.has(seed)) throw new DialFailedError('nobody there')
          this.members.add(seed)
          return true
        },
        isIsolated: () => this.members.size === 0,
        isMemberAt: (address) => this.members.has(address)
      },
      { ownAddress: 'me:1', pushPullIntervalMs: 30_000 }
    )
    t.teardown(() => this.seeds.stop())
  }

  join(seeds: readonly string[], withinMs: number): Promise<number> {
    const deadline = (this.clock.now() + withinMs) as MonotonicMs
    return this.clock.settle(this.seeds.join(seeds, deadline))
  }
}

t.test('a join asks all seeds at once, again and again, more and more seldom', async (t) => {
  const setting = new Setting(t)
  setting.clock.schedule(4_000 as MonotonicMs, () => setting.answering.add('b:1'))
  t.equal(await setting.join(['a:1', 'b:1', 'me:1', 'a:1'], 20_000), 1)
  t.notOk(setting.asked.some(({ seed }) => seed === 'me:1'))
  const times = setting.asked.filter(({ seed }) => seed === 'a:1').map(({ at }) => at)
  t.ok(times.length >= 4 && times.length <= 8, `${times.length} attempts`)
  t.ok((times.at(-1) as number) - (times.at(-2) as number) > (times[1] as number))
})

t.test('S-14: who sees nobody goes on asking after a failed join', async (t) => {
  const setting = new Setting(t)
  await t.rejects(setting.join(['a:1', 'b:1'], 1_000), {
    code: 'ERR_SKEIN_JOIN_FAILED',
    details: { seeds: [/^a:1: nobody there/, /^b:1: /] }
  })
  await setting.clock.advance(300_000)
  const before = setting.asked.length
  t.ok(before > 10 && before < 100, `${before} attempts in five minutes`)
  setting.answering.add('b:1')
  await setting.clock.advance(31_000)
  t.ok(setting.members.has('b:1'), 'found within one interval')
})

t.test('S-14: a seed that is nobody is asked within each interval, a member never', async (t) => {
  const setting = new Setting(t)
  setting.answering.add('a:1')
  t.equal(await setting.join(['a:1', 'b:1'], 1_000), 1)
  setting.asked.length = 0
  await setting.clock.advance(300_000)
  t.ok(setting.asked.length >= 9 && setting.asked.length <= 21, `${setting.asked.length}`)
  t.ok(setting.asked.every(({ seed }) => seed === 'b:1'))
  setting.answering.add('b:1')
  await setting.clock.advance(31_000)
  t.ok(setting.members.has('b:1'), 're-merged within one period')
  setting.asked.length = 0
  await setting.clock.advance(120_000)
  t.same(setting.asked, [], 'nobody is missing any more')
})

t.test('S-14: who loses its last peer asks at once', async (t) => {
  const setting = new Setting(t)
  setting.answering.add('a:1')
  await setting.join(['a:1'], 1_000)
  setting.members.clear()
  setting.seeds.onMembersChanged()
  setting.asked.length = 0
  await setting.clock.advance(1_000)
  t.ok(setting.asked.length >= 1)
  t.ok(setting.members.has('a:1'))
})

t.test('after stop nobody is asked', async (t) => {
  const setting = new Setting(t)
  await t.rejects(setting.join(['a:1'], 100))
  setting.seeds.stop()
  setting.asked.length = 0
  await setting.clock.advance(100_000)
  t.same(setting.asked, [])
})
