import { compareText } from '../core/ids.js'

export interface SetObservation {
  /** Adding them was acknowledged. */
  readonly acknowledged: readonly string[]
  /** Adding them was tried, with unknown outcome. */
  readonly indeterminate: readonly string[]
  /** What a final read found. */
  readonly found: readonly string[]
}

export interface SetVerdict {
  readonly ok: boolean
  /** Acknowledged and not found. */
  readonly lost: readonly string[]
  /** Found, and never tried. */
  readonly unexpected: readonly string[]
  /** Found more than once. */
  readonly duplicated: readonly string[]
  /** Of unknown outcome and found: allowed, counted. */
  readonly recoveredCount: number
}

/** Every acknowledged element is there, once, and nothing that nobody added. */
export function checkSet(observation: SetObservation): SetVerdict {
  const acknowledged = new Set(observation.acknowledged)
  const indeterminate = new Set(observation.indeterminate)
  const found = new Set<string>()
  const duplicated = new Set<string>()
  for (const element of observation.found) {
    if (found.has(element)) duplicated.add(element)
    found.add(element)
  }
  const lost = [...acknowledged].filter((element) => !found.has(element))
  const unexpected = [...found].filter((e) => !acknowledged.has(e) && !indeterminate.has(e))
  return {
    ok: lost.length === 0 && unexpected.length === 0 && duplicated.size === 0,
    lost: lost.sort(compareText),
    unexpected: unexpected.sort(compareText),
    duplicated: [...duplicated].sort(compareText),
    recoveredCount: [...indeterminate].filter((e) => found.has(e) && !acknowledged.has(e)).length
  }
}
