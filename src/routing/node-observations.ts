import type { NodeId } from '../core/ids.js'

/** Weight of the newest sample in the moving average. */
const newestWeight = 0.2

export interface Observation {
  readonly inFlight: number
  readonly latencyMs: number | null
  readonly utilisation: number | null
}

const unobserved: Observation = { inFlight: 0, latencyMs: null, utilisation: null }

interface Entry {
  inFlight: number
  latencyMs: number | null
  utilisation: number | null
}

/** What this node's own queries taught it about each other node; bounded by the member table. */
export class NodeObservations {
  readonly #entries = new Map<NodeId, Entry>()

  of(node: NodeId): Observation {
    return this.#entries.get(node) ?? unobserved
  }

  get size(): number {
    return this.#entries.size
  }

  begin(node: NodeId): void {
    this.#entry(node).inFlight++
  }

  /** `latencyMs` null: it failed, which says nothing about its speed. */
  end(node: NodeId, latencyMs: number | null, utilisation: number | null): void {
    const entry = this.#entry(node)
    entry.inFlight = Math.max(0, entry.inFlight - 1)
    if (latencyMs !== null) {
      entry.latencyMs =
        entry.latencyMs === null
          ? latencyMs
          : entry.latencyMs + newestWeight * (latencyMs - entry.latencyMs)
    }
    if (utilisation !== null) entry.utilisation = utilisation
  }

  /** Forgets nodes that are no members and have nothing in flight. */
  retain(isMember: (node: NodeId) => boolean): void {
    for (const [node, { inFlight }] of this.#entries) {
      if (inFlight === 0 && !isMember(node)) this.#entries.delete(node)
    }
  }

  #entry(node: NodeId): Entry {
    const known = this.#entries.get(node)
    if (known !== undefined) return known
    const entry = { ...unobserved }
    this.#entries.set(node, entry)
    return entry
  }
}
