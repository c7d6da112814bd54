/** Decides who suffers what, and when: one loop per kind of fault, each with its own randomness. */
import { pick, type Random, shuffle } from '../core/index.js'
import type { FaultCounts } from './fault-counts.js'
import { hostName } from './host-name.js'
import { type Cut, CutKinds, type Links } from './links.js'
import type { EventRate, SwarmOptions } from './swarm-options.js'
import { type ProcessExit, ProcessExits, type VirtualTime } from './virtual-clock.js'

/** Sync: while a disk is busy with one. Commit: a leader has just committed. */
export const CrashMoments = { Sync: 'sync', Commit: 'commit' } as const

export interface ArmedCrash {
  readonly moment: (typeof CrashMoments)[keyof typeof CrashMoments]
  readonly exit: ProcessExit
  /** It happens at the end of the event of its host that is the `eventsLeft`-th such moment. */
  readonly eventsLeft: number
  /** Hosts that crash with it. */
  readonly others: readonly number[]
}

/** What the scheduler may do to a cluster. */
export interface FaultTarget {
  readonly size: number
  isUp(host: number): boolean
  isPaused(host: number): boolean
  leaders(): readonly number[]
  crash(host: number, exit: ProcessExit): void
  armCrash(host: number, crash: ArmedCrash): void
  /** A crash that is armed does not happen. */
  disarm(host: number): void
  restart(host: number): void
  pause(host: number): void
  resume(host: number): void
  setClockRate(host: number, rate: number): void
  setWallOffset(host: number, ms: number): void
}

export interface FaultSchedulerComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly links: Links
  readonly faults: FaultCounts
  readonly target: FaultTarget
  readonly log: (line: string) => void
  /** Null: all. Otherwise only these strikes happen, by their names. */
  readonly strikes: readonly string[] | null
}

export class FaultScheduler {
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #links: Links
  readonly #faults: FaultCounts
  readonly #target: FaultTarget
  readonly #log: (line: string) => void
  readonly #options: SwarmOptions
  readonly #downs: Random
  readonly #wanted: ReadonlySet<string> | null
  /** Names of all that was due, whether it happened or not. */
  readonly strikes: string[] = []
  #isOver = false

  constructor(components: FaultSchedulerComponents, options: SwarmOptions) {
    this.#time = components.time
    this.#random = components.random
    this.#links = components.links
    this.#faults = components.faults
    this.#target = components.target
    this.#log = components.log
    this.#options = options
    this.#wanted = components.strikes && new Set(components.strikes)
    this.#downs = components.random.split('downs')
  }

  start(): void {
    const { crash, pause } = this.#options
    const random = (purpose: string) => this.#random.split(purpose)
    const crashes = random('crash')
    this.#loop('crash', crash, crashes, (own) => this.#crashSome(own))
    const pauses = random('pause')
    this.#loop('pause', pause, pauses, (own, lengthMs) => this.#pauseOne(own, lengthMs))
    if (this.#target.size > 1) this.#startCuts(random)
    this.#startSkews(random('skew'))
  }

  /** Everything is repaired: links whole, everyone up and awake, clocks at the same pace. */
  heal(): void {
    this.#isOver = true
    this.#links.calm = true
    this.#links.healAll()
    for (let host = 0; host < this.#target.size; host++) {
      this.#target.disarm(host)
      if (this.#target.isPaused(host)) this.#target.resume(host)
      if (!this.#target.isUp(host)) this.#target.restart(host)
      this.#target.setClockRate(host, 1)
    }
  }

  /** A node has crashed, now or at the moment it was armed for: it comes back after a while. */
  handleCrash(host: number): void {
    this.#faults.crash++
    const { lengthMsMin, lengthMsMax } = this.#options.crash
    const downMs = lengthMsMin + this.#downs.nextFloat() * (lengthMsMax - lengthMsMin)
    this.#later(downMs, () => {
      if (!this.#target.isUp(host)) this.#target.restart(host)
    })
  }

  #startCuts(random: (purpose: string) => Random): void {
    const { partition, oneWay, leaderHunt, swizzle } = this.#options
    const partitions = random('partition')
    this.#loop('partition', partition, partitions, (own, ms) => this.#partition(own, ms))
    const oneWays = random('oneWay')
    this.#loop('one_way', oneWay, oneWays, (own, ms) => this.#cutOneWay(own, ms))
    const hunts = random('leaderHunt')
    this.#loop('leader_hunt', leaderHunt, hunts, (own, ms) => this.#huntLeader(own, ms))
    const swizzles = random('swizzle')
    this.#loop('swizzle', swizzle, swizzles, (own, ms) => this.#swizzle(own, ms))
  }

  #startSkews(random: Random): void {
    for (let host = 0; host < this.#target.size; host++) this.#skew(random, host)
    const { meanIntervalMs } = this.#options.skew
    const jumps = { meanIntervalMs, lengthMsMin: 0, lengthMsMax: 0 }
    this.#loop('skew', jumps, random, (own) => this.#skew(own, own.nextInt(this.#target.size)))
  }

  /** Each strike has randomness of its own: without one, the others are what they were. */
  #loop(
    kind: string,
    rate: EventRate,
    random: Random,
    strike: (own: Random, lengthMs: number) => void
  ): void {
    const mean = rate.meanIntervalMs
    if (mean === null) return
    let count = 0
    const next = () => {
      const wait = -mean * Math.log(1 - random.nextFloat())
      this.#time.post(this.#time.now + wait, 'fault', null, () => {
        if (this.#isOver) return
        const { lengthMsMin, lengthMsMax } = rate
        const name = `${kind}.${++count}`
        const own = random.split(name)
        this.strikes.push(name)
        if (this.#wanted?.has(name) ?? true) {
          strike(own, lengthMsMin + own.nextFloat() * (lengthMsMax - lengthMsMin))
        }
        next()
      })
    }
    next()
  }

  #later(ms: number, run: () => void): void {
    this.#time.post(this.#time.now + ms, 'repair', null, () => {
      if (!this.#isOver) run()
    })
  }

  #crashSome(random: Random): void {
    const { crash } = this.#options
    const duringSync = random.nextFloat() < crash.duringSyncProbability
    const afterCommit = random.nextFloat() < crash.afterCommitProbability
    const many = random.nextFloat() < crash.manyProbability
    const count = many ? 1 + random.nextInt(this.#target.size) : 1
    const isPower = random.nextFloat() < crash.powerProbability
    const exit = isPower ? ProcessExits.Power : ProcessExits.Killed
    for (let i = 0; i < count; i++) {
      const leader = this.#target.leaders()[0]
      const aimed = afterCommit && i === 0 && leader !== undefined
      const host = aimed ? leader : this.#victim(random)
      if (host === null) return
      const others = this.#othersThatCrash(random, host)
      const eventsLeft = random.nextInt(aimed ? 3 : 6)
      const moment = aimed ? CrashMoments.Commit : CrashMoments.Sync
      if (aimed || duringSync) this.#log(`fault: a crash waits for ${moment} of ${hostName(host)}`)
      if (aimed || duringSync) this.#target.armCrash(host, { moment, exit, eventsLeft, others })
      else for (const victim of [host, ...others]) this.#target.crash(victim, exit)
    }
  }

  #othersThatCrash(random: Random, host: number): number[] {
    if (random.nextFloat() >= this.#options.crash.majorityProbability) return []
    const others = this.#hosts().filter((other) => other !== host)
    return shuffle(random, others).slice(0, Math.floor(this.#target.size / 2))
  }

  /**
   * Leaders are taken from power as soon as they have appended something that only few hold: what
   * the next one does with it is the subject of the Raft paper's figure 8.
   */
  #huntLeader(random: Random, lengthMs: number): void {
    const leaders = this.#target.leaders().filter((host) => !this.#target.isPaused(host))
    const leader = leaders.at(-1)
    if (leader === undefined) return
    const others = shuffle(
      random,
      this.#hosts().filter((host) => host !== leader)
    )
    const companions = others.slice(0, random.nextInt(Math.ceil(this.#target.size / 2)))
    const outside = others.filter((host) => !companions.includes(host))
    const inside = [leader, ...companions]
    const out = inside.flatMap((a) => outside.map((b) => [a, b] as const))
    const back = out.map(([a, b]) => [b, a] as const)
    switch (random.nextInt(5)) {
      case 0:
        this.#cut(out, this.#drawCut(random, CutKinds.OneWay), lengthMs)
        return
      case 1:
        this.#cut(back, this.#drawCut(random, CutKinds.OneWay), lengthMs)
        return
      case 2:
        this.#cut([...out, ...back], this.#drawCut(random, CutKinds.Partition), lengthMs)
        this.#later(random.nextFloat() * lengthMs, () => {
          if (this.#target.isUp(leader)) this.#target.crash(leader, ProcessExits.Power)
        })
        return
      case 3:
        this.#pause(leader, lengthMs)
        return
      default:
        this.#cut([...out, ...back], this.#drawCut(random, CutKinds.Partition), lengthMs)
    }
  }

  /** FoundationDB's: clogged one by one, freed one by one in another order; and a few odd pairs. */
  #swizzle(random: Random, lengthMs: number): void {
    const hosts = shuffle(random, this.#hosts())
    const clogged = hosts.slice(0, 1 + random.nextInt(hosts.length))
    const freed = shuffle(random, clogged)
    const cut = this.#drawCut(random, CutKinds.Swizzle)
    for (const host of clogged) {
      const others = hosts.filter((other) => other !== host)
      const pairs = others.flatMap((other) => [[host, other] as const, [other, host] as const])
      this.#later(random.nextFloat() * lengthMs, () => this.#cutNow(pairs, cut))
    }
    freed.forEach((host, i) => {
      const pairs = hosts.flatMap((other) => [[host, other] as const, [other, host] as const])
      const at = lengthMs * (1 + (i + random.nextFloat()) / freed.length)
      this.#later(at, () => this.#heal(pairs))
    })
    const odd = [pick(random, hosts), pick(random, hosts)] as const
    if (odd[0] !== odd[1]) this.#cut([odd], cut, lengthMs)
  }

  #pauseOne(random: Random, lengthMs: number): void {
    const host = this.#victim(random)
    if (host !== null) this.#pause(host, lengthMs)
  }

  #pause(host: number, lengthMs: number): void {
    this.#faults.pause++
    this.#log(`fault: ${hostName(host)} stands still for ${Math.round(lengthMs)} ms`)
    this.#target.pause(host)
    this.#later(lengthMs, () => {
      if (this.#target.isPaused(host)) this.#target.resume(host)
    })
  }

  /** Someone who is up and awake; a leader as often as the seed wants. */
  #victim(random: Random): number | null {
    const wantsLeader = random.nextFloat() < this.#options.leaderProbability
    const hosts = this.#hosts().filter((h) => this.#target.isUp(h) && !this.#target.isPaused(h))
    const leaders = this.#target.leaders().filter((host) => hosts.includes(host))
    const from = wantsLeader && leaders.length > 0 ? leaders : hosts
    return from.length === 0 ? null : pick(random, from)
  }

  #partition(random: Random, lengthMs: number): void {
    const hosts = shuffle(random, this.#hosts())
    const wantsLeader = random.nextFloat() < this.#options.leaderProbability
    const leader = this.#target.leaders()[0]
    const alone = wantsLeader && leader !== undefined ? [leader] : null
    const inside = alone ?? hosts.slice(0, 1 + random.nextInt(Math.max(1, hosts.length - 1)))
    const outside = hosts.filter((host) => !inside.includes(host))
    // A bridge: one host outside still reaches everyone.
    if (random.nextFloat() < 0.2) outside.pop()
    const pairs = inside.flatMap((a) => outside.flatMap((b) => [[a, b] as const, [b, a] as const]))
    this.#cut(pairs, this.#drawCut(random, CutKinds.Partition), lengthMs)
  }

  #cutOneWay(random: Random, lengthMs: number): void {
    const host = this.#victim(random)
    if (host === null) return
    const others = this.#hosts().filter((other) => other !== host)
    const some = random.nextFloat() < 0.3 ? [pick(random, others)] : others
    const receivesOnly = random.nextInt(2) === 0
    const pairs = some.map((other) => (receivesOnly ? [host, other] : [other, host]) as Pair)
    this.#cut(pairs, this.#drawCut(random, CutKinds.OneWay), lengthMs)
  }

  #cutNow(pairs: readonly Pair[], cut: Cut): void {
    this.#log(`fault: ${cut.kind}, streams are ${cut.streams}: ${pairsText(pairs)}`)
    for (const [from, to] of pairs) this.#links.cut(from, to, cut)
  }

  #cut(pairs: readonly Pair[], cut: Cut, lengthMs: number): void {
    this.#cutNow(pairs, cut)
    this.#later(lengthMs, () => this.#heal(pairs))
  }

  #heal(pairs: readonly Pair[]): void {
    this.#log(`healed: ${pairsText(pairs)}`)
    this.#links.heal(pairs)
  }

  #drawCut(random: Random, kind: Cut['kind']): Cut {
    const isLost = random.nextFloat() < this.#options.lostStreamProbability
    return { kind, streams: isLost ? 'lost' : 'held' }
  }

  #skew(random: Random, host: number): void {
    const { rateMax, wallOffsetMsMax } = this.#options.skew
    if (rateMax === 1 && wallOffsetMsMax === 0) return
    this.#faults.skew++
    this.#target.setClockRate(host, rateMax ** (random.nextFloat() * 2 - 1))
    this.#target.setWallOffset(host, (random.nextFloat() * 2 - 1) * wallOffsetMsMax)
  }

  #hosts(): number[] {
    return Array.from({ length: this.#target.size }, (_, host) => host)
  }
}

type Pair = readonly [number, number]

const pairsText = (pairs: readonly Pair[]): string =>
  pairs.map(([from, to]) => `${hostName(from)}→${hostName(to)}`).join(' ')
