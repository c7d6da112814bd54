import { assert } from '../core/assert.js'
import type { Interval } from '../core/health-views.js'

/** The normal quantile of a two-sided 95 % interval. */
const z95 = 1.959963984540054

/**
 * Wilson's score interval (1927) for `hits` of `trials`, 95 %: stays within 0…1 and means something
 * at 0 hits, where the normal approximation says "exactly none".
 */
export function wilson(hits: number, trials: number, z = z95): Interval {
  assert(trials > 0 && hits >= 0 && hits <= trials, `${hits} of ${trials}`)
  const rate = hits / trials
  const z2 = z * z
  const centre = rate + z2 / (2 * trials)
  const spread = z * Math.sqrt((rate * (1 - rate)) / trials + z2 / (4 * trials * trials))
  const scale = 1 + z2 / trials
  return {
    low: hits === 0 ? 0 : (centre - spread) / scale,
    high: hits === trials ? 1 : (centre + spread) / scale
  }
}
