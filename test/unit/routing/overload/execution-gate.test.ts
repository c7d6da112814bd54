import t from 'tap'
import { after, Priorities, type Priority } from '../../../../src/core/index.js'
import { ExecutionGate } from '../../../../src/routing/overload/execution-gate-driver.js'
import { Shedder } from '../../../../src/routing/overload/shedder.js'
import { VirtualClock } from '../../../support/virtual-clock.js'
import { FakeCluster, nodeIds } from '../fake-cluster.js'

function gateOf(executionsMax: number) {
  const clock = new VirtualClock()
  const options = { queueDelayTargetMs: 50, queueDelayIntervalMs: 500 }
  const shedder = new Shedder(options, clock.now())
  const gate = new ExecutionGate({ clock, shedder }, { executionsMax })
  const begun: string[] = []
  const run = (
    name: string,
    priority: Priority,
    ms = 10,
    signal?: AbortSignal,
    timeoutMs = 1_000
  ) =>
    gate.through({ priority, deadline: after(clock.now(), timeoutMs), signal }, async () => {
      begun.push(name)
      await new Promise<void>((resolve) => clock.schedule(after(clock.now(), ms), resolve))
      return name
    })
  return { clock, gate, shedder, begun, run }
}

t.test('so many at a time; the others by priority, then in order', async (t) => {
  const { clock, gate, begun, run } = gateOf(2)
  const { Critical, High, Normal, Low } = Priorities
  const all = [
    run('n1', Normal),
    run('n2', Normal),
    run('l1', Low),
    run('n3', Normal),
    run('c1', Critical),
    run('h1', High),
    run('n4', Normal)
  ]
  t.same([gate.inside, gate.queued], [2, 5])
  t.same(await clock.settle(Promise.all(all)), ['n1', 'n2', 'l1', 'n3', 'c1', 'h1', 'n4'])
  t.same(begun, ['n1', 'n2', 'c1', 'h1', 'n3', 'n4', 'l1'])
  t.same([gate.inside, gate.queued, clock.pending], [0, 0, 0])
})

t.test('who waits can be cancelled and can be late, and leaves no trace', async (t) => {
  const { clock, gate, begun, run } = gateOf(1)
  const controller = new AbortController()
  const first = run('first', Priorities.Normal, 200)
  const cancelled = run('cancelled', Priorities.Normal, 10, controller.signal)
  const late = run('late', Priorities.Normal, 10, undefined, 50)
  const last = run('last', Priorities.Normal)
  controller.abort()
  await t.rejects(clock.settle(cancelled), { code: 'ERR_SKEIN_CANCELLED' })
  await t.rejects(clock.settle(late), { code: 'ERR_SKEIN_TIMEOUT' })
  await clock.settle(Promise.all([first, last]))
  t.same(begun, ['first', 'last'])
  t.same([gate.inside, gate.queued, clock.pending], [0, 0, 0])
})

t.test('a turn given to one who has just gone is passed on', async (t) => {
  const { clock, gate, begun, run } = gateOf(1)
  const controller = new AbortController()
  const first = run('first', Priorities.Normal, 10)
  const gone = run('gone', Priorities.Normal, 10, controller.signal)
  const next = run('next', Priorities.Normal)
  clock.schedule(after(clock.now(), 10), () => controller.abort())
  const outcomes = await clock.settle(Promise.allSettled([first, gone, next]))
  t.equal(outcomes[2]?.status, 'fulfilled')
  t.ok(begun.includes('next'))
  t.same([gate.inside, gate.queued, clock.pending], [0, 0, 0])
})

t.test('what failed leaves too', async (t) => {
  const { clock, gate } = gateOf(1)
  const query = { priority: Priorities.Normal, deadline: after(clock.now(), 10), signal: undefined }
  const failing = gate.through(query, () => Promise.reject(new Error('the statement’s own')))
  await t.rejects(clock.settle(failing), /own/)
  t.equal(gate.inside, 0)
})

t.test('a node whose replica is slow turns away the unimportant first', async (t) => {
  const routing = { executionsMax: 4, queueDelayTargetMs: 50, queueDelayIntervalMs: 200 }
  const cluster = new FakeCluster(nodeIds('a'), [], routing)
  cluster.readIndexMs.set(cluster.voters[0] as never, 100)
  const outcomes: Record<string, number> = {}
  const ask = (priority: Priority) => {
    const count = (what: string) => {
      const name = `${priority} ${what}`
      outcomes[name] = (outcomes[name] ?? 0) + 1
    }
    cluster
      .driver('a')
      .execute('SELECT 1', { priority, timeoutMs: 60_000 })
      .then(
        () => count('ok'),
        (error: { code: string; details: object }) => {
          count(error.code)
          if (error.code === 'ERR_SKEIN_OVERLOADED') {
            t.match(error.details, { retryAfterMs: Number })
          }
        }
      )
  }
  for (let i = 0; i < 300; i++) {
    ask(i % 10 === 0 ? Priorities.Critical : Priorities.Low)
    await cluster.clock.advance(10)
  }
  await cluster.clock.advance(60_000)
  t.equal(outcomes['0 ok'], 30, 'all that matter')
  t.ok((outcomes['3 ERR_SKEIN_OVERLOADED'] ?? 0) > 50, JSON.stringify(outcomes))
  t.ok((outcomes['3 ok'] ?? 0) > 50, 'and as many of the others as it can do')
  t.equal(cluster.driver('a').counters.get('queries_shed'), outcomes['3 ERR_SKEIN_OVERLOADED'])
  ask(Priorities.Low)
  await cluster.clock.advance(1_000)
  const { '3 ERR_SKEIN_OVERLOADED': shed } = outcomes
  t.equal(cluster.driver('a').counters.get('queries_shed'), shed, 'afterwards none')
})
