/**
 * Rare branches by configuration, after FoundationDB's buggify: what a bound of production makes
 * happen once in a year, a tiny one makes happen all the time. Each has a name and is switched on
 * by the seed, alike on every node, in some of the seeds.
 */
import type { ConfigInput, Random } from '../core/index.js'

type Sections = Required<Pick<ConfigInput, 'consensus' | 'membership' | 'routing' | 'transport'>>
export type NarrowConfig = Partial<Sections>

interface Range {
  readonly min: number
  readonly max: number
  /** Where in the configuration a value drawn from the range goes. */
  readonly at: (value: number) => NarrowConfig
}

const consensus = (field: keyof Sections['consensus'], min: number, max: number): Range => ({
  min,
  max,
  at: (value) => ({ consensus: { [field]: value } })
})
const routing = (field: keyof Sections['routing'], min: number, max: number): Range => ({
  min,
  max,
  at: (value) => ({ routing: { [field]: value } })
})
const transport = (field: keyof Sections['transport'], min: number, max: number): Range => ({
  min,
  max,
  at: (value) => ({ transport: { [field]: value } })
})
const membership = (field: keyof Sections['membership'], min: number, max: number): Range => ({
  min,
  max,
  at: (value) => ({ membership: { [field]: value } })
})

const ranges = {
  /** Replication stands still until the one message is answered. */
  appends_in_flight: consensus('appendsInFlightMax', 1, 3),
  /** Followers catch up an entry or two at a time. */
  append_size: consensus('appendSizeBytesMax', 1_024, 4_096),
  /** No two commands share an entry. */
  batch_commands: consensus('batchCommandsMax', 1, 3),
  /** Proposals are refused, those of sections of the log too. */
  proposal_queue: consensus('proposalQueueLengthMax', 2, 16),
  uncommitted: consensus('uncommittedBytesMax', 65_536, 131_072),
  /** Whoever is slow to apply holds proposals up. */
  unapplied: consensus('unappliedBytesMax', 65_536, 131_072),
  pending_reads: consensus('pendingReadsMax', 2, 16),
  /** Clients expire while they still write. */
  clients: consensus('clientsMax', 16, 32),
  /** Several files of a log, some of them to be deleted, in a short run. */
  segments: consensus('logSegmentBytes', 65_536, 131_072),
  /** Parts of snapshots are asked for again though they are on their way. */
  chunk_timeout: consensus('snapshotChunkTimeoutMs', 50, 400),
  queries_in_flight: routing('queriesInFlightMax', 4, 32),
  retries: routing('retriesMax', 0, 2),
  requests_in_flight: transport('requestsInFlightMax', 8, 64),
  requests_served: transport('requestsServedMax', 8, 64),
  /** Rumours are dropped, and have to come by an exchange of everything. */
  broadcasts: membership('broadcastQueueLengthMax', 16, 20),
  push_pull: membership('pushPullIntervalMs', 300, 5_000)
} as const satisfies Record<string, Range>

export type NarrowBound = keyof typeof ranges
export const narrowBounds = Object.keys(ranges) as readonly NarrowBound[]

/** By their names, with the value that each has; empty: all are production's. */
export type DrawnBounds = Readonly<Partial<Record<NarrowBound, number>>>

/** Share of seeds with narrow bounds, and of the bounds that are narrow in such a seed. */
const narrowShare = 0.4
const boundShare = 0.25

export function drawBounds(random: Random): DrawnBounds {
  const isNarrow = random.nextFloat() < narrowShare
  const drawn: Partial<Record<NarrowBound, number>> = {}
  for (const name of narrowBounds) {
    const isOn = random.nextFloat() < boundShare
    const { min, max } = ranges[name]
    const value = min + random.nextInt(max - min + 1)
    if (isNarrow && isOn) drawn[name] = value
  }
  return drawn
}

/** What they mean for each node's configuration. */
export function narrowConfigOf(drawn: DrawnBounds): NarrowConfig {
  let config: NarrowConfig = {}
  for (const name of narrowBounds) {
    const value = drawn[name]
    if (value !== undefined) config = merged(config, ranges[name].at(value))
  }
  return config
}

const merged = (one: NarrowConfig, other: NarrowConfig): NarrowConfig => ({
  consensus: { ...one.consensus, ...other.consensus },
  membership: { ...one.membership, ...other.membership },
  routing: { ...one.routing, ...other.routing },
  transport: { ...one.transport, ...other.transport }
})
