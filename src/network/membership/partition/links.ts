/**
 * Which members this node reaches only by a detour: their datagrams are answered through helpers or
 * over the stream, never straight.
 *
 * 1. A link is called broken after `indirectAnswersMin` answers in a row that came by a detour, and
 *    whole again with the first that came straight.
 * 2. It is one-way when the member was heard straight meanwhile: then it is this node's datagrams
 *    that do not arrive, and the other side knows no more than that the link is broken.
 */
import type { MonotonicMs, NodeId } from '../../../core/ids.js'

/** Detours in a row before a link is called broken. */
const indirectAnswersMin = 5

export const LinkFaults = { OneWay: 'oneWay', Indirect: 'indirect' } as const
export type LinkFault = (typeof LinkFaults)[keyof typeof LinkFaults]

export interface BrokenLink {
  readonly nodeId: NodeId
  readonly fault: LinkFault
  readonly since: MonotonicMs
}

interface Detour {
  readonly since: MonotonicMs
  answers: number
  fault: LinkFault | null
}

/** One entry per member that is reached by a detour, so bounded as the member table is. */
export class Links {
  readonly #detours = new Map<NodeId, Detour>()

  /** A probe begun at `sentAt` was answered by the member itself; the link that is whole again. */
  onStraightAnswer(nodeId: NodeId): BrokenLink | null {
    return this.forget(nodeId)
  }

  /** Answered, but by a detour; the link that is broken since then. */
  onDetour(nodeId: NodeId, sentAt: MonotonicMs, lastHeardAt: MonotonicMs): BrokenLink | null {
    const detour = this.#detours.get(nodeId) ?? { since: sentAt, answers: 0, fault: null }
    this.#detours.set(nodeId, detour)
    detour.answers++
    if (detour.fault !== null || detour.answers < indirectAnswersMin) return null
    detour.fault = lastHeardAt > detour.since ? LinkFaults.OneWay : LinkFaults.Indirect
    return { nodeId, fault: detour.fault, since: detour.since }
  }

  /** Whether the next probe of it is of interest: it was reached by a detour, not yet often. */
  isInDoubt(nodeId: NodeId): boolean {
    const detour = this.#detours.get(nodeId)
    return detour !== undefined && detour.fault === null
  }

  /** Whether its last answers came by a detour: it is told so, since it may not know. */
  isUnheard(nodeId: NodeId): boolean {
    return this.#detours.has(nodeId)
  }

  /** Gone or reached straight; the broken link that it had. */
  forget(nodeId: NodeId): BrokenLink | null {
    const detour = this.#detours.get(nodeId)
    this.#detours.delete(nodeId)
    if (detour === undefined || detour.fault === null) return null
    return { nodeId, fault: detour.fault, since: detour.since }
  }

  /** Sorted by id. */
  broken(): BrokenLink[] {
    const broken: BrokenLink[] = []
    for (const [nodeId, { fault, since }] of this.#detours) {
      if (fault !== null) broken.push({ nodeId, fault, since })
    }
    return broken.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  }
}
