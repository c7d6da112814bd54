/**
 * Log time: the clock of a group's log, by which its replicas let things expire alike. Whoever
 * leads gives it out with its entries.
 *
 * 1. It rises with every entry.
 * 2. It follows the leader's wall clock, and never runs faster than `logTimeRateMax` times that
 *    node's monotonic clock, counted from when its replica had applied the entry before. So what is
 *    kept for some time of the log is kept for that long, divided by the rate, whatever a wall
 *    clock says; a wall clock that was behind for long is caught up with slowly.
 * 3. A log that has told no time takes the wall clock as it is: nothing waits by it yet.
 */

/** Log time over monotonic time, while it catches up with a wall clock that is ahead of it. */
export const logTimeRateMax = 1.25

export interface LogTimeReading {
  /** Of the last entry; 0: there was none. */
  readonly last: number
  /** Monotonic, since that was applied here. */
  readonly elapsedMs: number
  readonly wallNow: number
}

/** Of the next entry. */
export function nextLogTime({ last, elapsedMs, wallNow }: LogTimeReading): number {
  const wall = Math.floor(wallNow)
  if (last === 0) return Math.max(1, wall)
  const latest = last + Math.floor(elapsedMs * logTimeRateMax)
  return Math.max(last + 1, Math.min(wall, latest))
}
