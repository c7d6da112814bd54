/** Pings that this node makes for others. */

import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Address } from '../../core/ports/stream-network.js'
import type { Gossip } from './gossip.js'
import type { DatagramMessage } from './messages.js'
import { Ranks } from './precedence.js'
import type { SwimState } from './swim-state.js'

/** Relayed pings under way; requests beyond are ignored and counted. */
export const relaysMax = 1_024
/** The requester must hear a nack before its own deadline. */
const nackShare = 0.8

interface Relay {
  readonly target: NodeId
  readonly requester: Address
  readonly requestedSequence: number
  readonly expiresAt: MonotonicMs
  nackAt: MonotonicMs
}

export class Relays {
  readonly #state: SwimState
  readonly #gossip: Gossip
  readonly #nextSequence: () => number
  readonly #bySequence = new Map<number, Relay>()

  constructor(state: SwimState, gossip: Gossip, nextSequence: () => number) {
    this.#state = state
    this.#gossip = gossip
    this.#nextSequence = nextSequence
  }

  get length(): number {
    return this.#bySequence.size
  }

  /** Only members are pinged, at the address in this node's own table. */
  handleRequest(target: NodeId, sequence: number, from: Address, now: MonotonicMs): void {
    const { table, config, counters } = this.#state
    const record = table.get(target)
    if (record === undefined || record === table.self || record.rank > Ranks.Dead) {
      counters.add('relays_refused')
      this.#gossip.send(from, [{ kind: 'nack', sequence }])
      return
    }
    if (this.#bySequence.size >= relaysMax) {
      counters.add('relays_refused')
      return
    }
    const own = this.#nextSequence()
    this.#bySequence.set(own, {
      target,
      requester: from,
      requestedSequence: sequence,
      nackAt: after(now, config.probeTimeoutMs * nackShare),
      expiresAt: after(now, config.probeIntervalMs)
    })
    counters.add('relayed_ping_count')
    const accusation = this.#gossip.accusationOf(record)
    const ping: DatagramMessage = { kind: 'ping', sequence: own, target }
    this.#gossip.send(record.statement.address, accusation ? [ping, accusation] : [ping])
  }

  /** False: no relay of this node has the sequence number. */
  handleAck(sequence: number, from: NodeId): boolean {
    const relay = this.#bySequence.get(sequence)
    if (relay === undefined || relay.target !== from) return false
    this.#bySequence.delete(sequence)
    this.#gossip.send(relay.requester, [{ kind: 'ack', sequence: relay.requestedSequence }])
    return true
  }

  handleTimeout(now: MonotonicMs): void {
    for (const [sequence, relay] of this.#bySequence) {
      if (relay.nackAt <= now) {
        relay.nackAt = NEVER
        this.#gossip.send(relay.requester, [{ kind: 'nack', sequence: relay.requestedSequence }])
      }
      if (relay.expiresAt <= now) this.#bySequence.delete(sequence)
    }
  }

  next(): MonotonicMs {
    let next: MonotonicMs = NEVER
    for (const { nackAt, expiresAt } of this.#bySequence.values()) {
      const at = Math.min(nackAt, expiresAt) as MonotonicMs
      if (at < next) next = at
    }
    return next
  }
}
