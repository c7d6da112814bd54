/** What a test of every way between this node and another found: `manager.health.reachability`. */
import type { ErrorFacts } from './errors.js'
import type { NodeId } from './ids.js'
import type { Address } from './ports/stream-network.js'

export const ReachabilityFindings = {
  /** Streams, and datagrams of both sizes, both ways. */
  Reachable: 'reachable',
  /** No answer over a stream; what became of datagrams could not be asked. */
  NoStream: 'noStream',
  /** Streams alone: something drops datagrams, both ways. */
  NoDatagrams: 'noDatagrams',
  NoDatagramsOut: 'noDatagramsOut',
  NoDatagramsBack: 'noDatagramsBack',
  /** Small ones arrive, those of full size do not: the path takes smaller packets. */
  NoFullDatagrams: 'noFullDatagrams',
  /** Some datagrams were lost. */
  Lossy: 'lossy',
  /** Streams work; nobody could send datagrams, or say what came of them. */
  Untested: 'datagramsUntested'
} as const
export type ReachabilityFinding = (typeof ReachabilityFindings)[keyof typeof ReachabilityFindings]

export interface DatagramsHeard {
  readonly sent: number
  readonly received: number
}

/** One way of the path. */
export interface DatagramWay {
  readonly small: DatagramsHeard
  /** As large as membership's may be. */
  readonly full: DatagramsHeard
}

export interface Reachability {
  readonly nodeId: NodeId
  readonly address: Address
  readonly finding: ReachabilityFinding
  /** Over a stream, not by way of a relay; null: no answer. */
  readonly roundTripMs: number | null
  /** Why there was no answer. */
  readonly error: ErrorFacts | null
  /** From this node; null: not known. */
  readonly out: DatagramWay | null
  /** To this node; null: not known. */
  readonly back: DatagramWay | null
}
