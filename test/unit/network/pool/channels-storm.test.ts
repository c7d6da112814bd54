import t, { type Test } from 'tap'
import { SplittableRandom } from '../../../../src/core/index.js'
import type { ByteChannel } from '../../../../src/core/ports/channels.js'
import type { TransportDriver } from '../../../../src/network/index.js'
import { node, TransportWorld } from '../../../support/transport-world.js'

const names = ['a', 'b']
const namedSeed = /^s(\d+)$/

/** The byte that a channel of this number carries at an offset: what the twin expects. */
const byteAt = (seed: number, offset: number): number =>
  (offset * 31 + seed * 17 + (offset >> 7)) & 0xff

interface Flow {
  readonly seed: number
  written: number
  sent: number
  isEnded: boolean
  sendError: string | null
  received: number
  sawEnd: boolean
  receiveError: string | null
}

/** Channels with random writes and readers while connections break; small windows of the hub. */
async function storm(seed: number, t: Test): Promise<void> {
  const random = SplittableRandom.fromSeed(seed)
  const world = new TransportWorld()
  world.hub.watermarkBytes = 4_096 << random.nextInt(7)
  const flows = new Map<number, Flow>()
  const drivers: TransportDriver[] = []
  const config = {
    streamStallTimeoutMs: 2_000,
    streamConnectionIdleMs: 500,
    streamsPerConnectionMax: 1 + random.nextInt(6),
    idleTimeoutMs: 3_000
  }
  for (const name of names) {
    const driver = await world.start(name, { config })
    drivers.push(driver)
  }
  for (const driver of drivers) acceptAll(driver, flows, random.split('readers'), world)
  let opened = 0
  for (let step = 0; step < 80; step++) {
    if (random.nextInt(2) === 0) {
      const flow = newFlow(++opened, flows)
      const from = random.nextInt(2)
      void send(
        drivers[from] as TransportDriver,
        names[1 - from] ?? '',
        flow,
        random.split(`f${opened}`),
        world
      )
    }
    const ends = world.hub.ends
    const end = ends[random.nextInt(Math.max(1, ends.length))]
    if (random.nextInt(40) === 0) end?.break()
    else if (random.nextInt(60) === 0 && end) end.isPaused = true
    await world.clock.advance(random.nextInt(60))
  }
  await world.clock.advance(15_000)
  let whole = 0
  for (const flow of flows.values()) {
    const where = `seed ${seed}, channel ${flow.seed}`
    if (flow.received > flow.written) t.fail(`${where}: more came than was written`)
    if (flow.sawEnd && flow.received !== flow.written)
      t.fail(`${where}: ended after ${flow.received}`)
    if (flow.sawEnd && !flow.isEnded) t.fail(`${where}: an end that nobody said`)
    if (flow.sawEnd) whole++
  }
  t.ok(opened > 0)
  for (const driver of drivers) {
    t.equal(driver.counters.get('protocol_errors'), 0)
    t.equal(driver.counters.get('streams_active'), 0, 'every stream came to an end')
  }
  t.ok(whole <= opened)
}

function newFlow(seed: number, flows: Map<number, Flow>): Flow {
  const flow = {
    seed,
    written: 0,
    sent: 0,
    isEnded: false,
    sendError: null,
    received: 0,
    sawEnd: false,
    receiveError: null
  }
  flows.set(seed, flow)
  return flow
}

async function send(
  driver: TransportDriver,
  to: string,
  flow: Flow,
  random: SplittableRandom,
  world: TransportWorld
): Promise<void> {
  try {
    const priority = random.nextInt(4) as 0 | 1 | 2 | 3
    const channel = await driver.channels.open(node(to), `s${flow.seed}`, { priority })
    for (let left = random.nextInt(12); left > 0; left--) {
      const length = 1 + random.nextInt(1 << random.nextInt(18))
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = byteAt(flow.seed, flow.written + i)
      flow.written += length
      await channel.write(bytes)
      if (random.nextInt(4) === 0) await pause(world, random.nextInt(100))
    }
    if (random.nextInt(6) === 0) channel.reset('changed its mind')
    else {
      flow.isEnded = true
      channel.end()
    }
    while ((await channel.read()) !== null);
  } catch (error) {
    flow.sendError = (error as { code: string }).code
  }
}

function acceptAll(
  driver: TransportDriver,
  flows: Map<number, Flow>,
  random: SplittableRandom,
  world: TransportWorld
): void {
  for (let seed = 1; seed <= 80; seed++) {
    driver.channels.accept(`s${seed}`, (channel) => {
      void receive(channel, flows, random.split(channel.name), world)
    })
  }
}

async function receive(
  channel: ByteChannel,
  flows: Map<number, Flow>,
  random: SplittableRandom,
  world: TransportWorld
): Promise<void> {
  const seed = Number(namedSeed.exec(channel.name)?.[1])
  const flow = flows.get(seed)
  if (flow === undefined) throw new Error('a channel that nobody opened')
  try {
    for (let bytes = await channel.read(); bytes !== null; bytes = await channel.read()) {
      for (let i = 0; i < bytes.length; i++) {
        if (bytes[i] === byteAt(seed, flow.received + i)) continue
        throw new Error(`channel ${seed}: another byte at ${flow.received + i}`)
      }
      flow.received += bytes.length
      if (random.nextInt(5) === 0) await pause(world, random.nextInt(150))
      if (random.nextInt(300) === 0) channel.reset('enough')
    }
    flow.sawEnd = true
    channel.end()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === undefined) throw error
    flow.receiveError = code
  }
}

const pause = (world: TransportWorld, ms: number): Promise<void> =>
  new Promise((resolve) => {
    world.clock.schedule((world.clock.now() + ms) as ReturnType<typeof world.clock.now>, resolve)
  })

for (let seed = 1; seed <= 30; seed++) t.test(`channels in a storm ${seed}`, (t) => storm(seed, t))
