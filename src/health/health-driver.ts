/**
 * The health room of one node: measures paths to its neighbours, judges them, shares what it
 * measured and looks for relays. It emits verdicts; whether a member lives is membership's to say.
 *
 * Five rounds, each at its own interval: pings, checks, byte counters, datagram trains, routes.
 * Statistics and the search run in a worker.
 */
import type { ClusterHealth } from '../core/cluster-health.js'
import type { HealthCheck } from '../core/cluster-manager.js'
import type { Config } from '../core/config/schema.js'
import { Counters } from '../core/counters.js'
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after, Deadlines } from '../core/deadlines.js'
import { UnknownNodeError } from '../core/errors.js'
import type { HealthEvent } from '../core/events.js'
import { type HealthVerdict, VerdictStatuses } from '../core/health-verdict.js'
import type {
  Capacity,
  MatrixRow,
  PeerSummary,
  RelayRoute,
  VerdictRecord
} from '../core/health-views.js'
import { compareText, type MonotonicMs, type NodeId } from '../core/ids.js'
import { type HealthStatus, HealthStatuses, Lifecycles, type Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { Workers } from '../core/ports/workers.js'
import type { Reachability } from '../core/reachability.js'
import { factsOf, hasCode } from '../core/remote-error.js'
import type { TellQueue } from '../core/tell-queue.js'
import { CapacityProbes } from './capacity-driver.js'
import { MatrixGossip } from './gossip.js'
import { type HealthCounterName, healthCounterNames, measureTotals } from './health-counters.js'
import { LatencyMatrix } from './latency-matrix.js'
import { LossRounds } from './loss-driver.js'
import { healthCheck, latencyPing, matrixRows } from './messages.js'
import type { PeerHealth } from './peer-health.js'
import { Peers } from './peers.js'
import type { ProbeDatagrams, Traffic } from './ports.js'
import { ReachabilityTests } from './reachability-driver.js'
import { costTableOf } from './route-search.js'
import { type RouteChange, RouteTable } from './route-table.js'
import { Statistics } from './statistics-driver.js'
import { Verdicts } from './verdicts.js'

export interface HealthComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  /** Null: loss is not measured, it stays "insufficient data". */
  readonly datagramsProbe: ProbeDatagrams | null
  readonly workers: Workers
  readonly logger: Logger
  readonly members: () => readonly Member[]
  /** How late this node's main loop runs. */
  readonly loop: { delayMs(): number }
  /** Absent: bandwidth is known from capacity probes alone. */
  readonly traffic?: Traffic
  /** What this node answers when it is asked how it is. Absent: by its loop alone. */
  readonly selfReport?: () => { readonly status: HealthStatus; readonly detail: string }
}

export interface HealthOptions {
  readonly nodeId: NodeId
  readonly config: Config['health']
}

type Round = 'latency' | 'check' | 'bandwidth' | 'loss' | 'routes' | 'expiry'

/** Rounds begin within this of the start, however long their interval. */
const firstRoundMs = 1_000
/** A path must be so many times dearer than another before it is left for it. */
const routeKeepFactor = 1.25

export class HealthDriver implements Omit<ClusterHealth, 'peerStatuses'> {
  readonly counters = new Counters<HealthCounterName>(healthCounterNames)
  readonly #components: HealthComponents
  readonly #nodeId: NodeId
  readonly #config: Config['health']
  readonly #random: Random
  readonly #peers: Peers
  readonly #verdicts: Verdicts
  readonly #matrix: LatencyMatrix
  readonly #gossip: MatrixGossip
  readonly #routes: RouteTable
  readonly #statistics: Statistics
  readonly #losses: LossRounds
  readonly #capacities: CapacityProbes
  readonly #reachability: ReachabilityTests
  readonly #deadlines = new Deadlines<Round>()
  readonly #timer: DeadlineTimer
  readonly #handlers: ((event: HealthEvent) => void)[] = []
  #sequence = 0
  #isMeasuring = false
  #isStopped = false

  constructor(components: HealthComponents, { nodeId, config }: HealthOptions) {
    const { clock, messenger, logger, datagramsProbe } = components
    this.#components = components
    this.#nodeId = nodeId
    this.#config = config
    this.#random = components.random.split('rounds')
    this.#peers = new Peers(nodeId, config)
    this.#verdicts = new Verdicts(config)
    this.#matrix = new LatencyMatrix({ rowsMax: config.matrixRowsMax, ttlMs: config.matrixTtlMs })
    this.#gossip = new MatrixGossip(nodeId, this.#matrix)
    this.#routes = new RouteTable(nodeId, {
      confirmations: config.confirmations,
      severeFactor: config.routeSevereFactor,
      severeFloorMs: config.routeSevereFloorMs,
      keepFactor: routeKeepFactor,
      ttlMs: config.routeTtlMs
    })
    this.#statistics = new Statistics(components, config)
    const trains = {
      datagrams: datagramsProbe,
      peerOf: (peer: NodeId) => this.#peers.obtain(peer)
    }
    this.#losses = new LossRounds(
      { clock, messenger, logger, ...trains, random: components.random.split('trains') },
      config
    )
    this.#capacities = new CapacityProbes({ clock, messenger }, config)
    this.#reachability = new ReachabilityTests(
      { clock, messenger, ...trains, random: components.random.split('reachability') },
      config
    )
    this.#timer = new DeadlineTimer(clock, (now) => this.#handleTimeout(now))
    this.#answerOthers()
  }

  start(): void {
    const { clock } = this.#components
    for (const round of ['latency', 'check', 'bandwidth', 'loss', 'routes'] as const) {
      const firstMs = Math.min(firstRoundMs, this.#intervalOf(round))
      this.#deadlines.set(round, after(clock.now(), this.#random.nextFloat() * firstMs))
    }
    this.#arm()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer.stop()
    this.#losses.stop()
    await this.#statistics.stop()
  }

  onEvent(handle: (event: HealthEvent) => void): void {
    this.#handlers.push(handle)
  }

  /** A round trip that somebody measured in passing; cheap enough for every request. */
  observe(nodeId: NodeId, rttMs: number): void {
    const peer = this.#peers.get(nodeId)
    if (peer !== undefined) this.#statistics.record(peer.tag, rttMs)
  }

  /** Every measured peer, in the order of the names. */
  peers(): PeerSummary[] {
    return this.#peers.all().map((peer) => peer.summary())
  }

  verdictOn(nodeId: NodeId): HealthVerdict | null {
    return this.#verdicts.verdictOn(nodeId)
  }

  /** Changed verdicts with what they came from, oldest first. */
  explainVerdicts(nodeId?: NodeId): readonly VerdictRecord[] {
    return this.#verdicts.explain(nodeId)
  }

  /** What every node measured, as far as this one has heard. */
  latencyMatrix(): MatrixRow[] {
    return this.#matrix.rows(this.#components.clock.now())
  }

  /** By way of whom priority traffic to `target` should go; null: directly. */
  relayFor(target: NodeId): NodeId | null {
    return this.#routes.relayFor(target, this.#components.clock.now())
  }

  routes(): readonly RelayRoute[] {
    return this.#routes.routes()
  }

  /**
   * Sends up to `health.capacityProbeBytesMax` bytes to measure what the path can carry.
   * @throws BackpressureError a probe is running, or the peer serves no more now
   * @throws what the messenger throws
   */
  async probeCapacity(
    nodeId: NodeId,
    options: { readonly bytesMax?: number; readonly timeoutMs?: number } = {}
  ): Promise<Capacity> {
    const { clock } = this.#components
    const deadline = after(clock.now(), options.timeoutMs ?? this.#config.bandwidthIntervalMs)
    const bytesMax = options.bytesMax ?? this.#config.capacityProbeBytesMax
    this.counters.add('capacity_probes')
    const capacity = await this.#capacities.probe(nodeId, { bytesMax, deadline })
    const peer = this.#peers.obtain(nodeId)
    if (peer !== null) peer.capacity = capacity
    return capacity
  }

  async reachability(nodeIds?: readonly NodeId[]): Promise<readonly Reachability[]> {
    const others = this.#components
      .members()
      .filter(({ nodeId, lifecycle }) => nodeId !== this.#nodeId && lifecycle !== Lifecycles.Left)
    const stranger = nodeIds?.find((wanted) => others.every(({ nodeId }) => nodeId !== wanted))
    if (stranger !== undefined) {
      throw new UnknownNodeError(`${stranger} is no other member`)
    }
    const tested = others.filter(({ nodeId }) => nodeIds?.includes(nodeId) ?? true)
    return this.#reachability.test(tested.sort((a, b) => compareText(a.nodeId, b.nodeId)))
  }

  /** For `healthCheck()` of the facade. */
  checks(): HealthCheck[] {
    const bad = this.#peers.all().flatMap(({ nodeId }) => {
      const verdict = this.#verdicts.verdictOn(nodeId)
      const isBad =
        verdict?.status === VerdictStatuses.Degraded ||
        verdict?.status === VerdictStatuses.Unreachable
      return isBad ? [`${nodeId} ${verdict.status} (${verdict.reason})`] : []
    })
    const detail = bad.length === 0 ? 'no path is degraded' : bad.join(', ')
    return [{ name: 'network', ok: bad.length === 0, detail }]
  }

  /** The counters, with what is measured rather than counted brought up to date. */
  metrics(): Readonly<Record<HealthCounterName, number>> {
    const totals = measureTotals(this.peers())
    const { samples, samplesLost, workerFailures } = this.#statistics.counts
    this.counters.set('average_latency_ms', totals.averageLatencyMs)
    this.counters.set('packet_loss_rate', totals.packetLossRate)
    this.counters.set('bandwidth_mbps', totals.bandwidthMbps)
    this.counters.set('loss_trains', this.#losses.trains)
    this.counters.set('samples', samples)
    this.counters.set('samples_lost', samplesLost)
    this.counters.set('worker_failures', workerFailures)
    this.counters.set('matrix_rows_refused', this.#matrix.refused)
    this.counters.set('active_relays', this.#routes.routes().length)
    return this.counters.snapshot()
  }

  tellQueues(tell: TellQueue): void {
    tell('health.peersMax', this.#peers.size, this.#config.peersMax)
    tell('health.matrixRowsMax', this.#matrix.size, this.#config.matrixRowsMax)
  }

  #answerOthers(): void {
    const { clock, messenger, loop, selfReport } = this.#components
    messenger.onRequest(latencyPing, async ({ body }) => {
      const receivedAtMs = clock.now()
      const receivedWallMs = clock.wallNow()
      const loopDelayMs = loop.delayMs()
      const heldMs = clock.now() - receivedAtMs
      return { sequence: body.sequence, receivedWallMs, receivedAtMs, heldMs, loopDelayMs }
    })
    messenger.onRequest(healthCheck, async () => {
      const loopDelayMs = loop.delayMs()
      const isSlow = loopDelayMs > this.#config.loopDelayMs
      const byLoop = {
        status: isSlow ? HealthStatuses.Degraded : HealthStatuses.Healthy,
        detail: isSlow ? `the main loop was ${Math.round(loopDelayMs)} ms late` : ''
      }
      return { ...(selfReport?.() ?? byLoop), loopDelayMs }
    })
    messenger.onMessage(matrixRows, ({ body }) => {
      if (!this.#isStopped) this.#gossip.handleRows(body.rows, clock.now())
    })
  }

  #handleTimeout(now: MonotonicMs): void {
    if (this.#deadlines.isDue('expiry', now)) this.#publishRoutes(this.#routes.handleTimeout(now))
    if (this.#takeDue('bandwidth', now)) this.#readTraffic(now)
    if (this.#takeDue('loss', now)) this.#losses.begin(this.#neighbours())
    if (this.#takeDue('check', now)) this.#run(this.#checkRound())
    if (this.#takeDue('latency', now)) this.#run(this.#latencyRound())
    if (this.#takeDue('routes', now)) this.#run(this.#routeRound())
    this.#arm()
  }

  #takeDue(round: Round, now: MonotonicMs): boolean {
    if (!this.#deadlines.isDue(round, now)) return false
    this.#deadlines.set(round, after(now, this.#intervalOf(round)))
    return true
  }

  async #latencyRound(): Promise<void> {
    if (this.#isMeasuring) return
    this.#isMeasuring = true
    try {
      const neighbours = this.#neighbours()
      const wereOut = outOf(neighbours)
      const answered = await Promise.all(neighbours.map((peer) => this.#ping(peer)))
      if (this.#isStopped) return
      this.#judge(neighbours, answered)
      await this.#takeDistributions()
      if (this.#isStopped) return
      this.#tellMatrix(neighbours)
      const hasChanged = outOf(neighbours) !== wereOut
      if (hasChanged || this.#routes.routes().length > 0) await this.#routeRound()
    } finally {
      this.#isMeasuring = false
    }
  }

  /** Null: the peer does not know the question, which says nothing. */
  async #ping(peer: PeerHealth): Promise<boolean | null> {
    const { clock, messenger, loop } = this.#components
    const askedAt = clock.now()
    const askedWallMs = clock.wallNow()
    const deadline = after(askedAt, this.#config.latencyTimeoutMs)
    const body = { sequence: this.#sequence++ % 0x1_0000_0000 }
    this.counters.add('pings')
    try {
      const answer = await messenger.request(peer.nodeId, latencyPing, body, {
        deadline,
        direct: true
      })
      const context = { localLoopDelayMs: loop.delayMs(), othersAnswer: true }
      const pong = { answer, askedAt, askedWallMs, heardAt: clock.now() }
      this.#statistics.record(peer.tag, peer.handlePong(pong, context))
      return true
    } catch (error) {
      if (hasCode(error, 'ERR_SKEIN_UNKNOWN_MESSAGE')) return null
      this.counters.add('failed_pings')
      this.#components.logger.debug({ nodeId: peer.nodeId, ...factsOf(error) }, 'a ping failed')
      return false
    }
  }

  /** Silence means something only beside what the others did. */
  #judge(neighbours: readonly PeerHealth[], answered: readonly (boolean | null)[]): void {
    const { clock, loop } = this.#components
    const now = clock.now()
    const othersAnswer = neighbours.length < 2 || answered.includes(true)
    const context = { localLoopDelayMs: loop.delayMs(), othersAnswer }
    neighbours.forEach((peer, i) => {
      if (answered[i] === null) return
      if (answered[i] === false) peer.handleSilence(context, now)
      const diagnosis = peer.diagnosis()
      if (diagnosis === null) return
      const { nodeId, failuresInRow } = peer
      const quality = peer.quality().value
      const observation = { nodeId, quality, diagnosis, failuresInRow }
      const verdict = this.#verdicts.observe(observation, now)
      if (verdict === null) return
      this.counters.add('verdict_changes')
      this.#emit({ type: 'HealthVerdictChanged', verdict })
    })
  }

  async #takeDistributions(): Promise<void> {
    const distributions = await this.#statistics.distributions()
    if (distributions === null) return
    for (const peer of this.#peers.all()) peer.distribution = distributions.get(peer.tag) ?? null
  }

  #tellMatrix(neighbours: readonly PeerHealth[]): void {
    const { clock, messenger } = this.#components
    const now = clock.now()
    const cells = neighbours.flatMap((peer) => peer.cell(now) ?? [])
    this.#gossip.handleMeasured(cells, now, clock.wallNow())
    const rows = this.#gossip.rowsToTell(now)
    const names = neighbours.map(({ nodeId }) => nodeId)
    for (const target of this.#gossip.targets(names, this.#config.matrixFanout, this.#random)) {
      messenger.send(target, matrixRows, { rows })
    }
  }

  async #checkRound(): Promise<void> {
    await Promise.all(this.#neighbours().map((peer) => this.#check(peer)))
  }

  async #check(peer: PeerHealth): Promise<void> {
    const { clock, messenger, logger } = this.#components
    const deadline = after(clock.now(), this.#config.latencyTimeoutMs)
    const body = { sequence: this.#sequence++ % 0x1_0000_0000 }
    this.counters.add('health_checks')
    try {
      peer.report = await messenger.request(peer.nodeId, healthCheck, body, { deadline })
    } catch (error) {
      this.counters.add('failed_health_checks')
      logger.debug({ nodeId: peer.nodeId, ...factsOf(error) }, 'a health check failed')
    }
  }

  #readTraffic(now: MonotonicMs): void {
    const { traffic } = this.#components
    if (traffic === undefined) return
    for (const peer of this.#peers.all()) {
      const totals = traffic(peer.nodeId)
      if (totals !== null) peer.throughput.push(totals, now)
    }
  }

  async #routeRound(): Promise<void> {
    const { clock } = this.#components
    const rows = this.#matrix.rows(clock.now())
    const nodes = rows.map(({ origin }) => origin)
    const silent = this.#peers.all().filter(({ nodeId }) => !nodes.includes(nodeId))
    nodes.push(...silent.map(({ nodeId }) => nodeId))
    const table = costTableOf(rows, nodes)
    const proposals = await this.#statistics.searchRoutes(table, this.#nodeId)
    if (proposals === null || this.#isStopped) return
    this.#publishRoutes(this.#routes.handleSearch(table, proposals, clock.now()))
    this.#arm()
  }

  #publishRoutes(changes: readonly RouteChange[]): void {
    for (const { target, route, reason } of changes) {
      if (route !== null) this.counters.add('route_optimizations')
      const relay = route?.relay ?? null
      const expectedImprovement = route?.expectedImprovement ?? 0
      this.#emit({ type: 'RouteChanged', target, relay, expectedImprovement, reason })
    }
  }

  /** Follows the members; what is known of those who left is dropped. */
  #neighbours(): PeerHealth[] {
    const { neighbours, gone } = this.#peers.sync(this.#components.members())
    for (const { nodeId } of gone) {
      this.#verdicts.forget(nodeId)
      this.#matrix.forget(nodeId)
    }
    this.#run(this.#statistics.forget(gone.map(({ tag }) => tag)))
    return neighbours
  }

  #intervalOf(round: Round): number {
    const { latencyIntervalMs, checkIntervalMs, bandwidthIntervalMs } = this.#config
    const { lossIntervalMs, routeIntervalMs, routeTtlMs } = this.#config
    const intervals = {
      latency: latencyIntervalMs,
      check: checkIntervalMs,
      bandwidth: bandwidthIntervalMs,
      loss: lossIntervalMs,
      routes: routeIntervalMs,
      expiry: routeTtlMs
    }
    return intervals[round]
  }

  #arm(): void {
    this.#deadlines.set('expiry', this.#routes.nextDeadline())
    this.#timer.arm(this.#deadlines.next())
  }

  #emit(event: HealthEvent): void {
    for (const handle of this.#handlers) handle(event)
  }

  /** A round that fails is told; the next one comes at its time. */
  #run(round: Promise<void>): void {
    round.catch((error) => this.#components.logger.error({ error }, 'a health round failed'))
  }
}

const outOf = (peers: readonly PeerHealth[]): string =>
  peers
    .filter(({ isOut }) => isOut)
    .map(({ nodeId }) => nodeId)
    .join()
