/** What the health rooms of two nodes say to one another, 0x0400 to 0x040C. */
import { memberMetadataBytesMax } from '../core/limits.js'
import { HealthStatuses, Lifecycles } from '../core/member.js'
import { Priorities } from '../core/ports/messenger.js'
import {
  ByteReader,
  ByteWriter,
  bytes,
  declareMessage,
  declareRequest,
  f64,
  list,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  struct,
  type TypeOf,
  text,
  u8,
  u16,
  u32,
  u64
} from '../wire/index.js'

/** Cells of one row of the latency matrix. */
export const matrixCellsMax = 256
/** Rows of one message. */
export const matrixRowsPerMessageMax = 8
/** One chunk of a capacity probe. */
export const capacityChunkBytesMax = 64 * 1024

export const healthCheck = declareRequest({
  number: 0x0400,
  name: 'HealthCheck',
  answerName: 'HealthResponse',
  priority: Priorities.High,
  body: openStruct({ sequence: u32 }),
  answer: openStruct({
    status: oneOf([HealthStatuses.Healthy, HealthStatuses.Degraded, HealthStatuses.ShuttingDown]),
    /** How late the main loop ran: tells a node that hardly runs from a good one. */
    loopDelayMs: f64,
    /** Checks that fail, one sentence. Empty: none. */
    detail: text(512)
  }),
  about: 'Asks a node how it is.'
})

export const latencyPing = declareRequest({
  number: 0x0402,
  name: 'LatencyPing',
  answerName: 'LatencyPong',
  priority: Priorities.High,
  body: openStruct({ sequence: u32 }),
  answer: openStruct({
    sequence: u32,
    /** The peer's wall clock when the ping was received. */
    receivedWallMs: f64,
    /** The peer's monotonic clock then; differences of it alone mean something. */
    receivedAtMs: f64,
    /** From receiving the ping to answering it. */
    heldMs: f64,
    loopDelayMs: f64
  }),
  about: 'Measures the round trip, its variation and the offset of the clocks.'
})

export const lossReport = declareRequest({
  number: 0x0404,
  name: 'LossReport',
  answerName: 'LossReportResponse',
  priority: Priorities.Normal,
  body: openStruct({ train: u32 }),
  answer: openStruct({ received: u16, duplicates: u16, reordered: u16 }),
  about: 'Asks how much of a train of datagrams arrived.'
})

const matrixCell = struct({
  to: nodeId,
  rttMs: nullable(f64),
  lossRate: nullable(f64),
  ageMs: u32
})

export const matrixRows = declareMessage({
  number: 0x0406,
  name: 'LatencyMatrixRows',
  priority: Priorities.Low,
  body: openStruct({
    rows: list(
      struct({ origin: nodeId, version: u64, cells: list(matrixCell, matrixCellsMax) }),
      matrixRowsPerMessageMax
    )
  }),
  about: "Passes on the sender's measurements and the newest of others."
})

export const capacityChunk = declareRequest({
  number: 0x0407,
  name: 'CapacityChunk',
  answerName: 'CapacityChunkResponse',
  priority: Priorities.Low,
  body: openStruct({ payload: bytes(capacityChunkBytesMax) }),
  answer: openStruct({ received: u32 }),
  about: 'Carries bytes that mean nothing, to see how fast they travel.'
})

/** Pairs of metadata in one heartbeat. */
export const heartbeatMetadataMax = 64

const heartbeat = openStruct({
  /** When this life of the sender began, by its wall clock; another one is another life. */
  bootNumber: u64,
  /** Rises with every heartbeat since. */
  sequence: u64,
  status: oneOf([HealthStatuses.Healthy, HealthStatuses.Degraded, HealthStatuses.ShuttingDown]),
  lifecycle: oneOf([
    Lifecycles.Joining,
    Lifecycles.WeaklyUp,
    Lifecycles.Up,
    Lifecycles.Draining,
    Lifecycles.Leaving,
    Lifecycles.Left
  ]),
  loopDelayMs: f64,
  metadata: list(
    struct({ key: text(252), value: text(memberMetadataBytesMax) }),
    heartbeatMetadataMax
  )
})
export type Heartbeat = TypeOf<typeof heartbeat>

export const heartbeatPing = declareRequest({
  number: 0x0409,
  name: 'HeartbeatPing',
  answerName: 'HeartbeatPong',
  priority: Priorities.Normal,
  body: heartbeat,
  answer: heartbeat,
  about: 'Two members tell each other how they are; whether they live is not decided by it.'
})

export const datagramsBack = declareRequest({
  number: 0x040b,
  name: 'DatagramsBack',
  answerName: 'DatagramsBackResponse',
  priority: Priorities.Normal,
  body: openStruct({ train: u32 }),
  /** How many of each size. */
  answer: openStruct({ sent: u16 }),
  about: 'Asks for datagrams, small ones and large ones, to see what arrives.'
})

export const healthMessages = [
  healthCheck,
  latencyPing,
  lossReport,
  matrixRows,
  capacityChunk,
  heartbeatPing,
  datagramsBack
] as const

/** A datagram of a train: what stands in it, in the schema's language; zeros may follow. */
const lossProbe = struct({ kind: u8, train: u32, sequence: u16, count: u16 })
const lossProbeKind = 1
const lossProbeBytes = 9

export type LossProbe = Omit<TypeOf<typeof lossProbe>, 'kind'>

/** Filled up with zeros to `sizeBytes`, if it is shorter. */
export function writeLossProbe(probe: LossProbe, sizeBytes = 0): Uint8Array {
  const writer = new ByteWriter(lossProbeBytes)
  lossProbe.write(writer, { kind: lossProbeKind, ...probe })
  const bytes = new Uint8Array(Math.max(lossProbeBytes, sizeBytes))
  bytes.set(writer.peek())
  return bytes
}

/** Null: it is none. */
export function readLossProbe(payload: Uint8Array): LossProbe | null {
  if (payload.length < lossProbeBytes || payload[0] !== lossProbeKind) return null
  return lossProbe.read(new ByteReader(payload))
}

export type HealthAnswer = TypeOf<typeof healthCheck.response.codec>
export type PongAnswer = TypeOf<typeof latencyPing.response.codec>
