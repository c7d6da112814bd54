/**
 * Files among nodes whose connections break, whose chunks are damaged or lost, and that crash and
 * start again, power failures included: each arrives byte for byte, and what was once written is
 * not sent again without need.
 */
import t from 'tap'
import type { StateSync, TransferView } from '../../src/core/state-sync.js'
import {
  flipped,
  node,
  randomBytes,
  StateSyncWorld,
  type SyncNode
} from '../support/state-sync-world.js'

const chunkBytes = 4_096
const seeds = 25

interface Job {
  readonly from: SyncNode
  readonly to: SyncNode
  readonly file: string
  readonly content: Uint8Array
}

/** The caller of a transfer on one node: begins it again in each life of the node. */
function watch(node_: SyncNode, begin: (sync: StateSync) => Promise<TransferView>) {
  const watched = { isDone: false, attempts: 0 }
  const prepare = node_.prepare
  const attempt = (sync: StateSync) => {
    watched.attempts++
    begin(sync).then(
      () => {
        watched.isDone = true
      },
      () => {
        if (node_.isUp && node_.sync === sync) attempt(sync)
      }
    )
  }
  node_.prepare = (sync) => {
    prepare(sync)
    if (!watched.isDone) attempt(sync)
  }
  attempt(node_.sync)
  return watched
}

t.test('X-39 files arrive whole whatever strikes', async (t) => {
  const struck = { breaks: 0, isolations: 0, crashes: 0, powerFailures: 0, damaged: 0, lost: 0 }
  let resumed = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const config = {
      chunkBytes,
      stallTimeoutMs: 2_000,
      giveUpAfterMs: 600_000,
      chunksInFlightMax: 3
    }
    const world = new StateSyncWorld(seed, config)
    const names = ['a', 'b', 'c', 'd'].slice(0, 2 + (seed % 3))
    const nodes = world.start(...names)
    const random = world.random.split('faults')
    const pick = () => nodes[random.nextInt(nodes.length)] as SyncNode
    const takesFiles = (sync: StateSync) => sync.acceptFiles(({ file }) => file)
    for (const each of nodes) {
      each.prepare = takesFiles
      takesFiles(each.sync)
    }
    const jobs: Job[] = []
    for (let i = 0; i < 3; i++) {
      const from = pick()
      const others = nodes.filter((other) => other !== from)
      const to = others[random.nextInt(others.length)] as SyncNode
      const content = randomBytes(world.random, 50_000 + random.nextInt(400_000))
      await from.put(`file-${i}`, content)
      jobs.push({ from, to, file: `file-${i}`, content })
    }
    world.tamper = (_to, chunk) => {
      const fate = random.nextInt(100)
      if (fate < 4) struck.damaged++
      if (fate === 99) struck.lost++
      if (fate === 99) return null
      return fate < 4 ? flipped(chunk, random.nextInt(1_000_000)) : chunk
    }
    const watched = jobs.map(({ from, to, file }, i) =>
      i === 0
        ? watch(from, (sync) => sync.sendFile(to.nodeId, file))
        : watch(to, (sync) => sync.fetchFile(from.nodeId, file))
    )
    const isDone = () => watched.every((each) => each.isDone)
    for (let strike = 0; strike < 25 && !isDone(); strike++) {
      await world.clock.advance(5 + random.nextInt(150))
      const kind = random.nextInt(6)
      if (kind < 3) {
        struck.breaks++
        world.breakConnection(pick(), pick())
      } else if (kind === 3) {
        struck.isolations++
        const victim = pick()
        world.network.isolate(victim.nodeId)
        await world.clock.advance(random.nextInt(4_000))
        world.network.heal()
      } else {
        const victim = pick()
        const power = kind === 5
        if (power) struck.powerFailures++
        else struck.crashes++
        resumed += victim.sync.metrics().files_resumed
        victim.crash(power)
        await world.clock.advance(random.nextInt(2_000))
        victim.start()
      }
    }
    world.tamper = (_to, chunk) => chunk
    await world.clock.until(isDone, 1_200_000)
    for (const { to, file, content } of jobs) {
      const arrived = await to.read(file)
      t.ok(arrived !== null && Buffer.compare(arrived, content) === 0, `seed ${seed}: ${file}`)
    }
    await world.clock.settle(Promise.all(nodes.map(({ sync }) => sync.stop())), 120_000)
    for (const { sync } of nodes) resumed += sync.metrics().files_resumed
  }
  for (const [fault, count] of Object.entries(struck)) t.ok(count > seeds / 2, `${fault}: ${count}`)
  t.ok(resumed > seeds / 5, `${resumed} went on where they had stopped`)
})

t.test(
  'a receiver that is interrupted after every few chunks is sent each chunk once',
  async (t) => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = new StateSyncWorld(seed, { chunkBytes, chunksInFlightMax: 1 })
      const [a, b] = world.start('a', 'b') as [SyncNode, SyncNode]
      const content = randomBytes(world.random, 60 * chunkBytes)
      await a.put('goose', content)
      let written = 0
      let interruptions = 0
      for (;;) {
        const fetched = b.sync.fetchFile(node('a'), 'goose')
        fetched.catch(() => {})
        const before = b.sync
        const least = 1 + world.random.nextInt(9)
        const isEnough = () => before.metrics().chunks_received >= least
        const isOver = () => before.transfers().at(-1)?.state === 'done'
        await world.clock.until(() => isEnough() || isOver())
        written += before.metrics().chunks_received
        if (isOver()) break
        interruptions++
        b.crash()
        b.start()
      }
      t.ok(Buffer.compare((await b.read('goose')) ?? new Uint8Array(), content) === 0)
      t.ok(interruptions >= 5, `${interruptions} interruptions`)
      t.equal(written, 60, 'each chunk was written once')
    }
  }
)
