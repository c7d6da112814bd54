/**
 * A room of servers on virtual time: each has workers and one queue, first come first served;
 * service times are log-normal, arrivals Poisson, spread over independent routers. Nothing takes
 * time on the way. As a queue is first come first served, the end of a query is known when it
 * begins, and the only events are arrivals and answers.
 */
import { type NodeId, SplittableRandom } from '../../src/core/index.js'
import type {
  EligibleNode,
  RoutingStrategy,
  StrategyContext
} from '../../src/core/routing-strategy.js'
import { type NodeLoad, NodeObservations } from '../../src/routing/node-observations.js'
import { AnswerQueue } from './answer-queue.js'

export interface RoomOptions {
  readonly seed: number
  readonly servers: number
  readonly workers: number
  readonly serviceMs: number
  /** Of the capacity, that of slow servers included. */
  readonly load: number
  readonly routers: number
  readonly seconds: number
  /** How many times slower the first server is, at a time in seconds. */
  readonly slownessAt: (second: number) => number
  /** For the load; the slowness that the capacity is reckoned with. */
  readonly slowness: number
}

/** Chooses a server for each arrival; `strategy` per router, or the one that knows everything. */
export type Balancer =
  | { readonly kind: 'strategy'; readonly make: () => RoutingStrategy }
  | { readonly kind: 'omniscient' }
  | { readonly kind: 'custom'; readonly choose: CustomChoose }
export type CustomChoose = (loads: readonly EligibleNode[], context: StrategyContext) => number

export interface RoomResult {
  /** When each query began, and how long it took, in ms. */
  readonly beganAt: Float64Array
  readonly tookMs: Float64Array
  /** 1 where it went to the first server. */
  readonly toFirst: Uint8Array
}

export function simulateRoom(options: RoomOptions, balancer: Balancer): RoomResult {
  return new Room(options, balancer).run()
}

/** So that the mean is 1 and the coefficient of variation too. */
const sigma = Math.sqrt(Math.log(2))

class Room {
  readonly #options: RoomOptions
  readonly #balancer: Balancer
  readonly #arrivals: SplittableRandom
  readonly #services: SplittableRandom
  readonly #spread: SplittableRandom
  readonly #ties: SplittableRandom
  readonly #freeAt: Float64Array
  readonly #inside: Int32Array
  readonly #routers: readonly Router[]
  readonly #answers = new AnswerQueue()

  constructor(options: RoomOptions, balancer: Balancer) {
    const { seed, servers, workers, routers } = options
    const random = SplittableRandom.fromSeed(seed)
    this.#options = options
    this.#balancer = balancer
    this.#arrivals = random.split('arrivals')
    this.#services = random.split('services')
    this.#spread = random.split('spread')
    this.#ties = random.split('ties')
    this.#freeAt = new Float64Array(servers * workers)
    this.#inside = new Int32Array(servers)
    this.#routers = Array.from(
      { length: routers },
      (_, i) => new Router(servers, balancer, random.split(`router ${i}`))
    )
  }

  run(): RoomResult {
    const { servers, workers, serviceMs, load, routers, seconds, slowness } = this.#options
    const perMs = (load * workers * (servers - 1 + 1 / slowness)) / serviceMs
    const endMs = seconds * 1_000
    const countMax = Math.ceil(perMs * endMs * 1.1) + 1_000
    const beganAt = new Float64Array(countMax)
    const tookMs = new Float64Array(countMax)
    const toFirst = new Uint8Array(countMax)
    let count = 0
    let now = this.#untilNext(perMs)
    while (now < endMs && count < countMax) {
      this.#answerUntil(now)
      const router = this.#spread.nextInt(routers)
      const server = this.#choose(router, now)
      const answeredAt = this.#serve(server, now)
      this.#answers.push(answeredAt, now, server, router)
      beganAt[count] = now
      tookMs[count] = answeredAt - now
      toFirst[count] = server === 0 ? 1 : 0
      count++
      now += this.#untilNext(perMs)
    }
    return {
      beganAt: beganAt.subarray(0, count),
      tookMs: tookMs.subarray(0, count),
      toFirst: toFirst.subarray(0, count)
    }
  }

  #untilNext(perMs: number): number {
    return -Math.log(1 - this.#arrivals.nextFloat()) / perMs
  }

  #choose(router: number, now: number): number {
    if (this.#balancer.kind === 'omniscient') return this.#leastBacklog(now)
    return (this.#routers[router] as Router).choose(now)
  }

  #leastBacklog(now: number): number {
    const { servers, serviceMs } = this.#options
    let chosen = 0
    let least = Number.POSITIVE_INFINITY
    // From a random one on: of equals none is preferred.
    const start = this.#ties.nextInt(servers)
    for (let i = 0; i < servers; i++) {
      const server = (start + i) % servers
      const free = this.#freeAt[this.#firstFree(server)] as number
      const done = Math.max(now, free) + serviceMs * this.#slownessOf(server, now)
      if (done >= least) continue
      least = done
      chosen = server
    }
    return chosen
  }

  /** When it will be answered. */
  #serve(server: number, now: number): number {
    const worker = this.#firstFree(server)
    const begins = Math.max(now, this.#freeAt[worker] as number)
    const mean = this.#options.serviceMs * this.#slownessOf(server, begins)
    const ends = begins + mean * Math.exp(sigma * this.#normal() - (sigma * sigma) / 2)
    this.#freeAt[worker] = ends
    this.#inside[server] = (this.#inside[server] as number) + 1
    return ends
  }

  #firstFree(server: number): number {
    const { workers } = this.#options
    let first = server * workers
    for (let worker = first + 1; worker < (server + 1) * workers; worker++) {
      if ((this.#freeAt[worker] as number) < (this.#freeAt[first] as number)) first = worker
    }
    return first
  }

  #slownessOf(server: number, now: number): number {
    return server === 0 ? this.#options.slownessAt(now / 1_000) : 1
  }

  #normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#services.nextFloat()))
    return radius * Math.cos(2 * Math.PI * this.#services.nextFloat())
  }

  #answerUntil(now: number): void {
    const { workers } = this.#options
    const answers = this.#answers
    while (answers.length > 0 && answers.earliest <= now) {
      const { at, begunAt, server, router } = answers.pop()
      const inside = (this.#inside[server] as number) - 1
      this.#inside[server] = inside
      ;(this.#routers[router] as Router).learn(server, at, at - begunAt, inside, workers)
    }
  }
}

class Router {
  readonly #loads: readonly NodeLoad[]
  readonly #strategy: RoutingStrategy | null
  readonly #context: {
    now: number
    random: SplittableRandom
    replicasNear: [number, number, number]
  }
  readonly #sample = { latencyMs: 0, utilisation: 0, queueDepth: 0 }
  readonly #custom: CustomChoose | null

  constructor(servers: number, balancer: Balancer, random: SplittableRandom) {
    const observations = new NodeObservations()
    this.#loads = Array.from({ length: servers }, (_, i) => {
      const load = observations.of(`n${String(i).padStart(3, '0')}` as NodeId)
      load.locality = 0.75
      return load
    })
    this.#strategy = balancer.kind === 'strategy' ? balancer.make() : null
    this.#custom = balancer.kind === 'custom' ? balancer.choose : null
    this.#context = { now: 0, random, replicasNear: [servers, 0, 0] }
  }

  choose(now: number): number {
    this.#context.now = now
    const chosen =
      this.#strategy?.choose(this.#loads, this.#context) ??
      this.#custom?.(this.#loads, this.#context) ??
      0
    this.#loads[chosen]?.begin()
    return chosen
  }

  learn(server: number, at: number, tookMs: number, inside: number, workers: number): void {
    this.#sample.latencyMs = tookMs
    this.#sample.utilisation = Math.min(1, inside / workers)
    this.#sample.queueDepth = inside
    this.#loads[server]?.end(this.#sample, at)
  }
}
