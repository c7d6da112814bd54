import t from 'tap'
import { type Clock, type MonotonicMs, NEVER } from '../../../src/core/index.js'
import { DialLimit } from '../../../src/runtime/dial-limit.js'

/** Time that passes only when told, and a timer that fires when the process runs again. */
class StallingClock implements Clock {
  #now = 0
  at: MonotonicMs = NEVER
  #callback: () => void = () => {}

  now = () => this.#now as MonotonicMs
  wallNow = () => this.#now as never
  schedule(at: MonotonicMs, callback: () => void) {
    this.at = at
    this.#callback = callback
    const cancel = () => {
      this.at = NEVER
    }
    return { cancel }
  }

  /** The process does not run until then. */
  sleepUntil(time: number): void {
    this.#now = time
    if (this.at <= time) {
      this.at = NEVER
      this.#callback()
    }
  }
}

function dialFor(ms: number) {
  const clock = new StallingClock()
  let over = 0
  const limit = new DialLimit(clock, ms as MonotonicMs, () => over++)
  return { clock, limit, overs: () => over }
}

t.test('a dial is over at its deadline', async (t) => {
  const { clock, overs } = dialFor(1_000)
  clock.sleepUntil(999)
  t.equal(overs(), 0)
  clock.sleepUntil(1_001)
  t.equal(overs(), 1)
  t.equal(clock.at, NEVER)
})

t.test('time in which the process did not run is given back, once at most', async (t) => {
  const { clock, overs } = dialFor(1_000)
  clock.sleepUntil(1_400)
  t.equal(overs(), 0, 'what has arrived is read first')
  t.equal(clock.at, 1_800)
  clock.sleepUntil(5_000)
  t.equal(overs(), 0)
  t.equal(clock.at, 5_600, 'as long as there was in all, and no longer')
  clock.sleepUntil(9_000)
  t.equal(overs(), 1)
})

t.test('what was connected is not ended later', async (t) => {
  const { clock, limit, overs } = dialFor(1_000)
  limit.cancel()
  clock.sleepUntil(3_000)
  t.equal(overs(), 0)
})
