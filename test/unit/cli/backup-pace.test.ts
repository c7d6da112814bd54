import t from 'tap'
import { Pace, type PaceTime } from '../../../src/cli/backup/pace.js'

/** Time in which nothing takes any but sleeping. */
function fakeTime() {
  let now = 1_000
  const time: PaceTime = {
    nowMs: () => now,
    sleep: async (ms) => {
      now += ms
    }
  }
  return { time, elapsed: () => now - 1_000 }
}

t.test('so many bytes a second are fetched and no more, and told as they come', async (t) => {
  const { time, elapsed } = fakeTime()
  const told: string[] = []
  const tell = (line: string) => void told.push(line)
  const pace = new Pace({ bytesPerSecondMax: 1_000, bytesTotal: 12_000, tell }, time)
  t.equal(pace.partBytesMax, 1_000)
  for (let i = 0; i < 12; i++) await pace.note(1_000)
  t.equal(elapsed(), 12_000)
  t.same(told, ['5000 of 12000 bytes', '10000 of 12000 bytes'])
})

t.test('without a bound nothing waits', async (t) => {
  const { time, elapsed } = fakeTime()
  const tell = () => t.fail('it took no time')
  const pace = new Pace({ bytesPerSecondMax: undefined, bytesTotal: 9, tell }, time)
  t.equal(pace.partBytesMax, Number.POSITIVE_INFINITY)
  await pace.note(9)
  t.equal(elapsed(), 0)
})
