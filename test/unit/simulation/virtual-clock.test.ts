import t from 'tap'
import { type MonotonicMs, SplittableRandom } from '../../../src/core/index.js'
import { TraceHash } from '../../../src/simulation/trace-hash.js'
import {
  MachineClock,
  NodeClock,
  ProcessExits,
  SimulatedProcess,
  VirtualTime
} from '../../../src/simulation/virtual-clock.js'

t.test('events run by time, then in the order in which they were posted', async (t) => {
  const time = new VirtualTime(new TraceHash())
  const random = SplittableRandom.fromSeed(3)
  const expected: { at: number; id: number }[] = []
  const ran: number[] = []
  for (let id = 0; id < 500; id++) {
    const at = random.nextInt(50)
    expected.push({ at, id })
    time.post(at, 'e', null, () => ran.push(id))
  }
  while (time.step(100));
  expected.sort((a, b) => a.at - b.at || a.id - b.id)
  t.strictSame(
    ran,
    expected.map(({ id }) => id)
  )
  t.equal(time.now, 100)
})

t.test('a paused process finds its events when it goes on, a crashed one never', async (t) => {
  const time = new VirtualTime(new TraceHash())
  const process = new SimulatedProcess('a', 0, 0)
  const ran: string[] = []
  for (const at of [1, 2, 3]) time.post(at, 'e', process, () => ran.push(`${at} at ${time.now}`))
  time.pause(process)
  while (time.step(10));
  t.strictSame(ran, [])
  time.resume(process)
  time.step(10)
  time.step(10)
  t.strictSame(ran, ['1 at 10', '2 at 10'])
  process.exit(ProcessExits.Killed)
  t.equal(time.step(100), null)
  t.equal(ran.length, 2)
})

t.test('clocks: a timer never fires early by its own clock, whatever the rate does', async (t) => {
  const time = new VirtualTime(new TraceHash())
  const random = SplittableRandom.fromSeed(9)
  const machine = new MachineClock(time, 12_345.678)
  const clock = new NodeClock(time, machine, new SimulatedProcess('a', 0, 0))
  let fired = 0
  for (let i = 0; i < 300; i++) {
    const at = (clock.now() + random.nextFloat() * 20) as MonotonicMs
    clock.schedule(at, () => {
      fired++
      if (clock.now() < at) t.fail(`fired at ${clock.now()}, asked for ${at}`)
    })
    if (i % 7 === 0) machine.setRate(0.5 + random.nextFloat() * 1.5)
    time.step(time.now + 3)
  }
  while (time.step(time.now + 1_000));
  t.equal(fired, 300)
})

t.test('clocks: cancelled timers stay silent, wall time jumps alone', async (t) => {
  const time = new VirtualTime(new TraceHash())
  const machine = new MachineClock(time, 0)
  const clock = new NodeClock(time, machine, new SimulatedProcess('a', 0, 0))
  const timer = clock.schedule(5 as MonotonicMs, () => t.fail('fired'))
  timer.cancel()
  const wall = clock.wallNow()
  machine.setWallOffset(-3_600_000)
  t.equal(clock.wallNow(), wall - 3_600_000)
  time.step(10)
  t.equal(clock.now(), 10)
})

t.test('clocks: how long a machine has run says nothing of the time of day', async (t) => {
  const time = new VirtualTime(new TraceHash())
  const clockOf = (bootedMsAgo: number) =>
    new NodeClock(time, new MachineClock(time, bootedMsAgo), new SimulatedProcess('a', 0, 0))
  const [old, young] = [clockOf(900_000), clockOf(5)]
  t.equal(old.now() - young.now(), 899_995)
  t.equal(old.wallNow(), young.wallNow())
})

t.test('D-01 the trace tells order, time and label apart', async (t) => {
  const traceOf = (...events: [number, string][]) => {
    const trace = new TraceHash()
    const time = new VirtualTime(trace)
    for (const [at, label] of events) time.post(at, label, null, () => {})
    while (time.step(100));
    return trace.digest()
  }
  t.equal(traceOf([1, 'x'], [2, 'y']), traceOf([2, 'y'], [1, 'x']))
  t.not(traceOf([1, 'x'], [2, 'y']), traceOf([1, 'y'], [2, 'x']))
  t.not(traceOf([1, 'x']), traceOf([1.001, 'x']))
})
