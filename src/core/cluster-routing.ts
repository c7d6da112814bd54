/** How this node routes, and why it did so: the sub-facade `manager.routing`. */

import type { NodeId } from './ids.js'
import type { RouteExplanation } from './route-views.js'

/** A node that is not asked for a while, because it failed too often. */
export interface NodeEjection {
  readonly nodeId: NodeId
  readonly reason: string
  /** How long it still lasts. */
  readonly forMs: number
  /** Times in a row, as far as remembered. */
  readonly times: number
}

export interface ClusterRouting {
  readonly strategy: string
  /** The names that `setRoutingStrategy` takes. */
  readonly strategies: readonly string[]
  /** The newest `routing.explainedDecisionsMax` decisions, oldest first. */
  lastDecisions(): readonly RouteExplanation[]
  /** A decision made before, by the id that its explanation has; null when it is forgotten. */
  decision(id: number): RouteExplanation | null
  /** By node id. */
  ejections(): readonly NodeEjection[]
}
