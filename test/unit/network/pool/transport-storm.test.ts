import t, { type Test } from 'tap'
import { SplittableRandom } from '../../../../src/core/index.js'
import type { TransportDriver } from '../../../../src/network/index.js'
import { echo, node, note, TransportWorld } from '../../../support/transport-world.js'

const names = ['a', 'b', 'c']

/** Three nodes that talk while streams break, fall silent and cannot be dialled. */
async function storm(seed: number, t: Test): Promise<void> {
  const random = SplittableRandom.fromSeed(seed)
  const world = new TransportWorld()
  const executed = new Map<number, number>()
  const drivers: TransportDriver[] = []
  for (const name of names) {
    const driver = await world.start(name, { config: { idleTimeoutMs: 3_000 } })
    driver.onMessage(note, () => {})
    driver.onRequest(echo, async ({ body }) => {
      executed.set(body.count, (executed.get(body.count) ?? 0) + 1)
      return { count: body.count }
    })
    drivers.push(driver)
  }
  const outcomes = new Map<number, unknown>()
  let asked = 0
  const ask = (from: number, to: number, timeoutMs: number) => {
    const count = ++asked
    const driver = drivers[from] as TransportDriver
    const request = driver.request(
      node(names[to] ?? ''),
      echo,
      { count },
      world.deadline(timeoutMs)
    )
    const keep = (outcome: unknown) => outcomes.set(count, outcome)
    request.then(keep, (error: { code: string }) => keep(error.code))
  }
  for (let step = 0; step < 150; step++) {
    for (let i = random.nextInt(6); i > 0; i--) {
      const from = random.nextInt(3)
      const to = (from + 1 + random.nextInt(2)) % 3
      ask(from, to, 1 + random.nextInt(400))
      drivers[from]?.send(node(names[to] ?? ''), note, { text: 'x' })
    }
    const end = world.hub.ends[random.nextInt(Math.max(1, world.hub.ends.length))]
    const fault = random.nextInt(24)
    if (fault === 0) end?.break()
    else if (fault === 1 && end) end.isSilent = true
    else if (fault === 2 && end) end.breakAfterBytes = end.deliveredBytes + random.nextInt(300)
    else if (fault === 3) world.hub.isUnreachable = !world.hub.isUnreachable
    await world.clock.advance(random.nextInt(30))
  }
  world.hub.isUnreachable = false
  await world.clock.advance(12_000)
  t.equal(outcomes.size, asked, 'every request came to an end')
  for (const [count, outcome] of outcomes) {
    const times = executed.get(count) ?? 0
    t.ok(times <= 1 || t.fail(`request ${count} was executed ${times} times`))
    if (outcome === 'ERR_SKEIN_NOT_SENT') t.equal(times, 0, `request ${count} was not sent`)
    else if (typeof outcome === 'object') t.equal(times, 1, `request ${count} was answered`)
    else t.match(outcome, /ERR_SKEIN_(TIMEOUT|CONNECTION_LOST)/)
  }
  await expectCalm(world, drivers, t)
}

/** Everybody reaches everybody, over one connection for each pair. */
async function expectCalm(
  world: TransportWorld,
  drivers: readonly TransportDriver[],
  t: Test
): Promise<void> {
  for (const from of drivers) {
    for (const to of names) {
      const request = from.request(node(to), echo, { count: 0 }, world.deadline(1_000))
      t.same(await world.outcome(request), { count: 0 })
    }
  }
  await world.clock.advance(15_000)
  for (const driver of drivers) t.equal(driver.counters.get('active_connections'), 2)
  t.equal(drivers.filter((driver) => driver.counters.get('protocol_errors') > 0).length, 0)
}

for (let seed = 1; seed <= 40; seed++) t.test(`storm ${seed}`, (t) => storm(seed, t))
