import t from 'tap'
import { SplittableRandom } from '../../../../src/core/index.js'
import {
  ReplayWindow,
  replayWindowCounters
} from '../../../../src/network/security/datagram-replay-window.js'

/** Remembers everything. */
class DumbWindow {
  readonly #seen = new Set<number>()
  #highest = -1

  accept(counter: number): boolean {
    const isTooOld = counter <= this.#highest - replayWindowCounters
    if (isTooOld || this.#seen.has(counter)) return false
    this.#seen.add(counter)
    this.#highest = Math.max(this.#highest, counter)
    return true
  }
}

t.test('the window agrees with one that remembers everything', async (t) => {
  const random = SplittableRandom.fromSeed(4303)
  let accepted = 0
  for (let run = 0; run < 40; run++) {
    const window = new ReplayWindow()
    const dumb = new DumbWindow()
    let base = 0
    for (let step = 0; step < 2_000; step++) {
      if (random.nextInt(200) === 0) base += random.nextInt(3_000)
      base += random.nextInt(3)
      const counter = Math.max(0, base - random.nextInt(1_200))
      const fresh = window.isFresh(counter)
      const answer = window.accept(counter)
      if (answer !== dumb.accept(counter) || answer !== fresh) t.fail(`counter ${counter}`)
      if (answer) accepted++
    }
  }
  t.ok(accepted > 10_000, `${accepted} accepted`)
})

t.test('its edges', async (t) => {
  const window = new ReplayWindow()
  t.ok(window.accept(0))
  t.notOk(window.accept(0))
  t.ok(window.accept(replayWindowCounters))
  t.notOk(window.accept(0), 'too old')
  t.ok(window.accept(1), 'the oldest that still counts')
  t.notOk(window.accept(1))
  t.ok(window.accept(2 ** 52))
  t.notOk(window.accept(replayWindowCounters))
})
