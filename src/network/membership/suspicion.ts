/**
 * The running suspicions and when each becomes a verdict (Lifeguard's local health aware suspicion,
 * arXiv 1707.00788 section IV-B): it begins long and shrinks with each independent accuser.
 *
 * 1. The first accuser, and one that was counted before, confirm nothing.
 * 2. A confirmation never moves a verdict later.
 */

import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { suspicionTimeoutMs } from './formulas.js'

export interface SuspicionTerms {
  readonly minMs: number
  readonly maxMs: number
  /** Confirmations after which it lasts `minMs`. */
  readonly expected: number
}

export interface Suspicion {
  readonly nodeId: NodeId
  readonly startedAt: MonotonicMs
  readonly accuser: NodeId
  /** Distinct accusers beyond the first, in the order heard; at most `expected`. */
  readonly confirmedBy: readonly NodeId[]
  readonly verdictAt: MonotonicMs
  readonly terms: SuspicionTerms
}

interface Running {
  readonly nodeId: NodeId
  readonly accuser: NodeId
  readonly terms: SuspicionTerms
  readonly confirmedBy: NodeId[]
  hadRespite: boolean
  startedAt: MonotonicMs
  verdictAt: MonotonicMs
}

/** One per suspected member, so bounded as the member table is. */
export class Suspicions {
  readonly #running = new Map<NodeId, Running>()

  get count(): number {
    return this.#running.size
  }

  of(nodeId: NodeId): Suspicion | null {
    return this.#running.get(nodeId) ?? null
  }

  start(nodeId: NodeId, accuser: NodeId, terms: SuspicionTerms, now: MonotonicMs): void {
    const suspicion: Running = {
      nodeId,
      accuser,
      terms,
      confirmedBy: [],
      hadRespite: false,
      startedAt: now,
      verdictAt: after(now, suspicionTimeoutMs({ ...terms, confirmations: 0 }))
    }
    this.#running.set(nodeId, suspicion)
  }

  /** True when this accuser is news: the rumour is worth passing on. */
  confirm(nodeId: NodeId, accuser: NodeId): boolean {
    const suspicion = this.#running.get(nodeId)
    if (suspicion === undefined) return false
    const { confirmedBy, terms } = suspicion
    if (confirmedBy.length >= terms.expected) return false
    if (accuser === suspicion.accuser || confirmedBy.includes(accuser)) return false
    confirmedBy.push(accuser)
    const timeoutMs = suspicionTimeoutMs({ ...terms, confirmations: confirmedBy.length })
    suspicion.verdictAt = after(suspicion.startedAt, timeoutMs)
    return true
  }

  /** Once in a suspicion: its verdict waits until then. False: it had its respite. */
  respite(nodeId: NodeId, until: MonotonicMs): boolean {
    const suspicion = this.#running.get(nodeId)
    if (suspicion === undefined || suspicion.hadRespite) return false
    suspicion.hadRespite = true
    suspicion.verdictAt = until
    return true
  }

  stop(nodeId: NodeId): void {
    this.#running.delete(nodeId)
  }

  clear(): void {
    this.#running.clear()
  }

  /** While this node stood still it could hear no refutation: that time does not count. */
  postpone(ms: number): void {
    for (const suspicion of this.#running.values()) {
      suspicion.startedAt = after(suspicion.startedAt, ms)
      suspicion.verdictAt = after(suspicion.verdictAt, ms)
    }
  }

  /** Earliest verdict first, then by id. */
  due(now: MonotonicMs): Suspicion[] {
    const due = [...this.#running.values()].filter(({ verdictAt }) => verdictAt <= now)
    return due.sort((a, b) => a.verdictAt - b.verdictAt || (a.nodeId < b.nodeId ? -1 : 1))
  }

  next(): MonotonicMs {
    let next: MonotonicMs = NEVER
    for (const { verdictAt } of this.#running.values()) if (verdictAt < next) next = verdictAt
    return next
  }
}
