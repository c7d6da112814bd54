/**
 * Whole simulated clusters from their founding on, whose leaders are killed at random moments: a
 * change of leaders that any node noticed is in the control group's records soon after it is calm.
 */
import t, { type Test } from 'tap'
import { CONTROL_GROUP, DEFAULT_GROUP, type GroupId, must } from '../../src/core/index.js'
import { ProcessExits } from '../../src/simulation/virtual-clock.js'
import { someOf } from '../support/thoroughness.js'
import { calmCluster } from './calm/calm-cluster.js'

/**
 * An election, two looks with who is silent, and five seconds until it shows what became of the
 * former leader, and as much again.
 */
const recordedWithinMs = 20_000
/** Of kills, each of whoever leads then. */
const rounds = 2
const groups = [DEFAULT_GROUP, CONTROL_GROUP] as const

interface Noticed {
  readonly group: GroupId
  readonly term: number
  readonly to: string
}

/** What one process has heard of: every leader after another one is owed a record. */
class Life {
  readonly noticed: Noticed[] = []
  readonly #leaders = new Map<GroupId, string>()

  hear(group: GroupId, term: number, leader: string | null): void {
    if (leader === null) return
    const before = this.#leaders.get(group)
    this.#leaders.set(group, leader)
    if (before !== undefined && before !== leader) this.noticed.push({ group, term, to: leader })
  }
}

interface Options {
  /** Those that are left do not hear each other for a moment, now and then. */
  readonly stutters: boolean
}

interface Outcome {
  readonly owed: number
  /** That are in no record. */
  readonly missing: readonly Noticed[]
}

class Trial {
  /** Of each host, its present one. */
  readonly #lives = new Map<number, Life>()
  readonly #world: ReturnType<typeof calmCluster>
  readonly #size: number
  readonly #options: Options

  constructor(seed: number, options: Options) {
    this.#size = seed % 3 === 0 ? 5 : 3
    this.#world = calmCluster(seed, this.#size, {})
    this.#options = options
  }

  async run(): Promise<Outcome> {
    const { cluster, run } = this.#world
    cluster.start()
    await run(0)
    for (const host of this.#hosts) this.#listen(host)
    await run(this.#upTo(6_000))
    for (let round = 0; round < rounds; round++) {
      const host = await this.#killLeader()
      if (this.#options.stutters) await this.#stutter()
      await run(this.#upTo(6_000))
      if (round === rounds - 1) break
      cluster.restart(host)
      await run(0)
      this.#listen(host)
      await run(this.#upTo(3_000))
    }
    await run(recordedWithinMs)
    return this.#outcome()
  }

  get #hosts(): readonly number[] {
    return Array.from({ length: this.#size }, (_, host) => host)
  }

  #upTo(ms: number): number {
    return this.#world.random.nextInt(ms)
  }

  #listen(host: number): void {
    const { manager } = must(this.#world.cluster.nodeAt(host), 'node')
    const life = new Life()
    this.#lives.set(host, life)
    const listen = async () => {
      for await (const event of manager.subscribeToEvents()) {
        if (event.type === 'LeaderChanged') life.hear(event.group, event.term, event.leader)
      }
    }
    void listen()
  }

  /** Of one of the groups, as soon as one leads it. */
  async #killLeader(): Promise<number> {
    const { cluster, run, random } = this.#world
    const group = must(groups[random.nextInt(groups.length)], 'group')
    for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 50) {
      const leads = (host: number) => {
        const view = cluster.nodeAt(host)?.manager.getClusterView()
        return view?.groups.some((one) => one.group === group && one.role === 'leader') ?? false
      }
      const host = this.#hosts.find(leads)
      if (host !== undefined) {
        cluster.crash(host, ProcessExits.Killed)
        this.#lives.delete(host)
        return host
      }
      await run(50)
    }
    throw new Error(`nobody leads group ${group}`)
  }

  async #stutter(): Promise<void> {
    const { links, run } = this.#world
    for (let i = 0; i < 3; i++) {
      await run(500 + this.#upTo(2_500))
      for (const from of this.#hosts) {
        for (const to of this.#hosts) {
          if (from !== to) links.cut(from, to, { kind: 'partition', streams: 'held' })
        }
      }
      await run(800 + this.#upTo(1_500))
      links.healAll()
    }
  }

  async #outcome(): Promise<Outcome> {
    const { cluster, settle } = this.#world
    const { manager } = must(cluster.startedNodes()[0], 'node')
    const records = await settle(manager.failover.history())
    const isRecorded = ({ group, term, to }: Noticed) =>
      records.some(
        (one) => one.group === group && one.term === term && one.to === to && one.from !== null
      )
    const owed = [...this.#lives.values()].flatMap(({ noticed }) => noticed)
    return { owed: owed.length, missing: owed.filter((one) => !isRecorded(one)) }
  }
}

async function expectRecorded(t: Test, seeds: number, options: Options): Promise<void> {
  let owed = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await new Trial(seed, options).run()
    owed += outcome.owed
    t.same(outcome.missing, [], `seed ${seed}`)
  }
  t.ok(owed >= seeds, `${owed} elections were noticed`)
}

t.test('leaders are killed from the founding on: every election is recorded', async (t) => {
  await expectRecorded(t, someOf(32, 16), { stutters: false })
})

t.test('and so is every election among those that lose each other meanwhile', async (t) => {
  await expectRecorded(t, someOf(32, 16), { stutters: true })
})
