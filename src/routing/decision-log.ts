/**
 * A bounded record of decisions: the inputs of each, copied into slots that are used again, and
 * worded only when somebody asks. Keeping a decision allocates nothing once the slots have grown
 * to the size of the cluster.
 *
 * 1. The newest `lengthMax` decisions are there; ids rise by one.
 * 2. What a slot tells is what was known when it was decided, whatever happened since.
 */
import { assert } from '../core/assert.js'
import type { GroupId, NodeId, Term, WallMs } from '../core/ids.js'
import type { StatementKind } from '../core/ports/engine-provider.js'
import type { Consistency } from '../core/queries.js'
import type { EligibleNode, RoutingStrategy } from '../core/routing-strategy.js'
import type { Judged } from './eligibility.js'

export interface DecisionFacts {
  readonly group: GroupId
  readonly kind: StatementKind
  readonly consistency: Consistency
  readonly key?: string | null
  readonly wallNow: WallMs
}

export class DecisionSlot {
  /** From 1; 0: never used. */
  id = 0
  group = 0 as GroupId
  kind: StatementKind = 'read'
  consistency: Consistency = 'local'
  key: string | null = null
  term: Term | null = null
  wallNow = 0 as WallMs
  now = 0
  node: NodeId | null = null
  /** Given where no strategy chose. */
  reason: string | null = null
  refusal: string | null = null
  strategyName = ''
  strategy: RoutingStrategy | null = null
  readonly #nobody: readonly Judged[] = []
  readonly #noNotes: readonly string[] = []
  judged: readonly Judged[] = this.#nobody
  notes: readonly string[] = this.#noNotes
  readonly replicasNear: [number, number, number] = [0, 0, 0]
  chosen = 0
  eligibleCount = 0
  readonly eligible: NodeCopy[] = []

  begin(id: number, facts: DecisionFacts, now: number): void {
    this.id = id
    this.group = facts.group
    this.kind = facts.kind
    this.consistency = facts.consistency
    this.key = facts.key ?? null
    this.wallNow = facts.wallNow
    this.now = now
    this.term = null
    this.node = null
    this.reason = null
    this.refusal = null
    this.strategy = null
    this.judged = this.#nobody
    this.notes = this.#noNotes
    this.eligibleCount = 0
  }

  copyEligible(nodes: readonly EligibleNode[]): void {
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i] as EligibleNode
      const copy = this.eligible[i]
      if (copy === undefined) this.eligible.push(new NodeCopy(node))
      else copy.take(node)
    }
    this.eligibleCount = nodes.length
  }
}

class NodeCopy implements EligibleNode {
  node: NodeId
  inFlight = 0
  latencyMs = Number.NaN
  peakLatencyMs = Number.NaN
  answeredAt = Number.NaN
  utilisation = Number.NaN
  queueDepth = Number.NaN
  reportedAt = Number.NaN
  locality = Number.NaN
  weight = Number.NaN

  constructor(original: EligibleNode) {
    this.node = original.node
    this.take(original)
  }

  take(original: EligibleNode): void {
    this.node = original.node
    this.inFlight = original.inFlight
    this.latencyMs = original.latencyMs
    this.peakLatencyMs = original.peakLatencyMs
    this.answeredAt = original.answeredAt
    this.utilisation = original.utilisation
    this.queueDepth = original.queueDepth
    this.reportedAt = original.reportedAt
    this.locality = original.locality
    this.weight = original.weight
  }
}

export class DecisionLog {
  readonly #lengthMax: number
  readonly #slots: DecisionSlot[] = []
  #lastId = 0

  constructor(lengthMax: number) {
    assert(Number.isInteger(lengthMax) && lengthMax > 0, 'log bound must be positive')
    this.#lengthMax = lengthMax
  }

  get length(): number {
    return this.#slots.length
  }

  /** The slot of the oldest decision, emptied for a new one. */
  open(facts: DecisionFacts, now: number): DecisionSlot {
    const id = ++this.#lastId
    const at = (id - 1) % this.#lengthMax
    let slot = this.#slots[at]
    if (slot === undefined) {
      slot = new DecisionSlot()
      this.#slots.push(slot)
    }
    slot.begin(id, facts, now)
    return slot
  }

  /** Null: forgotten, or never made. */
  of(id: number): DecisionSlot | null {
    if (!Number.isInteger(id) || id < 1) return null
    const slot = this.#slots[(id - 1) % this.#lengthMax]
    return slot?.id === id ? slot : null
  }

  /** Oldest first. */
  all(): DecisionSlot[] {
    return [...this.#slots].sort((one, other) => one.id - other.id)
  }
}
