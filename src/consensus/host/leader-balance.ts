/**
 * Leaders spread evenly over the nodes that may lead: who leads most gives one away to who leads
 * least, as long as that makes them more alike.
 *
 * 1. A move makes no node lead more than the one that gave: they differ by two or more before it.
 * 2. Of all nodes one alone moves, the one that leads most among those that can: everybody counts
 *    the same groups, so nobody else thinks it is its turn.
 * 3. Nothing moves until leaders have been the same, and known, for `calmMs`: what else is going
 *    on comes first.
 * 4. A group that was put here on purpose stays for as long as it was asked for.
 */
import { compareText, type GroupId, type MonotonicMs, type NodeId } from '../../core/ids.js'

export interface LedGroup {
  readonly group: GroupId
  readonly leader: NodeId | null
  readonly voters: readonly NodeId[]
}

export interface BalanceInputs {
  readonly self: NodeId
  readonly groups: readonly LedGroup[]
  /** It is well, and is not about to stop. */
  mayLead(node: NodeId): boolean
  /** Of a group that this node leads: the voter has all of it. */
  isLevel(group: GroupId, voter: NodeId): boolean
}

export interface LeaderMove {
  readonly group: GroupId
  readonly to: NodeId
}

/** This node's next move; null: it has none, or it is another's turn. */
export function planMove(inputs: BalanceInputs): LeaderMove | null {
  const { groups, isLevel, self } = inputs
  const counts = countsOf(inputs)
  const moves = groups.flatMap((one) => movesOf(one, counts))
  if (moverOf(moves, counts) !== self) return null
  const own = moves.filter(({ from, group, to }) => from === self && isLevel(group, to))
  const [best] = own.sort(
    (a, b) => countOf(counts, a.to) - countOf(counts, b.to) || compareText(a.to, b.to)
  )
  return best === undefined ? null : { group: best.group, to: best.to }
}

/** Waits until leaders stay where they are. */
export class LeaderBalance {
  readonly #calmMs: number
  #leaders = ''
  #changedAt: MonotonicMs
  /** Until when; of groups that this node has, or had. */
  readonly #kept = new Map<GroupId, MonotonicMs>()

  constructor(calmMs: number, now: MonotonicMs) {
    this.#calmMs = calmMs
    this.#changedAt = now
  }

  /** This node does not give the group away before. */
  keep(group: GroupId, until: MonotonicMs): void {
    this.#kept.set(group, until)
  }

  /** `isOwn`: the last change was this node's own move, which needs no calm after it. */
  decide(inputs: BalanceInputs, now: MonotonicMs, isOwn = false): LeaderMove | null {
    const { groups } = inputs
    const leaders = groups.map(({ group, leader }) => `${group} ${leader ?? ''}`).join()
    if (leaders !== this.#leaders && !isOwn) this.#changedAt = now
    this.#leaders = leaders
    if (now - this.#changedAt < this.#calmMs) return null
    if (groups.some(({ leader }) => leader === null)) return null
    for (const [group, until] of this.#kept) if (until <= now) this.#kept.delete(group)
    const isLevel: BalanceInputs['isLevel'] = (group, voter) =>
      !this.#kept.has(group) && inputs.isLevel(group, voter)
    return planMove({ ...inputs, isLevel })
  }
}

interface Move extends LeaderMove {
  readonly from: NodeId
}

type Counts = ReadonlyMap<NodeId, number>

/** Of every node that may lead some group. */
function countsOf({ groups, mayLead }: BalanceInputs): Counts {
  const counts = new Map<NodeId, number>()
  const nodes = new Set(groups.flatMap(({ voters }) => voters))
  for (const node of nodes) if (mayLead(node)) counts.set(node, 0)
  for (const { leader } of groups) {
    const led = leader === null ? undefined : counts.get(leader)
    if (led !== undefined) counts.set(leader as NodeId, led + 1)
  }
  return counts
}

/** Those that leave the two nodes more alike. */
function movesOf({ group, leader, voters }: LedGroup, counts: Counts): Move[] {
  if (leader === null || !counts.has(leader)) return []
  const isGain = (to: NodeId) => counts.has(to) && countOf(counts, leader) - countOf(counts, to) > 1
  return voters.filter(isGain).map((to) => ({ group, from: leader, to }))
}

function moverOf(moves: readonly Move[], counts: Counts): NodeId | null {
  const movers = [...new Set(moves.map(({ from }) => from))]
  const [first] = movers.sort(
    (a, b) => countOf(counts, b) - countOf(counts, a) || compareText(a, b)
  )
  return first ?? null
}

const countOf = (counts: Counts, node: NodeId): number => counts.get(node) ?? 0
