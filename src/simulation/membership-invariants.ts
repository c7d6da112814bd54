/** Invariant 11, from the member tables as each node shows them. */
import type { Member } from '../core/index.js'
import { Invariants, type Violations } from './violations.js'

export class MembershipInvariants {
  readonly #violations: Violations
  /** The highest incarnation that each node ever gave itself. */
  readonly #own = new Map<string, number>()
  /** viewer → subject → incarnation, within one life of the viewer. */
  readonly #seen = new Map<string, Map<string, number>>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  onExit(viewer: string): void {
    this.#seen.delete(viewer)
  }

  onMembers(viewer: string, members: readonly Member[]): void {
    const seen = this.#seen.get(viewer) ?? new Map<string, number>()
    this.#seen.set(viewer, seen)
    for (const { nodeId, incarnation } of members) {
      const before = seen.get(nodeId) ?? -1
      if (incarnation === before) continue
      seen.set(nodeId, incarnation)
      if (incarnation < before) {
        const detail = `${viewer} sees ${nodeId} go from incarnation ${before} to ${incarnation}`
        this.#violations.report(Invariants.Incarnations, detail)
      }
      const own = this.#own.get(nodeId) ?? 0
      if (nodeId === viewer) this.#own.set(nodeId, Math.max(own, incarnation))
      else if (incarnation > own) {
        const detail = `${viewer} sees ${nodeId} at incarnation ${incarnation}, its own is ${own}`
        this.#violations.report(Invariants.Incarnations, detail)
      }
    }
  }
}
