/**
 * Rolling restarts of a model cluster with real drivers: calm, and with the coordinator lost in
 * each phase of each step. Whatever happens, no second node goes out, no group loses its majority
 * by the plan, nobody is restarted while it leads, and each process is replaced once.
 */

import t, { type Test } from 'tap'
import type { NodeId } from '../../src/core/ids.js'
import {
  type RestartOptions,
  type RestartPlan,
  type RollingRestart,
  type StepPhase,
  stepPhases
} from '../../src/core/rolling-restart.js'
import { SplittableRandom } from '../../src/core/splittable-random.js'
import { RestartWorld, type WorldOptions } from '../support/restart/restart-world.js'
import { runSeeds } from '../support/restart/run-seeds.js'
import { someOf } from '../support/thoroughness.js'

const quick: Partial<RestartOptions> = {
  delayMs: 1_000,
  canaryDelayMs: 2_000,
  preCheckTimeoutMs: 60_000
}

const made = (seed: number, options: Partial<WorldOptions> = {}): RestartWorld =>
  new RestartWorld({ nodes: 5, random: SplittableRandom.fromSeed(seed), ...options })

const owner = (world: RestartWorld): NodeId => {
  const leader = world.control.group.leader
  if (leader === null) throw new Error('nobody leads the control group')
  return leader
}

async function begin(
  world: RestartWorld,
  options: Partial<RestartOptions> = {}
): Promise<RollingRestart> {
  return world.clock.settle(world.restarts(owner(world)).start({ ...quick, ...options }))
}

const latest = (world: RestartWorld): RestartPlan => {
  const plan = world.control.state.plans.at(-1)
  if (plan === undefined) throw new Error('there is no plan')
  return plan
}

const outcome = (world: RestartWorld): string => {
  const { status, steps, reason } = latest(world)
  const phases = steps.map(({ node, phase }) => `${node} ${phase}`).join(', ')
  return `${status} (${reason}): ${phases}\n${world.log.join('\n')}`
}

async function untilEnd(world: RestartWorld, withinMs = 600_000): Promise<void> {
  const isOver = () => !['running', 'paused'].includes(latest(world).status)
  try {
    await world.clock.until(isOver, withinMs)
  } catch (cause) {
    throw new Error(`it does not end: ${outcome(world)}`, { cause })
  }
}

function expectFinished(t: Test, world: RestartWorld): void {
  t.same(world.violations, [], outcome(world))
  t.equal(latest(world).status, 'finished', outcome(world))
  for (const host of world.hosts.values()) t.equal(host.hookCalls, 1, `${host.id} is replaced once`)
  world.stop()
}

t.test('L-07 five nodes go one after the other, the coordinator last', async (t) => {
  const world = made(1, { rackSize: 2 })
  const first = owner(world)
  const handle = await begin(world)
  const done = handle.done()
  done.catch(() => {})
  await untilEnd(world)
  const order = latest(world).history.filter(({ what }) => what === 'routing')
  t.equal(order.length, 5)
  t.equal(order.at(-1)?.node, first)
  t.equal(
    world.groups.reduce((sum, { electionsByTimeout }) => sum + electionsByTimeout, 0),
    0,
    'leaderships were handed over'
  )
  t.not(latest(world).owner, first, 'it handed the plan over')
  await t.rejects(world.clock.settle(done), { code: 'ERR_SKEIN_CONTINUED_ELSEWHERE' })
  const again = world.restarts(first).attach(handle.id)
  t.match(await world.clock.settle(again.done()), { status: 'finished' })
  expectFinished(t, world)
})

const phases = stepPhases.slice(1)
const faults = ['kill', 'isolate'] as const

/** The coordinator is lost when the `step`th node comes to `phase`. */
async function loseCoordinator(
  t: Test,
  { step, phase, fault }: { step: number; phase: StepPhase; fault: (typeof faults)[number] }
): Promise<void> {
  const world = made(7 * step + phases.indexOf(phase))
  await begin(world)
  const isThere = () => {
    const plan = latest(world)
    const reached = plan.history.filter(
      ({ what }) => what === phase || what.startsWith(`${phase}:`)
    )
    return reached.length > step
  }
  await world.clock.until(isThere, 600_000)
  const lost = latest(world).owner as NodeId
  if (fault === 'kill') world.kill(lost)
  else world.isolate(lost, 8_000)
  await untilEnd(world)
  t.ok(latest(world).epoch > 1, 'somebody else took over')
  expectFinished(t, world)
}

for (const fault of faults) {
  for (const phase of phases) {
    t.test(`the coordinator is lost (${fault}) in ${phase} of each step: it goes on`, async (t) => {
      for (let step = 0; step < 5; step++) await loseCoordinator(t, { step, phase, fault })
    })
  }
}

t.test('answers to the owner are lost: nothing is done twice', async (t) => {
  for (let seed = 0; seed < 5; seed++) {
    const world = made(seed)
    await begin(world)
    for (let i = 0; i < 20; i++) {
      world.control.loseAnswers(1)
      await world.clock.advance(1_500)
    }
    await untilEnd(world)
    expectFinished(t, world)
  }
})

t.test('another node is lost: the plan waits for it, then goes on', async (t) => {
  const world = made(3)
  await begin(world)
  await world.clock.until(() => latest(world).steps.some(({ phase }) => phase === 'done'), 60_000)
  const idle = latest(world).steps.find(
    ({ phase, node }) => phase === 'pending' && node !== owner(world)
  )
  world.kill(idle?.node as NodeId, 30_000)
  await untilEnd(world)
  expectFinished(t, world)
})

t.test('it does not come back: the plan halts, and goes on when told to', async (t) => {
  const world = made(4)
  await begin(world, { preCheckTimeoutMs: 5_000 })
  await world.clock.until(() => latest(world).steps.some(({ phase }) => phase === 'done'), 60_000)
  const idle = latest(world).steps.find(
    ({ phase, node }) => phase === 'pending' && node !== owner(world)
  )
  world.kill(idle?.node as NodeId, 120_000)
  await untilEnd(world)
  t.match(latest(world), { status: 'halted', reason: /is not alive/ })
  await world.clock.advance(130_000)
  t.ok(latest(world).steps.every(({ phase }) => phase === 'done' || phase === 'pending'))
  const { id } = latest(world)
  await world.clock.settle(world.restarts(owner(world)).operate(id, 'resume', 'operator'))
  await untilEnd(world)
  expectFinished(t, world)
})

t.test('queries that fail halt it, and the node that drained works again', async (t) => {
  const world = made(5)
  world.inFlight = 3
  const handle = await begin(world, { errorRateMax: 0.01, inFlightTimeoutMs: 60_000 })
  const done = handle.done()
  done.catch(() => {})
  await world.clock.until(
    () => latest(world).steps.some(({ phase }) => phase === 'inFlight'),
    60_000
  )
  world.errorRate = 0.2
  await untilEnd(world)
  await t.rejects(world.clock.settle(done), {
    code: 'ERR_SKEIN_PLAN_REFUSED',
    message: /% of the queries fail/
  })
  await world.clock.until(
    () => latest(world).steps.every(({ phase }) => phase === 'pending'),
    60_000
  )
  for (const host of world.hosts.values()) {
    t.equal(host.process?.lifecycle, 'up')
    t.equal(host.hookCalls, 0)
  }
  t.same(world.violations, [])
  world.stop()
})

t.test('a slow hundredth halts it', async (t) => {
  const world = made(5)
  world.inFlight = 3
  const handle = await begin(world, { p99MsMax: 100, inFlightTimeoutMs: 60_000 })
  const done = handle.done()
  done.catch(() => {})
  const isOut = () => latest(world).steps.some(({ phase }) => phase === 'inFlight')
  await world.clock.until(isOut, 60_000)
  await world.clock.advance(5_000)
  t.match(latest(world), { status: 'running' }, '40 ms are fine')
  world.latencyMs = 400
  await untilEnd(world)
  await t.rejects(world.clock.settle(done), {
    code: 'ERR_SKEIN_PLAN_REFUSED',
    message: /the slowest hundredth takes 4\d\d ms, 100 ms are allowed/
  })
  t.same(world.violations, [])
  world.stop()
})

t.test('pause lets the node that is out come back, abort undrains it', async (t) => {
  const world = made(6)
  const { id } = await begin(world)
  await world.clock.until(
    () => latest(world).steps.some(({ phase }) => phase === 'restart'),
    60_000
  )
  await world.clock.settle(world.restarts(owner(world)).operate(id, 'pause', 'operator'))
  await world.clock.advance(60_000)
  t.match(latest(world), { status: 'paused' })
  t.equal(latest(world).steps.filter(({ phase }) => phase === 'done').length, 1)
  world.inFlight = 1
  await world.clock.settle(world.restarts(owner(world)).operate(id, 'resume', 'operator'))
  await world.clock.until(
    () => latest(world).steps.some(({ phase }) => phase === 'inFlight'),
    60_000
  )
  await world.clock.settle(world.restarts(owner(world)).operate(id, 'abort', 'operator'))
  await world.clock.advance(10_000)
  t.equal(latest(world).steps.filter(({ phase }) => phase === 'pending').length, 4)
  for (const host of world.hosts.values()) t.equal(host.process?.lifecycle, 'up')
  t.same(world.violations, [])
  world.stop()
})

t.test('without a hook it waits for somebody who restarts the node', async (t) => {
  const world = made(8, { hooks: false })
  await begin(world)
  for (let i = 0; i < 5; i++) {
    await world.clock.until(
      () => latest(world).steps.some(({ phase }) => phase === 'restart'),
      60_000
    )
    await world.clock.advance(3_000)
    const out = latest(world).steps.find(({ phase }) => phase === 'restart')
    world.kill(out?.node as NodeId, 1_000)
    await world.clock.until(
      () => latest(world).steps.every(({ phase }) => phase !== 'restart'),
      60_000
    )
  }
  await untilEnd(world)
  t.equal(latest(world).status, 'finished')
  t.same(world.violations, [])
  world.stop()
})

t.test('a cluster of two has no majority without one: nothing is touched', async (t) => {
  const world = made(9, { nodes: 2, groups: 1 })
  await begin(world, { preCheckTimeoutMs: 2_000 })
  await untilEnd(world)
  t.match(latest(world), { status: 'halted', reason: /would have no majority/ })
  for (const host of world.hosts.values()) t.equal(host.hookCalls, 0)
  world.stop()
})

t.test('faults at random moments: nothing goes wrong, and the plan comes to its end', async (t) => {
  const { failure } = await runSeeds(someOf(80, 27))
  t.equal(failure, null, `seed ${failure?.seed}: ${failure?.reason}`)
})
