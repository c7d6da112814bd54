/**
 * Exchanges heartbeats with every member: each tells the other how it is and what it is for. One
 * exchange per pair and interval suffices, since both ends learn from it; both ask all the same,
 * so that neither depends on the other's timer.
 */
import type { ClusterHealth, PeerStatus } from '../core/cluster-health.js'
import type { Config } from '../core/config/schema.js'
import { Counters } from '../core/counters.js'
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import type { HealthEvent } from '../core/events.js'
import type { NodeId } from '../core/ids.js'
import {
  type HealthStatus,
  HealthStatuses,
  type Lifecycle,
  Lifecycles,
  Livenesses,
  type Member
} from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import { factsOf } from '../core/remote-error.js'
import type { TellQueue } from '../core/tell-queue.js'
import { Heartbeats } from './heartbeats.js'
import { type Heartbeat, heartbeatMetadataMax, heartbeatPing } from './messages.js'

export const heartbeatCounterNames = [
  'heartbeats_sent',
  'heartbeats_missed',
  'heartbeats_heard'
] as const
export type HeartbeatCounterName = (typeof heartbeatCounterNames)[number]

/** How this node is, as it says itself. */
export interface SelfStatus {
  readonly status: HealthStatus
  readonly lifecycle: Lifecycle
  readonly loopDelayMs: number
  readonly metadata: Readonly<Record<string, string>>
}

export interface HeartbeatComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  readonly members: () => readonly Member[]
  readonly self: () => SelfStatus
}

export interface HeartbeatOptions {
  readonly nodeId: NodeId
  readonly config: Config['health']
}

export class HeartbeatDriver implements Pick<ClusterHealth, 'peerStatuses'> {
  readonly counters = new Counters<HeartbeatCounterName>(heartbeatCounterNames)
  readonly #components: HeartbeatComponents
  readonly #options: HeartbeatOptions
  readonly #heartbeats: Heartbeats
  readonly #timer: DeadlineTimer
  readonly #bootNumber: number
  readonly #handlers: ((event: HealthEvent) => void)[] = []
  #sequence = 0
  #isStopped = false

  constructor(components: HeartbeatComponents, options: HeartbeatOptions) {
    const { heartbeatTimeoutMs, peersMax } = options.config
    this.#components = components
    this.#options = options
    this.#heartbeats = new Heartbeats({ timeoutMs: heartbeatTimeoutMs, peersMax })
    this.#bootNumber = Math.max(0, Math.floor(components.clock.wallNow()))
    this.#timer = new DeadlineTimer(components.clock, () => this.#beginRound())
    components.messenger.onRequest(heartbeatPing, async ({ peer, body }) => {
      if (peer.kind === 'node') this.#handleHeard(peer.nodeId, body)
      return this.#own()
    })
  }

  /** The first round comes at a random moment of the first interval: nodes do not beat in step. */
  start(): void {
    this.#arm(this.#components.random.nextFloat())
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
  }

  onEvent(handle: (event: HealthEvent) => void): void {
    this.#handlers.push(handle)
  }

  /** Tells everybody now: something changed that they should not hear of half a minute late. */
  announce(): void {
    if (!this.#isStopped) this.#beginRound()
  }

  peerStatuses(): PeerStatus[] {
    return this.#heartbeats.statuses(this.#components.clock.now())
  }

  tellQueues(tell: TellQueue): void {
    tell('health.peersMax', this.#heartbeats.size, this.#options.config.peersMax)
  }

  #beginRound(): void {
    this.#arm(1)
    const peers = this.#peers()
    this.#heartbeats.retain(new Set(peers))
    for (const peer of peers.slice(0, this.#options.config.peersMax)) {
      this.#exchange(peer).catch((error) => {
        this.#components.logger.error({ error }, 'a heartbeat failed')
      })
    }
  }

  async #exchange(nodeId: NodeId): Promise<void> {
    const { clock, messenger, logger } = this.#components
    const { heartbeatIntervalMs, heartbeatTimeoutMs } = this.#options.config
    const waitMs = Math.min(heartbeatIntervalMs, heartbeatTimeoutMs)
    const deadline = after(clock.now(), waitMs)
    this.counters.add('heartbeats_sent')
    try {
      const answer = await messenger.request(nodeId, heartbeatPing, this.#own(), { deadline })
      this.#handleHeard(nodeId, answer)
    } catch (error) {
      this.counters.add('heartbeats_missed')
      this.#heartbeats.handleMissed(nodeId)
      logger.debug({ nodeId, ...factsOf(error) }, 'a heartbeat was not answered')
    }
  }

  #handleHeard(nodeId: NodeId, heartbeat: Heartbeat): void {
    if (this.#isStopped) return
    this.counters.add('heartbeats_heard')
    const now = this.#components.clock.now()
    const change = this.#heartbeats.handleHeard(nodeId, heartbeat, now)
    if (change === null) return
    for (const handle of this.#handlers) handle({ type: 'PeerStatusChanged', ...change })
  }

  #own(): Heartbeat {
    const { metadata, ...self } = this.#components.self()
    return {
      ...self,
      bootNumber: this.#bootNumber,
      sequence: ++this.#sequence,
      metadata: Object.entries(metadata)
        .slice(0, heartbeatMetadataMax)
        .map(([key, value]) => ({ key, value }))
    }
  }

  #peers(): NodeId[] {
    return this.#components
      .members()
      .filter(
        ({ nodeId, liveness, lifecycle }) =>
          nodeId !== this.#options.nodeId &&
          liveness !== Livenesses.Dead &&
          lifecycle !== Lifecycles.Left
      )
      .map(({ nodeId }) => nodeId)
      .sort()
  }

  #arm(share: number): void {
    const { clock } = this.#components
    this.#timer.arm(after(clock.now(), share * this.#options.config.heartbeatIntervalMs))
  }
}

/** A node that leaves is shutting down, one whose loop is late is degraded. */
export function selfStatusOf(
  self: Pick<Member, 'lifecycle' | 'health' | 'metadata'>,
  loopDelayMs: number,
  loopDelayMsMax: number
): SelfStatus {
  const { lifecycle, metadata } = self
  const isGoing =
    lifecycle === Lifecycles.Draining ||
    lifecycle === Lifecycles.Leaving ||
    lifecycle === Lifecycles.Left
  const isSlow = loopDelayMs > loopDelayMsMax
  const status = isSlow ? HealthStatuses.Degraded : self.health
  return {
    status: isGoing ? HealthStatuses.ShuttingDown : status,
    lifecycle,
    loopDelayMs,
    metadata
  }
}

/** What a node answers when it is asked how it is. */
export function selfReportOf(self: SelfStatus): { status: HealthStatus; detail: string } {
  const { status, lifecycle, loopDelayMs } = self
  const late = `the main loop was ${Math.round(loopDelayMs)} ms late`
  return { status, detail: status === HealthStatuses.Healthy ? '' : `${lifecycle}; ${late}` }
}
