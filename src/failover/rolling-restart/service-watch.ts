/**
 * How queries fare in the cluster, from the counts that every node tells of itself: the share of
 * failures among those of the last `windowMs`. Counts of a process that was replaced begin anew,
 * so only differences within one process count.
 */
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { NodeStatus, ServiceLevel } from './cluster-view.js'

const windowMs = 10_000
/** Fewer say nothing of a share. */
const queriesMin = 100
/** Looks of one window; at its bound the oldest is forgotten. */
const looksMax = 256

interface Counts {
  readonly queries: number
  readonly failures: number
}

export class ServiceWatch {
  #latest: ReadonlyMap<NodeId, NodeStatus> = new Map()
  #looks: (Counts & { readonly at: MonotonicMs })[] = []

  observe(statuses: ReadonlyMap<NodeId, NodeStatus>, now: MonotonicMs): ServiceLevel {
    let queries = 0
    let failures = 0
    for (const [node, status] of statuses) {
      const before = this.#latest.get(node)
      if (before === undefined || before.boot !== status.boot) continue
      queries += Math.max(0, status.queries - before.queries)
      failures += Math.max(0, status.failures - before.failures)
    }
    // Of a node that is silent now, the difference is seen when it answers again.
    this.#latest = new Map([...this.#latest, ...statuses])
    this.#looks.push({ at: now, queries, failures })
    this.#looks = this.#looks.filter(({ at }) => now - at < windowMs).slice(-looksMax)
    return { errorRate: this.#errorRate(), p99Ms: null }
  }

  #errorRate(): number | null {
    const queries = this.#looks.reduce((sum, look) => sum + look.queries, 0)
    const failures = this.#looks.reduce((sum, look) => sum + look.failures, 0)
    return queries < queriesMin ? null : failures / queries
  }
}
