/**
 * How long things took since this process began, as counts in buckets whose bounds grow by the
 * fourth root of two: every figure is at most a fifth too high. Counts of several nodes, or of two
 * moments, are added and subtracted; recording one allocates nothing.
 */

/** From a quarter of a millisecond to 220 seconds; what is longer counts as that. */
export const latencyBucketsLength = 80

const boundMinMs = 0.25
const bucketsPerDoubling = 4

export class LatencyCounts {
  readonly #counts: number[] = new Array<number>(latencyBucketsLength).fill(0)

  record(ms: number): void {
    const bucket = bucketOf(ms)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
  }

  /** One count per bucket, the shortest first. */
  snapshot(): readonly number[] {
    return this.#counts.slice()
  }
}

function bucketOf(ms: number): number {
  if (ms <= boundMinMs) return 0
  const bucket = Math.ceil(bucketsPerDoubling * Math.log2(ms / boundMinMs))
  return Math.min(bucket, latencyBucketsLength - 1)
}

/** Of a bucket, the upper one. */
export const latencyBoundMs = (bucket: number): number =>
  boundMinMs * 2 ** (bucket / bucketsPerDoubling)

/**
 * What so large a share took at most; null: nothing was counted.
 * @param share 0…1
 */
export function latencyAtShare(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let seen = 0
  for (const [bucket, count] of counts.entries()) {
    seen += count
    if (count > 0 && seen >= share * total) return latencyBoundMs(bucket)
  }
  return latencyBoundMs(counts.length - 1)
}
