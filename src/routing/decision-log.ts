/**
 * A bounded record of decisions: what went into each, in slots that are used again, and worded only
 * when somebody asks. Keeping a decision takes the same time for any number of nodes, and allocates
 * nothing.
 *
 * 1. The newest `lengthMax` decisions are there; ids rise by one.
 * 2. What a slot tells is what was known when it was decided, whatever happened since: the loads
 *    are live, and the history knows what they were at the slot's mark.
 */
import { assert } from '../core/assert.js'
import type { GroupId, NodeId, Term, WallMs } from '../core/ids.js'
import type { StatementKind } from '../core/ports/engine-provider.js'
import type { Consistency } from '../core/queries.js'
import type { RoutingStrategy } from '../core/routing-strategy.js'
import type { Judged } from './eligibility.js'
import type { LoadHistory, SavedLoad } from './load-history.js'

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
  readonly #noLoads: readonly SavedLoad[] = []
  judged: readonly Judged[] = this.#nobody
  notes: readonly string[] = this.#noNotes
  replicasNear: readonly [number, number, number] = [0, 0, 0]
  chosen = 0
  /** Never changed; its loads are live, and were then what the history says of `mark`. */
  eligible: readonly SavedLoad[] = this.#noLoads
  mark = 0
  /** What the strategy left for its explanation. */
  memo = 0

  begin(id: number, facts: DecisionFacts, now: number, mark: number): void {
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
    this.mark = mark
    this.eligible = this.#noLoads
    this.memo = 0
  }
}

export class DecisionLog {
  readonly #history: LoadHistory
  readonly #lengthMax: number
  readonly #slots: DecisionSlot[] = []
  #lastId = 0
  #nextAt = 0

  constructor(history: LoadHistory, lengthMax: number) {
    assert(Number.isInteger(lengthMax) && lengthMax > 0, 'log bound must be positive')
    this.#history = history
    this.#lengthMax = lengthMax
  }

  get length(): number {
    return this.#slots.length
  }

  /** The slot of the oldest decision, emptied for a new one. */
  open(facts: DecisionFacts, now: number): DecisionSlot {
    const at = this.#nextAt
    this.#nextAt = at + 1 === this.#lengthMax ? 0 : at + 1
    const slot = this.#slots[at] ?? this.#addSlot()
    slot.begin(++this.#lastId, facts, now, this.#history.position)
    const oldest = this.#slots[this.#nextAt] ?? this.#slots[0] ?? slot
    this.#history.forgetBefore(oldest.mark)
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

  #addSlot(): DecisionSlot {
    const slot = new DecisionSlot()
    this.#slots.push(slot)
    return slot
  }
}
