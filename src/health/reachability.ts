/** What a test of the ways to a node amounts to; a path that works in part is named by its part. */
import {
  type DatagramsHeard,
  type DatagramWay,
  type ReachabilityFinding,
  ReachabilityFindings
} from '../core/reachability.js'

export interface Heard {
  /** Null: no answer over a stream. */
  readonly roundTripMs: number | null
  readonly out: DatagramWay | null
  readonly back: DatagramWay | null
}

export function findingOf({ roundTripMs, out, back }: Heard): ReachabilityFinding {
  if (roundTripMs === null) return ReachabilityFindings.NoStream
  const ways = [out, back].filter((way) => way !== null)
  if (ways.length === 0) return ReachabilityFindings.Untested
  if (ways.every(({ small }) => isNone(small))) {
    if (ways.length === 2) return ReachabilityFindings.NoDatagrams
    return out === null ? ReachabilityFindings.NoDatagramsBack : ReachabilityFindings.NoDatagramsOut
  }
  if (out !== null && isNone(out.small)) return ReachabilityFindings.NoDatagramsOut
  if (back !== null && isNone(back.small)) return ReachabilityFindings.NoDatagramsBack
  if (ways.some(({ full }) => isNone(full))) return ReachabilityFindings.NoFullDatagrams
  const isLossy = ways.some(({ small, full }) => isShort(small) || isShort(full))
  return isLossy ? ReachabilityFindings.Lossy : ReachabilityFindings.Reachable
}

const isNone = ({ received }: DatagramsHeard): boolean => received === 0
const isShort = ({ sent, received }: DatagramsHeard): boolean => received < sent
