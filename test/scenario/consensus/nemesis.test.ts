import t from 'tap'
import { after } from '../../../src/core/deadlines.js'
import { type ClientId, DEFAULT_GROUP, type NodeId, type Serial } from '../../../src/core/ids.js'
import { pick } from '../../../src/core/splittable-random.js'
import { TestCluster } from '../../support/consensus-cluster.js'
import { someOf } from '../../support/thoroughness.js'

const seeds = someOf(16, 16)

/** Appends 1, 2, 3, … to its own key, each until it is answered, at whichever node it finds. */
class AppendingClient {
  readonly #cluster: TestCluster
  readonly id: ClientId
  acknowledged = 0
  expired = 0
  isStopped = false

  constructor(cluster: TestCluster, name: string) {
    this.#cluster = cluster
    this.id = name as ClientId
  }

  async run(): Promise<void> {
    while (!(await this.#attempt((name) => this.#register(name)))) await this.#sleep(20)
    while (!this.isStopped) {
      const serial = (this.acknowledged + 1) as Serial
      const client = { clientId: this.id, serial, answeredBelow: serial }
      const done = await this.#attempt((name) =>
        this.#cluster.write(name, `append ${this.id} ${serial},`, client, 400)
      )
      if (done) this.acknowledged = serial
      else await this.#sleep(10)
    }
  }

  #register(name: string): Promise<void> {
    return this.#cluster.group(name).registerClient(this.id, this.#cluster.deadline(400))
  }

  /** A dead process never answers: after a while the client stops waiting for it. */
  async #attempt(call: (name: string) => Promise<unknown>): Promise<boolean> {
    const up = [...this.#cluster.nodes].filter(
      ([, { isUp, driver }]) => isUp && driver.group(DEFAULT_GROUP) !== null
    )
    if (up.length === 0) return false
    const leading = up.filter(([, { driver }]) => driver.group(DEFAULT_GROUP)?.isLeader)
    const [name] = pick(this.#cluster.random, leading.length > 0 ? leading : up)
    const answered = call(name).then(
      () => true,
      (error: { code?: string }) => {
        if (error.code === 'ERR_SKEIN_CLIENT_EXPIRED') this.expired++
        return false
      }
    )
    const { clock } = this.#cluster
    return new Promise((resolve) => {
      const timer = clock.schedule(after(clock.now(), 600), () => resolve(false))
      answered.then((ok) => {
        timer.cancel()
        resolve(ok)
      })
    })
  }

  #sleep(ms: number): Promise<void> {
    const { clock } = this.#cluster
    return new Promise((resolve) => {
      clock.schedule(after(clock.now(), ms), resolve)
    })
  }
}

async function torment(cluster: TestCluster, rounds: number): Promise<Record<string, number>> {
  const { random, clock, network } = cluster
  const struck = { crash: 0, isolate: 0, transfer: 0, all: 0 }
  for (let round = 0; round < rounds; round++) {
    await clock.advance(20 + random.nextInt(500))
    const names = [...cluster.nodes.keys()]
    const victim = pick(random, names)
    const fate = random.nextInt(8)
    if (fate < 4) {
      struck.crash++
      if (cluster.node(victim).isUp) cluster.crash(victim)
      await clock.advance(random.nextInt(400))
      if (!cluster.node(victim).isUp) await cluster.start(victim)
    } else if (fate < 6) {
      struck.isolate++
      network.isolate(victim as NodeId)
      await clock.advance(random.nextInt(600))
      network.heal()
    } else if (fate < 7) {
      struck.transfer++
      const leader = cluster.leader()
      if (leader === null) continue
      cluster
        .group(leader)
        .transferLeadership(null, cluster.deadline(300))
        .catch(() => {})
    } else {
      struck.all++
      for (const name of names) if (cluster.node(name).isUp) cluster.crash(name)
      for (const name of names) await cluster.start(name)
    }
  }
  return struck
}

t.test('every append of every client is there once and in order, whatever fails', async (t) => {
  const struck = { crash: 0, isolate: 0, transfer: 0, all: 0 } as Record<string, number>
  let acknowledged = 0
  for (let seed = 0; seed < seeds; seed++) {
    const cluster = new TestCluster({ seed, syncLatencyMs: 3, engine: { latencyMs: 1 } })
    await cluster.startAll()
    const clients = ['c0', 'c1', 'c2'].map((name) => new AppendingClient(cluster, name))
    const running = Promise.all(clients.map((client) => client.run()))
    const counts = await torment(cluster, 14)
    for (const [fault, count] of Object.entries(counts)) {
      struck[fault] = (struck[fault] ?? 0) + count
    }
    for (const client of clients) client.isStopped = true
    await cluster.clock.settle(running)
    await cluster.clock.advance(1_000)
    await cluster.untilCaughtUp()
    const leader = await cluster.untilLeader()
    for (const { id, acknowledged: count, expired } of clients) {
      t.equal(expired, 0, `seed ${seed}: no registration is lost`)
      const found = (await cluster.read(leader, id)) ?? ''
      const serials = found.split(',').slice(0, -1).map(Number)
      const expected = serials.map((_, i) => i + 1)
      t.same(serials, expected, `seed ${seed}: ${id} in order, each once`)
      t.ok(
        serials.length === count || serials.length === count + 1,
        `seed ${seed}: ${serials.length} found, ${count} acknowledged`
      )
      acknowledged += count
    }
    t.equal(new Set(await cluster.hashes()).size, 1, `seed ${seed}: replicas agree`)
    const failed = [...cluster.nodes.keys()].map((name) => cluster.group(name).status().failed)
    t.same(failed, [null, null, null], `seed ${seed}: no replica has failed`)
  }
  t.ok(acknowledged > 40 * seeds, `${acknowledged} acknowledged`)
  t.ok(
    Object.values(struck).every((count) => count > 0),
    JSON.stringify(struck)
  )
})
