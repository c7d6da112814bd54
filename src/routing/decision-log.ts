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
  replicasNear: readonly [number, number, number] = [0, 0, 0]
  chosen = 0
  /** Columns of all nodes, used again by the next decision that is kept here. */
  #ids: NodeId[] = []
  #numbers = new Float64Array(0)
  #eligibleCount = 0

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
    this.#eligibleCount = 0
  }

  copyEligible(nodes: readonly EligibleNode[]): void {
    this.#eligibleCount = nodes.length
    if (this.#ids.length < nodes.length) {
      this.#ids = new Array<NodeId>(nodes.length)
      this.#numbers = new Float64Array(nodes.length * numbersPerNode)
    }
    const numbers = this.#numbers
    for (let i = 0, at = 0; i < nodes.length; i++, at += numbersPerNode) {
      const node = nodes[i] as EligibleNode
      this.#ids[i] = node.node
      numbers[at] = node.inFlight
      numbers[at + 1] = node.latencyMs
      numbers[at + 2] = node.peakLatencyMs
      numbers[at + 3] = node.answeredAt
      numbers[at + 4] = node.utilisation
      numbers[at + 5] = node.queueDepth
      numbers[at + 6] = node.reportedAt
      numbers[at + 7] = node.locality
      numbers[at + 8] = node.weight
    }
  }

  /** As they were when it was decided. */
  eligible(): EligibleNode[] {
    return this.#ids.slice(0, this.#eligibleCount).map((node, i) => {
      const at = i * numbersPerNode
      const number = (nth: number): number => this.#numbers[at + nth] as number
      return {
        node,
        inFlight: number(0),
        latencyMs: number(1),
        peakLatencyMs: number(2),
        answeredAt: number(3),
        utilisation: number(4),
        queueDepth: number(5),
        reportedAt: number(6),
        locality: number(7),
        weight: number(8)
      }
    })
  }
}

/** What an `EligibleNode` tells beside its id. */
const numbersPerNode = 9

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
