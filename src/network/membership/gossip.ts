/**
 * Puts datagrams together: what must be said, then as many rumours as still fit.
 *
 * A datagram never exceeds `packetPartsBytesMax`, nor holds more than `datagramPartsMax` parts.
 */

import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Address } from '../../core/ports/stream-network.js'
import { isLive, type MemberRecord } from './member-table.js'
import { type DatagramMessage, datagramPartsMax, packetPartsBytesMax } from './messages.js'
import { Ranks } from './precedence.js'
import type { SwimState } from './swim-state.js'

export class Gossip {
  readonly #state: SwimState

  constructor(state: SwimState) {
    this.#state = state
  }

  /** Sends `messages` with rumours behind them. */
  send(to: Address, messages: readonly DatagramMessage[]): void {
    const { queue, packets, retransmitsMax, counters, effects } = this.#state
    if (queue.length === 0) {
      if (messages.length > 0) effects.send({ kind: 'datagram', to, messages })
      return
    }
    let budgetBytes = packetPartsBytesMax
    for (const message of messages) budgetBytes -= packets.sizeOf(message)
    const rumours = queue.take(budgetBytes, datagramPartsMax - messages.length, retransmitsMax)
    if (messages.length + rumours.length === 0) return
    counters.add('gossip_messages_sent', rumours.length)
    effects.send({ kind: 'datagram', to, messages: [...messages, ...rumours] })
  }

  /** What this node holds against a member, for the member itself: it may refute. */
  accusationOf(record: MemberRecord): DatagramMessage | null {
    const { nodeId, suspicions } = this.#state
    const about = { nodeId: record.statement.nodeId, incarnation: record.incarnation }
    switch (record.rank) {
      case Ranks.Alive:
        return null
      case Ranks.Suspect: {
        if (!this.#state.config.buddySystem) return null
        const accuser = suspicions.of(about.nodeId)?.accuser ?? nodeId
        return { kind: 'suspect', ...about, accuser }
      }
      case Ranks.Dead:
        return { kind: 'dead', ...about, accuser: nodeId }
      case Ranks.Left:
        return { kind: 'statement', statement: record.statement }
    }
  }

  /** One round of gossip, when it is due. */
  handleTimeout(now: MonotonicMs): void {
    const { deadlines, table, random, config, queue } = this.#state
    if (!deadlines.isDue('gossip', now)) return
    deadlines.clear('gossip')
    this.#state.gossipedAt = now
    const targets = table.pickOthers(random, config.gossipFanout, (record) =>
      this.#isWorthTelling(record, now)
    )
    for (const { statement } of targets) {
      if (queue.length === 0) break
      this.send(statement.address, [])
    }
    if (queue.length > 0) deadlines.set('gossip', after(now, config.gossipIntervalMs))
  }

  #isWorthTelling(record: MemberRecord, now: MonotonicMs): boolean {
    if (isLive(record)) return true
    if (record.rank === Ranks.Left) return false
    return now < after(record.changedAt, this.#state.config.gossipToDeadMs)
  }
}
