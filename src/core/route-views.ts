/** A routing decision, and everything that went into it. */
import type { GroupId, NodeId, Term, WallMs } from './ids.js'
import type { StatementKind } from './ports/engine-provider.js'
import type { Consistency } from './queries.js'

export interface RouteFactor {
  readonly name: string
  /** As measured, in the unit that the name says; null when unknown. */
  readonly raw: number | null
  /** 0 worst … 1 best among the eligible; null when unknown. */
  readonly normalized: number | null
  readonly weight: number
  /** Since it was measured or told; null for what does not age, or is unknown. */
  readonly ageMs: number | null
}

export interface RouteCandidate {
  readonly node: NodeId
  readonly eligible: boolean
  /** Why it was excluded. */
  readonly exclusion: string | null
  readonly score: number | null
  readonly factors: readonly RouteFactor[]
}

export interface RouteDecision {
  readonly node: NodeId
  readonly group: GroupId
  readonly kind: StatementKind
  readonly consistency: Consistency
  /** The term of the group in which it was decided; null when none is known. */
  readonly term: Term | null
  /** What the query is about, given or found in the statement. */
  readonly key: string | null
  readonly strategy: string
  /** One sentence: why this node. */
  readonly reason: string
}

/** A decision with everything that went into it. */
export interface RouteExplanation {
  /** Rises by one per decision of this node; `manager.routing.decision(id)` finds it again. */
  readonly id: number
  readonly decision: RouteDecision | null
  /** Why there is none. */
  readonly refusal: string | null
  readonly candidates: readonly RouteCandidate[]
  /** What else went into it: that health was ignored, that a node that starts was passed over. */
  readonly notes: readonly string[]
  readonly decidedAt: WallMs
}
