/** Invariant 11, from the member tables as each node shows them. */
import type { TellIncarnation } from '../core/index.js'
import type { SimulatedManager } from './manager.js'
import { Invariants, type Violations } from './violations.js'

export class MembershipInvariants {
  readonly #violations: Violations
  /** The highest incarnation that each node ever gave itself. */
  readonly #own = new Map<string, number>()
  /**
   * What others said of a node above what it was seen to say itself: it is asked when it is next
   * seen, because a node speaks before its start is over.
   */
  readonly #claims = new Map<string, { readonly incarnation: number; readonly viewer: string }>()
  /** viewer → subject → incarnation, within one life of the viewer. */
  readonly #seen = new Map<string, Map<string, number>>()

  #viewer: { readonly name: string; readonly seen: Map<string, number> } = noViewer

  constructor(violations: Violations) {
    this.#violations = violations
  }

  onExit(viewer: string): void {
    this.#seen.delete(viewer)
  }

  /** What a node's table holds after an event of it. */
  onMembers(viewer: string, table: Pick<SimulatedManager, 'tellIncarnations'>): void {
    let seen = this.#seen.get(viewer)
    if (seen === undefined) {
      seen = new Map()
      this.#seen.set(viewer, seen)
    }
    this.#viewer = { name: viewer, seen }
    table.tellIncarnations(this.#judge)
  }

  readonly #judge: TellIncarnation = (nodeId, incarnation) => {
    const { name: viewer, seen } = this.#viewer
    const before = seen.get(nodeId) ?? -1
    if (incarnation === before && !this.#claims.has(nodeId)) return
    seen.set(nodeId, incarnation)
    if (incarnation < before) {
      const detail = `${viewer} sees ${nodeId} go from incarnation ${before} to ${incarnation}`
      this.#violations.report(Invariants.Incarnations, detail)
    }
    if (nodeId === viewer) this.#handleOwn(nodeId, incarnation)
    else this.#handleClaim(nodeId, { incarnation, viewer })
  }

  #handleOwn(nodeId: string, incarnation: number): void {
    const own = Math.max(this.#own.get(nodeId) ?? 0, incarnation)
    this.#own.set(nodeId, own)
    const claim = this.#claims.get(nodeId)
    this.#claims.delete(nodeId)
    if (claim === undefined || claim.incarnation <= own) return
    const said = `${claim.viewer} saw ${nodeId} at incarnation ${claim.incarnation}`
    this.#violations.report(Invariants.Incarnations, `${said}, its own is ${own}`)
  }

  #handleClaim(nodeId: string, claim: { incarnation: number; viewer: string }): void {
    if (claim.incarnation <= (this.#own.get(nodeId) ?? 0)) return
    const earlier = this.#claims.get(nodeId)?.incarnation ?? 0
    if (claim.incarnation > earlier) this.#claims.set(nodeId, claim)
  }
}

const noViewer = { name: '', seen: new Map<string, number>() }
