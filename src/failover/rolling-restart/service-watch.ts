/**
 * How queries fare in the cluster, from the counts that every node tells of itself: the share of
 * failures among those of the last `windowMs`, and what 99 of 100 took at most. Counts of a process
 * that was replaced begin anew, so only differences within one process count.
 */
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { latencyAtShare, latencyBucketsLength } from '../../core/latency-counts.js'
import type { NodeStatus, ServiceLevel } from './cluster-view.js'

const windowMs = 10_000
/** Fewer say nothing of a share. */
const queriesMin = 100
/** Looks of one window; at its bound the oldest is forgotten. */
const looksMax = 256

interface Look {
  readonly at: MonotonicMs
  queries: number
  failures: number
  /** By bucket. */
  readonly latencies: number[]
}

export class ServiceWatch {
  #latest: ReadonlyMap<NodeId, NodeStatus> = new Map()
  #looks: Look[] = []

  observe(statuses: ReadonlyMap<NodeId, NodeStatus>, now: MonotonicMs): ServiceLevel {
    const look = { at: now, queries: 0, failures: 0, latencies: noLatencies() }
    for (const [node, status] of statuses) {
      const before = this.#latest.get(node)
      if (before !== undefined && before.boot === status.boot) addSince(look, before, status)
    }
    // Of a node that is silent now, the difference is seen when it answers again.
    this.#latest = new Map([...this.#latest, ...statuses])
    this.#looks.push(look)
    this.#looks = this.#looks.filter(({ at }) => now - at < windowMs).slice(-looksMax)
    return { errorRate: this.#errorRate(), p99Ms: this.#p99Ms() }
  }

  #errorRate(): number | null {
    const queries = this.#looks.reduce((sum, look) => sum + look.queries, 0)
    const failures = this.#looks.reduce((sum, look) => sum + look.failures, 0)
    return queries < queriesMin ? null : failures / queries
  }

  #p99Ms(): number | null {
    const all = noLatencies()
    for (const { latencies } of this.#looks) addTo(all, latencies)
    const told = all.reduce((sum, count) => sum + count, 0)
    return told < queriesMin ? null : latencyAtShare(all, 0.99)
  }
}

const noLatencies = (): number[] => new Array<number>(latencyBucketsLength).fill(0)

function addSince(look: Look, before: NodeStatus, status: NodeStatus): void {
  look.queries += Math.max(0, status.queries - before.queries)
  look.failures += Math.max(0, status.failures - before.failures)
  const former = before.latencies
  if (former === undefined || status.latencies === undefined) return
  addTo(
    look.latencies,
    status.latencies.map((count, bucket) => Math.max(0, count - (former[bucket] ?? 0)))
  )
}

function addTo(sums: number[], counts: readonly number[]): void {
  for (const [bucket, count] of counts.entries()) sums[bucket] = (sums[bucket] ?? 0) + count
}
