import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import { BackpressureError } from '../../core/errors.js'
import { RaftRoles } from '../../core/events.js'
import type { Hotspot, HotspotEvent, Hotspots, NodeLoad } from '../../core/hotspots.js'
import { DEFAULT_GROUP, type GroupId, type MonotonicMs, type NodeId } from '../../core/ids.js'
import { isServing, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type { ReplicatedGroup } from '../../core/ports/replicated-group.js'
import { shuffle } from '../../core/splittable-random.js'
import { loadReport } from '../messages.js'
import type { Placement } from '../placement-table.js'
import { HotspotDetector } from './hotspot-detector.js'
import { leaderMove } from './leader-move.js'
import { type LoadRow, LoadTable, loadKeysMax, loadRowsToldMax } from './load-table.js'
import { heatOf, LoadWindow } from './load-window.js'

/** Callbacks of `onHotspot`. */
export const hotspotCallbacksMax = 64
/** Words about a node are believed for so many intervals. */
const rowIntervals = 6
/** A hot leader's transfer of leadership is given up after this. */
const transferTimeoutMs = 5_000

export interface HotspotComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  readonly members: () => readonly Member[]
  readonly placementOf: (group: GroupId) => Placement | null
  readonly groupOf: (group: GroupId) => ReplicatedGroup | undefined
}

/**
 * Counts what this node executes, exchanges rates with others, tells what is hot, and does
 * something about it: reads of hot keys are spread (`spreads`), a hot leader hands over.
 */
export class HotspotsDriver implements Hotspots {
  readonly #parts: HotspotComponents
  readonly #nodeId: NodeId
  readonly #config: Config['routing']
  readonly #window: LoadWindow
  readonly #table: LoadTable
  readonly #detector: HotspotDetector
  readonly #timer: DeadlineTimer
  readonly #callbacks = new Set<(event: HotspotEvent) => void>()
  readonly #handlers: ((event: HotspotEvent) => void)[] = []
  #sequence = 0
  #leaderSince: MonotonicMs
  #wasQuiet = true
  #isMoving = false
  #detected = 0
  #rebalances = 0

  constructor(
    components: HotspotComponents,
    options: { readonly nodeId: NodeId; readonly config: Config['routing'] }
  ) {
    const { clock } = components
    const { config } = options
    this.#parts = components
    this.#nodeId = options.nodeId
    this.#config = config
    const window = { windowMs: config.hotspotWindowMs, keysMax: config.hotspotKeysMax }
    this.#window = new LoadWindow(window, clock.now())
    this.#table = new LoadTable({ ageMsMax: rowIntervals * config.hotspotIntervalMs })
    this.#detector = new HotspotDetector(config)
    this.#leaderSince = clock.now()
    this.#timer = new DeadlineTimer(clock, (now) => this.#handleTimeout(now))
  }

  start(): void {
    const { clock, messenger, random } = this.#parts
    messenger.onMessage(loadReport, ({ body }) => {
      const others = body.rows.filter(({ node }) => node !== this.#nodeId)
      this.#table.learn(others, clock.now())
    })
    this.#timer.arm(after(clock.now(), random.nextFloat() * this.#config.hotspotIntervalMs))
  }

  stop(): void {
    this.#timer.stop()
  }

  /** This node begins to execute a query. */
  record(key: string | null, isForLeader: boolean): void {
    this.#window.record(key, isForLeader, this.#parts.clock.now())
  }

  /** Whether reads of this key should go to all replicas that may answer them. */
  spreads(key: string | null): boolean {
    return key !== null && this.#config.hotspotSpreadReads && this.#detector.isHotKey(key)
  }

  /** Whoever leads, has led since now: a new leader does not hand over at once. */
  handleLeaderChanged(): void {
    this.#leaderSince = this.#parts.clock.now()
  }

  onEvent(handle: (event: HotspotEvent) => void): void {
    this.#handlers.push(handle)
  }

  get counts(): { readonly detected: number; readonly rebalances: number; readonly now: number } {
    const now = this.#detector.current().length
    return { detected: this.#detected, rebalances: this.#rebalances, now }
  }

  current(): readonly Hotspot[] {
    return this.#detector.current()
  }

  loads(): readonly NodeLoad[] {
    return this.#rows(this.#parts.clock.now()).map((row) => ({
      node: row.node,
      ratePerSecond: row.burstPerSecond,
      windowPerSecond: row.windowPerSecond,
      leaderPerSecond: row.leaderPerSecond,
      keys: row.keys.map(({ key, burstPerSecond }) => ({ key, ratePerSecond: burstPerSecond })),
      ageMs: Math.round(row.ageMs)
    }))
  }

  onHotspot(callback: (event: HotspotEvent) => void): () => void {
    if (this.#callbacks.size >= hotspotCallbacksMax) {
      throw new BackpressureError(`${hotspotCallbacksMax} callbacks of onHotspot already`)
    }
    const own = (event: HotspotEvent) => callback(event)
    this.#callbacks.add(own)
    return () => void this.#callbacks.delete(own)
  }

  #handleTimeout(now: MonotonicMs): void {
    const rows = this.#rows(now)
    const events = this.#detector.evaluate(rows, this.#holders(), now)
    for (const event of events) this.#handle(event)
    this.#maybeMoveLeader(rows, now)
    this.#tell(rows)
    this.#timer.arm(after(now, this.#config.hotspotIntervalMs))
  }

  /** What is known of every member, this node's own row as it is now; quiet ones left out. */
  #rows(now: MonotonicMs): LoadRow[] {
    const members = new Set(this.#parts.members().map(({ nodeId }) => nodeId))
    const node = this.#nodeId
    const own = { ...this.#window.load(now, loadKeysMax), node, sequence: this.#sequence, ageMs: 0 }
    const others = this.#table.rows(now, (one) => members.has(one))
    const rows = heatOf(own) > 0 ? [...others, own] : others
    return rows.sort((one, other) => (one.node < other.node ? -1 : 1))
  }

  /** Nodes that hold data of the default group and serve. */
  #holders(): NodeId[] {
    const voters = this.#parts.placementOf(DEFAULT_GROUP)?.voters ?? []
    const serving = this.#parts.members().filter(isServing)
    return voters.filter((node) => serving.some(({ nodeId }) => nodeId === node))
  }

  #handle(event: HotspotEvent): void {
    this.#publish(event)
    if (event.type !== 'HotspotDetected') return
    this.#detected++
    const { hotspot } = event
    if (hotspot.scope !== 'key' || !this.#config.hotspotSpreadReads) return
    this.#rebalances++
    this.#publish({
      type: 'HotspotMitigated',
      hotspot,
      action: 'spreadReads',
      target: null,
      reason: 'its reads go to all replicas that may answer them, in turn'
    })
  }

  #maybeMoveLeader(rows: readonly LoadRow[], now: MonotonicMs): void {
    const group = this.#parts.groupOf(DEFAULT_GROUP)
    const hotspot = this.#detector.hotNode(this.#nodeId)
    if (hotspot === null || group === undefined || this.#isMoving) return
    if (!this.#config.hotspotMoveLeaders || group.status().role !== RaftRoles.Leader) return
    const move = leaderMove({
      self: this.#nodeId,
      rows,
      voters: this.#holders(),
      isHot: (node) => this.#detector.hotNode(node) !== null,
      leaderSince: this.#leaderSince,
      gapMs: this.#config.leaderMoveGapMs,
      now
    })
    if (move === null) return
    this.#leaderSince = now
    this.#rebalances++
    const { target, reason } = move
    this.#publish({ type: 'HotspotMitigated', hotspot, action: 'moveLeader', target, reason })
    void this.#transfer(group, target, now)
  }

  async #transfer(group: ReplicatedGroup, target: NodeId, now: MonotonicMs): Promise<void> {
    this.#isMoving = true
    try {
      await group.transferLeadership(target, after(now, transferTimeoutMs))
    } catch (error) {
      this.#parts.logger.warn({ target, error }, 'a hot leader could not hand over')
    } finally {
      this.#isMoving = false
    }
  }

  /** A node that was quiet and is so has nothing to tell. */
  #tell(rows: readonly LoadRow[]): void {
    const own = rows.find(({ node }) => node === this.#nodeId)
    if (own === undefined && this.#wasQuiet) return
    this.#wasQuiet = own === undefined
    const { clock, members, messenger, random } = this.#parts
    this.#sequence = Math.max(this.#sequence + 1, Math.floor(clock.wallNow()))
    const said = { ...(own ?? this.#quietRow()), sequence: this.#sequence }
    const others = shuffle(
      random,
      rows.filter(({ node }) => node !== this.#nodeId)
    ).slice(0, loadRowsToldMax - 1)
    const body = { rows: [said, ...others].map((row) => ({ ...row, ageMs: Math.ceil(row.ageMs) })) }
    const targets = members()
      .filter((member) => member.nodeId !== this.#nodeId && isServing(member))
      .map(({ nodeId }) => nodeId)
      .sort()
    for (const target of shuffle(random, targets).slice(0, this.#config.hotspotFanout)) {
      messenger.send(target, loadReport, body)
    }
  }

  #quietRow(): LoadRow {
    const quiet = { burstPerSecond: 0, windowPerSecond: 0, leaderPerSecond: 0, keys: [] }
    return { ...quiet, node: this.#nodeId, sequence: 0, ageMs: 0 }
  }

  #publish(event: HotspotEvent): void {
    for (const handle of this.#handlers) handle(event)
    for (const callback of [...this.#callbacks]) {
      try {
        callback(event)
      } catch (error) {
        this.#parts.logger.error({ error }, 'a callback of onHotspot threw')
      }
    }
  }
}
