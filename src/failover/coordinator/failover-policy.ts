/** When leaderships are moved without being asked to. */
import type { NodeId } from '../../core/ids.js'

export interface FailoverPolicy {
  /**
   * ms for which a leader has to be degraded before its groups go elsewhere. Higher: fewer moves
   * for a passing trouble; lower: queries suffer for less long.
   */
  readonly degradedForMs: number
  /** ms between two moves of one group, whoever is ill meanwhile. */
  readonly gapMs: number
  /** ms between two moves that spread leaderships. 0: they are not spread. */
  readonly spreadGapMs: number
  /** Leaderships are spread when two nodes differ by more than this, until they differ by one. */
  readonly spreadAbove: number
  /** ms for which a node has to be well before leaderships are spread to it. */
  readonly stableForMs: number
  /** Above 1: preferred; 0: never leads what is moved. Default 1. */
  readonly priorities: ReadonlyMap<NodeId, number>
}

export const failoverDefaults: FailoverPolicy = {
  degradedForMs: 10_000,
  gapMs: 60_000,
  spreadGapMs: 5_000,
  spreadAbove: 2,
  stableForMs: 60_000,
  priorities: new Map()
}
