import type { GroupId, NodeId, Term } from '../core/ids.js'

/** Where a group lives, as far as this node knows. */
export interface Placement {
  readonly group: GroupId
  readonly term: Term
  readonly leader: NodeId | null
  readonly voters: readonly NodeId[]
}

/** Groups that a node learns about from others; more are not asked for. */
export const placedGroupsMax = 4_096

/**
 * Placements learned from other nodes.
 *
 * 1. A later term replaces an earlier one, never the reverse.
 * 2. Within a term a leader once known stays: a term has one leader.
 */
export class PlacementTable {
  readonly #byGroup = new Map<GroupId, Placement>()

  of(group: GroupId): Placement | null {
    return this.#byGroup.get(group) ?? null
  }

  /** In the order of their groups. */
  all(): Placement[] {
    return [...this.#byGroup.values()].sort((a, b) => a.group - b.group)
  }

  /** Answers those whose leader was not known before. */
  learn(placements: readonly Placement[]): Placement[] {
    const led: Placement[] = []
    for (const placement of placements) {
      const known = this.#byGroup.get(placement.group)
      if (known === undefined && this.#byGroup.size >= placedGroupsMax) continue
      const next = known ? newer(known, placement) : placement
      this.#byGroup.set(placement.group, next)
      if (next.leader !== null && next.leader !== known?.leader) led.push(next)
    }
    return led
  }
}

/** The fresher of two views, completed by the other where they speak of the same term. */
export function newer(known: Placement, heard: Placement): Placement {
  if (heard.term < known.term) {
    return known.voters.length > 0 ? known : { ...known, voters: heard.voters }
  }
  const voters = heard.voters.length > 0 ? heard.voters : known.voters
  const leader = heard.leader ?? (heard.term === known.term ? known.leader : null)
  return { group: heard.group, term: heard.term, leader, voters }
}
