/** Spreads the bank's tables over groups, and knows which branch is in which. */
import type { GroupId, PlacementView } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import { bankShardKey, bankTables, branchCount, branchStatement } from './bank.js'
import type { ClusterClient } from './cluster-client.js'
import { pause } from './pause.js'
import type { Supervisor } from './supervisor.js'

const placedTimeoutMs = 30_000
const pollIntervalMs = 20

export class Shards {
  /** Those with rows of the tables, rising. */
  readonly groups: readonly GroupId[]
  readonly #byBranch: ReadonlyMap<number, GroupId>

  constructor(byBranch: ReadonlyMap<number, GroupId>) {
    this.#byBranch = byBranch
    this.groups = [...new Set(byBranch.values())].sort((a, b) => a - b)
  }

  /** Of the rows of these branches, each once. */
  groupsOf(bids: readonly number[]): readonly GroupId[] {
    return [...new Set(bids.map((bid) => this.#byBranch.get(bid) as GroupId))]
  }
}

/**
 * Resolves when every client sends each branch to its group; only then may a table be created, for
 * who knows nothing of its groups would create it in group 0.
 */
export async function spreadBank(
  supervisor: Supervisor,
  cluster: ClusterClient,
  scale: number,
  signal: AbortSignal
): Promise<Shards> {
  await supervisor.untilPlaced(placedTimeoutMs)
  let placement: PlacementView | null = null
  for (const { table } of bankTables) {
    const path = `/v1/placement/tables/${table}`
    placement = (await supervisor.askUntil(
      (admin, timeoutMs) => admin.change('PUT', path, { shardKey: bankShardKey }, timeoutMs),
      placedTimeoutMs
    )) as PlacementView
  }
  const wanted = new Set(placement?.tables.flatMap(({ ranges }) => ranges.map((r) => r.group)))
  const deadline = performance.now() + placedTimeoutMs
  while (performance.now() < deadline) {
    const maps = Array.from({ length: cluster.size }, (_, home) =>
      groupsKnownTo(cluster, home, scale)
    )
    const [first] = maps
    const isKnown = maps.every(
      (map) => map !== null && [...map.values()].every((g) => wanted.has(g))
    )
    if (isKnown && first != null) return new Shards(first)
    await pause(pollIntervalMs, signal)
  }
  throw new CliError('not every client heard of the groups of the tables')
}

/** Null: it does not know the way to all. */
function groupsKnownTo(
  cluster: ClusterClient,
  home: number,
  scale: number
): ReadonlyMap<number, GroupId> | null {
  const groups = new Map<number, GroupId>()
  for (let bid = 1; bid <= branchCount(scale); bid++) {
    const group = cluster.groupOf(branchStatement(bid), home)
    if (group === null) return null
    groups.set(bid, group)
  }
  return groups
}
