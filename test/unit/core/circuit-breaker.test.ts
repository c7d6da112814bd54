import t from 'tap'
import { CircuitBreaker } from '../../../src/core/circuit-breaker.js'
import type { MonotonicMs } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'

const at = (ms: number) => ms as MonotonicMs
const options = { failuresMax: 5, windowMs: 10_000, backoffMinMs: 100, backoffMaxMs: 30_000 }
const create = (seed = 1) => new CircuitBreaker(SplittableRandom.fromSeed(seed), options)

function fail(breaker: CircuitBreaker, now: number): void {
  const ticket = breaker.begin(at(now))
  if (ticket === null) throw new Error('may not begin')
  breaker.handleFailure(ticket, at(now))
}

t.test('L-05 five failures in ten seconds open it, slower ones do not', async (t) => {
  const slow = create()
  for (let i = 0; i < 50; i++) fail(slow, i * 2_500)
  t.equal(slow.state, 'closed')
  const fast = create()
  for (let i = 0; i < 4; i++) fail(fast, i * 2_000)
  t.equal(fast.state, 'closed')
  fail(fast, 9_999)
  t.equal(fast.state, 'open')
  t.equal(fast.begin(at(10_000)), null)
})

t.test('L-05 after the pause one call is let through, and its outcome decides', async (t) => {
  const breaker = create()
  for (let i = 0; i < 5; i++) fail(breaker, 0)
  const { retryAt } = breaker
  t.ok(retryAt >= 100 && retryAt <= 100, `the first pause is the least: ${retryAt}`)
  const probe = breaker.begin(retryAt)
  t.type(probe, 'number')
  t.equal(breaker.state, 'half-open')
  t.equal(breaker.begin(at(1e9)), null, 'one at a time')
  breaker.handleFailure(probe as number, retryAt)
  t.equal(breaker.state, 'open')
  const second = breaker.begin(breaker.retryAt) as number
  breaker.handleSuccess(second)
  t.equal(breaker.state, 'closed')
  t.ok(breaker.isIdle(at(0)))
})

t.test(
  'L-05 the pauses double up to the greatest and are spread over their upper half',
  async (t) => {
    for (let seed = 1; seed <= 50; seed++) {
      const breaker = create(seed)
      let now = 0
      for (let i = 0; i < 5; i++) fail(breaker, now)
      for (let opening = 0; opening < 15; opening++) {
        const pauseMs = breaker.retryAt - now
        const fullMs = Math.min(100 * 2 ** opening, 30_000)
        t.ok(pauseMs >= Math.max(100, fullMs / 2) && pauseMs <= fullMs, `${opening}: ${pauseMs} ms`)
        now = breaker.retryAt
        fail(breaker, now)
      }
    }
  }
)

t.test('what began before it opened neither opens it further nor closes it', async (t) => {
  const breaker = create()
  const early = breaker.begin(at(0)) as number
  for (let i = 0; i < 5; i++) fail(breaker, 0)
  const { retryAt } = breaker
  breaker.handleFailure(early, at(50))
  t.equal(breaker.retryAt, retryAt)
  breaker.handleSuccess(early)
  t.equal(breaker.state, 'open')
})

t.test('a probe that was given up leaves its place to the next', async (t) => {
  const breaker = create()
  for (let i = 0; i < 5; i++) fail(breaker, 0)
  const probe = breaker.begin(at(100)) as number
  breaker.handleAbandoned(probe, at(200))
  t.equal(breaker.state, 'open')
  const next = breaker.begin(at(200))
  t.type(next, 'number')
  breaker.handleSuccess(probe)
  t.equal(breaker.state, 'half-open', 'the first one is over')
})

/** The same by lists of everything that happened. */
class DumbBreaker {
  readonly #failures: number[] = []
  readonly #outcomes: ('failed' | 'well')[] = []
  isOpen = false
  probing = false

  fail(now: number): void {
    if (this.probing) {
      this.probing = false
      this.isOpen = true
      this.#outcomes.push('failed')
      return
    }
    this.#failures.push(now)
    const recent = this.#failures.filter((failed) => now - failed < options.windowMs)
    if (recent.length >= options.failuresMax) {
      this.isOpen = true
      this.#failures.length = 0
      this.#outcomes.push('failed')
    }
  }

  succeed(): void {
    if (!this.probing) return
    this.probing = false
    this.isOpen = false
    this.#failures.length = 0
  }
}

t.test('random calls: as a dumb twin that keeps everything', async (t) => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const breaker = create(seed)
    const twin = new DumbBreaker()
    let now = 0
    for (let step = 0; step < 300; step++) {
      now += random.nextInt(4_000)
      const isOpen = twin.isOpen && now < breaker.retryAt
      const ticket = breaker.begin(at(now))
      t.equal(ticket === null, isOpen, `seed ${seed}, step ${step}`)
      if (ticket === null) continue
      if (twin.isOpen) {
        twin.isOpen = false
        twin.probing = true
      }
      if (random.nextInt(3) > 0) {
        breaker.handleFailure(ticket, at(now))
        twin.fail(now)
      } else {
        breaker.handleSuccess(ticket)
        twin.succeed()
      }
      t.equal(breaker.state === 'open', twin.isOpen)
    }
  }
})
