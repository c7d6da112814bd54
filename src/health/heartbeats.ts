/**
 * The last heartbeat of every peer: how it said it was, with what metadata, and since when it is
 * silent. It decides nothing about liveness, which is membership's; it only remembers and tells
 * what changed.
 *
 * 1. Of one boot of a peer only a later heartbeat counts: one that was overtaken changes nothing.
 *    Boots are told apart, not ordered, since a wall clock may go back.
 * 2. A peer is silent when it was not heard for `timeoutMs`; one that was never heard has no
 *    status.
 *
 * Owner's duties: `retain` the present members, `handleHeard` every heartbeat, `handleMissed`
 * every question without an answer.
 */
import type { PeerStatus } from '../core/cluster-health.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { HealthStatus } from '../core/member.js'
import type { Heartbeat } from './messages.js'

export interface HeartbeatsOptions {
  /** Unheard for longer is silent. */
  readonly timeoutMs: number
  /** Peers remembered; further ones are not. */
  readonly peersMax: number
}

export interface StatusChange {
  readonly nodeId: NodeId
  readonly previous: HealthStatus
  readonly status: HealthStatus
}

interface Heard {
  readonly heartbeat: Heartbeat
  readonly heardAt: MonotonicMs
  missedInRow: number
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #heard = new Map<NodeId, Heard>()

  constructor(options: HeartbeatsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#heard.size
  }

  /** Forgets everybody else. */
  retain(members: ReadonlySet<NodeId>): void {
    for (const nodeId of this.#heard.keys()) if (!members.has(nodeId)) this.#heard.delete(nodeId)
  }

  /** The change of status, if there is one; the first status of a peer is none. */
  handleHeard(nodeId: NodeId, heartbeat: Heartbeat, now: MonotonicMs): StatusChange | null {
    const known = this.#heard.get(nodeId)
    if (known === undefined && this.#heard.size >= this.#options.peersMax) return null
    if (known !== undefined && isOvertaken(heartbeat, known.heartbeat)) return null
    this.#heard.set(nodeId, { heartbeat, heardAt: now, missedInRow: 0 })
    if (known === undefined || known.heartbeat.status === heartbeat.status) return null
    return { nodeId, previous: known.heartbeat.status, status: heartbeat.status }
  }

  handleMissed(nodeId: NodeId): void {
    const known = this.#heard.get(nodeId)
    if (known !== undefined) known.missedInRow++
  }

  /** In the order of the names. */
  statuses(now: MonotonicMs): PeerStatus[] {
    return [...this.#heard]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([nodeId, { heartbeat, heardAt, missedInRow }]) => ({
        nodeId,
        status: heartbeat.status,
        lifecycle: heartbeat.lifecycle,
        loopDelayMs: heartbeat.loopDelayMs,
        metadata: Object.fromEntries(heartbeat.metadata.map(({ key, value }) => [key, value])),
        ageMs: now - heardAt,
        missedInRow,
        silent: now - heardAt > this.#options.timeoutMs
      }))
  }
}

const isOvertaken = (heartbeat: Heartbeat, known: Heartbeat): boolean =>
  heartbeat.bootNumber === known.bootNumber && heartbeat.sequence <= known.sequence
