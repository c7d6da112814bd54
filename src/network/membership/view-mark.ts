/**
 * A number for all that this node holds of the live members: the same where the same is held. Two
 * nodes that find theirs to differ when nothing is going round any more have missed something, and
 * compare their states at once instead of waiting for the next exchange.
 */
import { after } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Address } from '../../core/ports/stream-network.js'
import { pushPullDelayMs } from './formulas.js'
import { isLive } from './member-table.js'
import type { SwimState } from './swim-state.js'

/** Rounds of gossip that news takes to reach everybody, and a few more. */
const settledRounds = 6
/** Exchanges for this reason are this many times as frequent as the regular ones, at most. */
const exchangesPerInterval = 10

export class ViewMark {
  readonly #state: SwimState
  #revision = -1
  #mark = 0
  #changedAt = Number.NEGATIVE_INFINITY as MonotonicMs
  #exchangedAt = Number.NEGATIVE_INFINITY as MonotonicMs

  constructor(state: SwimState) {
    this.#state = state
  }

  of(now: MonotonicMs): number {
    const { table, metadata } = this.#state
    const revision = table.revision + metadata.revision
    if (revision === this.#revision) return this.#mark
    this.#revision = revision
    let mark = 0
    for (const record of table.all()) {
      if (!isLive(record)) continue
      const { nodeId, incarnation } = record.statement
      mark ^= hashOf(nodeId, incarnation, metadata.markOf(nodeId))
    }
    mark >>>= 0
    if (mark !== this.#mark) this.#changedAt = now
    this.#mark = mark
    return mark
  }

  /** Another node answered with its own. */
  compare(theirs: number, from: NodeId, address: Address, now: MonotonicMs): void {
    if (theirs === this.of(now)) return
    const { config, table, counters, effects } = this.#state
    if (config.pushPullIntervalMs === 0) return
    if (now < after(this.#changedAt, settledRounds * config.gossipIntervalMs)) return
    const pauseMs = pushPullDelayMs(config.pushPullIntervalMs, table.liveCount)
    if (now < after(this.#exchangedAt, pauseMs / exchangesPerInterval)) return
    this.#exchangedAt = now
    counters.add('views_differing')
    effects.send({ kind: 'pushPull', nodeId: from, address })
  }
}

/** FNV-1a over the name, then the numbers mixed in. */
function hashOf(nodeId: NodeId, incarnation: number, version: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < nodeId.length; i++) hash = mixed(hash, nodeId.charCodeAt(i))
  for (const number of [incarnation, version]) {
    hash = mixed(hash, number >>> 0)
    hash = mixed(hash, Math.floor(number / 0x1_0000_0000))
  }
  return mixed(hash ^ (hash >>> 15), 0)
}

const mixed = (hash: number, value: number): number => Math.imul(hash ^ value, 0x01000193)
