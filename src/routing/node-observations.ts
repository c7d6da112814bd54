/**
 * What this node's own queries taught it about each other node; bounded by the member table.
 *
 * 1. The average latency weighs each answer by e^(-age / `latencyDecayMs`): a busy node's is that
 *    of hundreds of answers, a rarely asked one's that of its last.
 * 2. The peak latency rises to a slower answer at once and falls towards faster ones.
 * 3. A failure says nothing about speed.
 */
import type { NodeId } from '../core/ids.js'
import { LoadHistory, type SavedLoad } from './load-history.js'

export const latencyDecayMs = 1_000

/** What an answer tells; NaN where it does not. */
export interface AnswerSample {
  readonly latencyMs: number
  readonly utilisation: number
  readonly queueDepth: number
}

/** Nothing is learned from it. */
export const failedSample: AnswerSample = {
  latencyMs: Number.NaN,
  utilisation: Number.NaN,
  queueDepth: Number.NaN
}

/** Live: strategies read it while routing writes it. Each change is told the history first. */
export class NodeLoad implements SavedLoad {
  readonly node: NodeId
  inFlight = 0
  latencyMs = Number.NaN
  peakLatencyMs = Number.NaN
  answeredAt = Number.NaN
  utilisation = Number.NaN
  queueDepth = Number.NaN
  reportedAt = Number.NaN
  locality = 0
  weight = 1
  savedAt = -1
  readonly #history: LoadHistory
  #sum = 0.5
  #count = 0.5

  constructor(node: NodeId, history: LoadHistory) {
    this.node = node
    this.#history = history
    this.#sum = 0
    this.#count = 0
  }

  begin(): void {
    this.#save()
    this.inFlight++
  }

  end({ latencyMs, utilisation, queueDepth }: AnswerSample, now: number): void {
    this.#save()
    if (this.inFlight > 0) this.inFlight--
    if (!Number.isNaN(latencyMs)) this.#learn(latencyMs, now)
    if (Number.isNaN(utilisation) && Number.isNaN(queueDepth)) return
    this.utilisation = utilisation
    this.queueDepth = queueDepth
    this.reportedAt = now
  }

  /** Where it is and what it bears, as its member says. */
  place(locality: number, weight: number): void {
    if (this.locality === locality && this.weight === weight) return
    this.#save()
    this.locality = locality
    this.weight = weight
  }

  #save(): void {
    if (this.savedAt < this.#history.marked) this.#history.save(this)
  }

  #learn(latencyMs: number, now: number): void {
    const isFirst = Number.isNaN(this.answeredAt)
    const kept = isFirst ? 0 : Math.exp((this.answeredAt - now) / latencyDecayMs)
    this.#sum = this.#sum * kept + latencyMs
    this.#count = this.#count * kept + 1
    this.latencyMs = this.#sum / this.#count
    this.peakLatencyMs =
      isFirst || latencyMs > this.peakLatencyMs
        ? latencyMs
        : this.peakLatencyMs * kept + latencyMs * (1 - kept)
    this.answeredAt = now
  }
}

export class NodeObservations {
  readonly history = new LoadHistory()
  readonly #loads = new Map<NodeId, NodeLoad>()
  #version = 0

  /** Another one whenever a record is no longer the one of its node. */
  get version(): number {
    return this.#version
  }

  of(node: NodeId): NodeLoad {
    const known = this.#loads.get(node)
    if (known !== undefined) return known
    const load = new NodeLoad(node, this.history)
    this.#loads.set(node, load)
    return load
  }

  get size(): number {
    return this.#loads.size
  }

  /** Forgets nodes that are no members and have nothing in flight. */
  retain(isMember: (node: NodeId) => boolean): void {
    for (const [node, { inFlight }] of this.#loads) {
      if (inFlight > 0 || isMember(node)) continue
      this.#loads.delete(node)
      this.#version++
    }
  }
}
