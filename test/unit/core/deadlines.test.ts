import fc from 'fast-check'
import t from 'tap'
import {
  after,
  type Clock,
  Deadlines,
  DeadlineTimer,
  type MonotonicMs,
  NEVER,
  type Timer,
  type WallMs
} from '../../../src/core/index.js'

const at = (ms: number) => ms as MonotonicMs

t.test('the next deadline is the least of those that are set', async (t) => {
  const name = fc.constantFrom('a', 'b', 'c')
  const step = fc.record({ name, ms: fc.option(fc.nat(100)) })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const deadlines = new Deadlines<string>()
      const twin = new Map<string, number>()
      for (const { name, ms } of steps) {
        if (ms === null) {
          deadlines.clear(name)
          twin.delete(name)
        } else {
          deadlines.set(name, at(ms))
          twin.set(name, ms)
        }
        if (deadlines.next() !== Math.min(NEVER, ...twin.values())) return false
        const due = [...twin.values()].filter((ms) => ms <= 50).length
        if (['a', 'b', 'c'].filter((n) => deadlines.isDue(n, at(50))).length !== due) return false
      }
      return true
    })
  )
  const deadlines = new Deadlines<'a'>()
  t.equal(deadlines.at('a'), NEVER)
  deadlines.set('a', after(at(5), 10))
  t.equal(deadlines.at('a'), 15)
  deadlines.clearAll()
  t.equal(deadlines.next(), NEVER)
})

/** Counts timers, and fires them when told. */
class ManualClock implements Clock {
  time = 0
  readonly timers: { at: number; callback: () => void }[] = []
  scheduled = 0

  now(): MonotonicMs {
    return at(this.time)
  }

  wallNow(): WallMs {
    return 0 as WallMs
  }

  schedule(when: MonotonicMs, callback: () => void): Timer {
    const timer = { at: when, callback }
    this.scheduled++
    this.timers.push(timer)
    return { cancel: () => void this.timers.splice(this.timers.indexOf(timer), 1) }
  }

  fire(): void {
    const timer = this.timers.shift()
    this.time = timer?.at ?? this.time
    timer?.callback()
  }
}

t.test('a driver has one timer, however often it arms it', async (t) => {
  const clock = new ManualClock()
  const fired: number[] = []
  const timer = new DeadlineTimer(clock, (now) => fired.push(now))
  timer.arm(at(10))
  timer.arm(at(10))
  t.equal(clock.scheduled, 1, 'the same deadline costs nothing')
  timer.arm(at(7))
  t.same(
    clock.timers.map(({ at }) => at),
    [7]
  )
  clock.fire()
  t.same(fired, [7])
  timer.arm(at(7))
  t.equal(clock.timers.length, 1, 'a deadline that fired can be armed again')
  timer.arm(NEVER)
  t.equal(clock.timers.length, 0)
  timer.arm(at(20))
  timer.stop()
  t.equal(clock.timers.length, 0)
  timer.arm(at(30))
  t.equal(clock.timers.length, 0, 'after stop nothing is armed')
  t.same(fired, [7])
})

t.test('a deadline that is put off keeps its timer, and is due at its own time', async (t) => {
  const clock = new ManualClock()
  const fired: number[] = []
  const timer = new DeadlineTimer(clock, (now) => fired.push(now))
  timer.arm(at(10))
  for (let ms = 11; ms <= 50; ms++) timer.arm(at(ms))
  t.equal(clock.scheduled, 1, 'putting it off costs nothing')
  clock.fire()
  t.same(fired, [], 'it looks again')
  t.same(
    clock.timers.map(({ at }) => at),
    [50]
  )
  timer.arm(at(30))
  t.same(
    clock.timers.map(({ at }) => at),
    [30],
    'an earlier one is not waited for'
  )
  clock.fire()
  t.same(fired, [30])
  t.equal(clock.timers.length, 0)
})
