import { RaftCluster } from './raft-cluster.js'

export interface SeedFailure {
  readonly seed: number
  readonly atMs: number
  readonly reason: string
}

export interface SeedsOutcome {
  readonly failure: SeedFailure | null
  readonly elections: number
  readonly committed: number
  readonly configurations: number
  readonly faults: Readonly<Record<string, number>>
  readonly leaseReads: { told: number; withheld: number }
}

/** Runs seeds 1…`seeds` up to the first that fails. */
export function runSeeds(seeds: number, faultsMs: number): SeedsOutcome {
  const faults: Record<string, number> = {}
  let elections = 0
  let committed = 0
  let configurations = 0
  const leaseReads = { told: 0, withheld: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const cluster = new RaftCluster(seed)
    try {
      cluster.run({ faultsMs })
    } catch (error) {
      const reason = error instanceof Error ? `${error.message}\n${error.stack}` : String(error)
      return {
        failure: { seed, atMs: cluster.now, reason },
        elections,
        committed,
        configurations,
        faults,
        leaseReads
      }
    }
    for (const [kind, count] of Object.entries(cluster.faults)) {
      faults[kind] = (faults[kind] ?? 0) + count
    }
    leaseReads.told += cluster.leaseReads.told
    leaseReads.withheld += cluster.leaseReads.withheld
    elections += cluster.checks.elections
    committed += cluster.checks.committed.length
    configurations += cluster.checks.configurations
  }
  return { failure: null, elections, committed, configurations, faults, leaseReads }
}
