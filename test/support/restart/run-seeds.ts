/** Rolling restarts with faults at random moments: the harness of its planted bugs, too. */
import type { NodeId } from '../../../src/core/ids.js'
import type { RestartPlan } from '../../../src/core/rolling-restart.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { RestartWorld } from './restart-world.js'

export interface Failure {
  readonly seed: number
  readonly reason: string
}

/** Faults happen so long, then the plan must come to its end. */
const faultsMs = 45_000
const healedMs = 300_000

/** Null: nothing wrong was seen. */
export async function runSeeds(
  seeds: number,
  first = 1
): Promise<{ readonly failure: Failure | null }> {
  for (let seed = first; seed < first + seeds; seed++) {
    const reason = await runSeed(seed)
    if (reason !== null) return { failure: { seed, reason } }
  }
  return { failure: null }
}

export async function runSeed(seed: number): Promise<string | null> {
  const random = SplittableRandom.fromSeed(seed)
  const run = new Run(random)
  try {
    await run.begin()
    await run.disturb()
    await run.heal()
    return run.fault()
  } catch (error) {
    return `${(error as Error).message}\n${run.world.log.join('\n')}`
  } finally {
    run.world.stop()
  }
}

class Run {
  readonly world: RestartWorld
  readonly #random: SplittableRandom
  #faultyUntil = 0

  constructor(random: SplittableRandom) {
    this.#random = random
    this.world = new RestartWorld({
      nodes: 3 + random.nextInt(4),
      rackSize: 1 + random.nextInt(3),
      groups: 1 + random.nextInt(5),
      random: random.split('world'),
      lateMessages: random.nextInt(2) === 0
    })
  }

  async begin(): Promise<void> {
    const { world } = this
    const options = {
      delayMs: this.#random.nextInt(1_500),
      canaryDelayMs: this.#random.nextInt(2_500),
      preCheckTimeoutMs: 5_000 + this.#random.nextInt(30_000),
      routingTimeoutMs: 5_000,
      leadersTimeoutMs: 5_000,
      rejoinTimeoutMs: 20_000,
      restartTimeoutMs: 20_000
    }
    const leader = world.control.group.leader as NodeId
    await world.clock.settle(world.restarts(leader).start(options))
  }

  async disturb(): Promise<void> {
    const { world } = this
    const end = world.clock.now() + faultsMs
    while (world.clock.now() < end) {
      await world.clock.advance(200 + this.#random.nextInt(3_000))
      this.#fault()
      this.#resume()
      this.#watch()
    }
  }

  async heal(): Promise<void> {
    const { world } = this
    const end = world.clock.now() + healedMs
    while (this.#plan().status !== 'finished' && world.clock.now() < end) {
      await world.clock.advance(1_000)
      this.#resume()
      this.#watch()
    }
  }

  fault(): string | null {
    const { world } = this
    const [violation] = world.violations
    const told = () => `${world.log.join('\n')}`
    if (violation !== undefined) return `${violation}\n${told()}`
    const { status, reason, steps } = this.#plan()
    const phases = steps.map(({ node, phase }) => `${node} ${phase}`).join(', ')
    if (status !== 'finished') return `it is ${status} (${reason}): ${phases}\n${told()}`
    // Whoever was killed while it drained has a new process without its hook.
    const old = [...world.hosts.values()].filter(({ boots }) => boots < 2)
    return old.length === 0 ? null : `${old.map(({ id }) => id)} are as they were\n${told()}`
  }

  #plan(): RestartPlan {
    return this.world.control.state.plans.at(-1) as RestartPlan
  }

  /** A fault at a time, so that no majority is lost but by the plan. */
  #fault(): void {
    const { world } = this
    if (this.#random.nextInt(3) === 0) world.control.loseAnswers(1)
    if (world.clock.now() < this.#faultyUntil || this.#random.nextInt(3) > 0) return
    const owner = this.#plan().owner
    const all = [...world.hosts.keys()]
    const target =
      owner !== null && this.#random.nextInt(2) === 0
        ? owner
        : (all[this.#random.nextInt(all.length)] as NodeId)
    // Whoever is out by the plan is fault enough.
    if (!world.isUp(target) || world.host(target).isReplaced) return
    const forMs = this.#random.nextInt(3) === 0 ? 600 : 2_000 + this.#random.nextInt(8_000)
    this.#faultyUntil = world.clock.now() + forMs + 6_000
    switch (this.#random.nextInt(3)) {
      case 0:
        world.kill(target, forMs)
        break
      case 1:
        world.isolate(target, forMs)
        break
      default:
        world.degrade(target, forMs)
    }
  }

  /** The operator is patient, and sometimes undecided. */
  #resume(): void {
    const { id, status } = this.#plan()
    const leader = this.world.control.group.leader
    if (leader === null || !this.world.isUp(leader)) return
    const operate = (action: 'pause' | 'resume') => {
      this.world
        .restarts(leader)
        .operate(id, action, 'operator')
        .catch(() => {})
    }
    if (status === 'halted' || status === 'paused') operate('resume')
    else if (status === 'running' && this.#random.nextInt(20) === 0) operate('pause')
  }

  /** The plan itself never has two nodes out. */
  #watch(): void {
    const out = this.#plan().steps.filter(({ phase }) => phase !== 'pending' && phase !== 'done')
    if (out.length > 1) this.world.violations.push(`${out.map(({ node }) => node)} are out at once`)
  }
}
