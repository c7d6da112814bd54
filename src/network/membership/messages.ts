/**
 * What members say to one another. A datagram's payload is a packet:
 *
 *   packet  = u8 0, or u8 1 and the first 8 bytes of the cluster id; then parts to the end
 *   part    = u8 kind, varint length, body of the kind
 *
 * Kinds are append-only; a kind that the reader does not know is skipped. Joins, state exchanges,
 * the fallback of a probe, goodbyes and metadata are messages of the stream, 0x0100 to 0x010a.
 */
import { assert } from '../../core/assert.js'
import { ProtocolError } from '../../core/errors.js'
import type { ClusterId, Incarnation } from '../../core/ids.js'
import {
  datagramExtraBytesMax,
  memberEntriesMax,
  memberEntryKeyBytesMax,
  memberEntryValueBytesMax,
  memberMetadataBytesMax,
  memberTagBytesMax,
  memberTagsMax,
  messageSizeBytesMax
} from '../../core/limits.js'
import {
  HealthStatuses,
  Lifecycles,
  Livenesses,
  type NodeCapacity,
  unstatedCapacity
} from '../../core/member.js'
import { Priorities } from '../../core/ports/messenger.js'
import {
  ByteReader,
  ByteWriter,
  bool,
  bytes,
  type Codec,
  clusterId,
  declareMessage,
  declareRequest,
  f64,
  incarnation,
  list,
  type MemberSpec,
  mapped,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  struct,
  type TypeOf,
  text,
  u16,
  u32,
  u64,
  varint53
} from '../../wire/index.js'
import { datagramPayloadBytesMax } from '../security/datagram-header.js'
import { gossipKeysMax } from '../security/datagram-keyring.js'
import { joinSettingsMax, settingNameBytesMax, settingValueBytesMax } from './compatibility.js'

/** Parts of one datagram. */
export const datagramPartsMax = 255
/** One statement, so that it always fits a datagram beside a probe. */
export const statementBytesMax = 1_100
/** Members in one state exchange. */
export const exchangedMembersMax = 10_000
/** Bytes of members in one state exchange; what does not fit comes in a later one. */
export const exchangeBytesMax = messageSizeBytesMax - 64 * 1024

const metadataPairs = list(
  struct({ key: text(252), value: text(memberMetadataBytesMax) }),
  memberMetadataBytesMax
)

/** Pairs in any order; keys are own properties, whatever their name. */
const metadata: Codec<Readonly<Record<string, string>>> = mapped(
  bytes(memberMetadataBytesMax),
  (record: Readonly<Record<string, string>>) => {
    const writer = new ByteWriter(memberMetadataBytesMax)
    metadataPairs.write(
      writer,
      Object.entries(record).map(([key, value]) => ({ key, value }))
    )
    return writer.take()
  },
  (wire) => {
    const reader = new ByteReader(wire)
    const pairs = metadataPairs.read(reader)
    reader.expectEnd()
    return Object.fromEntries(pairs.map(({ key, value }) => [key, value]))
  },
  { kind: 'sized', sizeBytesMax: memberMetadataBytesMax, value: metadataPairs.spec }
)

/** Few bytes for the few lives and quarrels of a node. */
const shortIncarnation = varint53 as Codec<Incarnation>

const statedCapacity = nullable(
  struct({ cpus: f64, memoryBytes: u64, connections: u32, weight: u32 })
)

/** Most say nothing of it, which takes a byte. */
const capacity: Codec<NodeCapacity> = mapped(
  statedCapacity,
  (value: NodeCapacity) => (isUnstated(value) ? null : value),
  (wire) => wire ?? unstatedCapacity
)

const isUnstated = ({ cpus, memoryBytes, connections, weight }: NodeCapacity): boolean =>
  Object.is(cpus, unstatedCapacity.cpus) &&
  memoryBytes === unstatedCapacity.memoryBytes &&
  connections === unstatedCapacity.connections &&
  weight === unstatedCapacity.weight

/** What a member says of itself; nobody else may change it. */
export const statement = struct({
  nodeId,
  /** Rises with every statement. */
  incarnation: shortIncarnation,
  address: text(262),
  lifecycle: oneOf([
    Lifecycles.Joining,
    Lifecycles.WeaklyUp,
    Lifecycles.Up,
    Lifecycles.Draining,
    Lifecycles.Leaving,
    Lifecycles.Left
  ]),
  health: oneOf([HealthStatuses.Healthy, HealthStatuses.Degraded, HealthStatuses.ShuttingDown]),
  datacenter: text(252),
  rack: text(252),
  metadata,
  capacity,
  tags: list(text(memberTagBytesMax), memberTagsMax),
  /** By its wall clock, milliseconds: when this life of it began. */
  bornAt: varint53,
  versionMin: u16,
  versionMax: u16
})
export type Statement = TypeOf<typeof statement>

const accusation = openStruct({ nodeId, incarnation, accuser: nodeId })

const deltaFields = {
  owner: nodeId,
  floor: u64,
  from: u64,
  version: u64,
  entries: list(
    struct({
      key: text(memberEntryKeyBytesMax),
      version: u64,
      /** Null: deleted. */
      value: nullable(text(memberEntryValueBytesMax))
    }),
    memberEntriesMax
  )
} as const

const parts = {
  /**
   * Probes `target`; whoever else gets it does not answer. `isUnheard`: the target's last answers
   * did not come straight.
   */
  ping: [1, openStruct({ sequence: u32, target: nodeId }, { isUnheard: [1, bool] })],
  /** Asks the receiver to ping `target` and to tell. */
  pingRequest: [2, openStruct({ sequence: u32, target: nodeId })],
  /** Answers a ping, or a ping request whose target answered; `viewMark`: see `view-mark.ts`. */
  ack: [3, openStruct({ sequence: u32 }, { viewMark: [1, u32] })],
  /** Answers a ping request: the target was silent so far, the helper is well. */
  nack: [4, openStruct({ sequence: u32 })],
  statement: [5, openStruct({ statement })],
  suspect: [6, accusation],
  dead: [7, accusation],
  metadata: [8, openStruct(deltaFields)],
  /** Of another room: measurements that a stream would hide. Carries no membership. */
  payload: [16, openStruct({ bytes: bytes(datagramExtraBytesMax) })]
} as const

type PartOf<P> = {
  [Kind in keyof P]: { readonly kind: Kind } & (P[Kind] extends readonly [number, infer C]
    ? TypeOf<C>
    : never)
}[keyof P]

export type PacketPart = PartOf<typeof parts>
/** What the membership core says and is told; payloads are for other rooms. */
export type DatagramMessage = Exclude<PacketPart, { kind: 'payload' }>
export type StatementRumour = Extract<DatagramMessage, { kind: 'statement' }>
export type Accusation = Extract<DatagramMessage, { kind: 'suspect' | 'dead' }>
export type MetadataRumour = Extract<DatagramMessage, { kind: 'metadata' }>
export type Rumour = StatementRumour | Accusation | MetadataRumour

/** Number, name and shape of each part, for documentation and tests. */
export const partSpecs: readonly MemberSpec[] = Object.entries(parts).map(
  ([name, [number, codec]]) => ({ name, number, spec: codec.spec })
)

const partByNumber = new Map(
  Object.entries(parts).map(([kind, [number, codec]]) => [
    number as number,
    { kind, codec: codec as Codec<unknown> }
  ])
)

const nullableClusterId = nullable(clusterId)
/** The first digits of the cluster's id: the key proves the group, this tells a mix-up. */
const clusterTagDigits = 16
const packetPreludeBytes = 1 + clusterTagDigits / 2

/** What the parts of one datagram may take together. */
export const packetPartsBytesMax = datagramPayloadBytesMax - packetPreludeBytes

export interface Packet {
  /** The first 16 digits of the sender's cluster id, when it has one. */
  readonly clusterTag: string | null
  readonly messages: readonly PacketPart[]
  /** Parts of kinds that this node does not know. */
  readonly unknownParts: number
}

/** Writes packets; keeps its buffers. */
export class PacketWriter {
  readonly #packet = new ByteWriter(datagramPayloadBytesMax)
  /** Larger than any packet, so that a part that fits none can be measured. */
  readonly #body = new ByteWriter(4 * statementBytesMax)

  /** Valid until the next call. */
  write(cluster: ClusterId | null, messages: readonly PacketPart[]): Uint8Array {
    assert(messages.length <= datagramPartsMax, `${messages.length} parts`)
    this.#packet.reset()
    writeClusterTag(this.#packet, cluster)
    for (const message of messages) this.#writePart(message)
    return this.#packet.peek()
  }

  /** What one part takes in a packet; Infinity when it fits none. */
  sizeOf(message: PacketPart): number {
    this.#writeBody(message)
    const size = this.#body.length
    const whole = 1 + (size < 0x80 ? 1 : 2) + size
    return whole > packetPartsBytesMax ? Number.POSITIVE_INFINITY : whole
  }

  #writePart(message: PacketPart): void {
    this.#writeBody(message)
    this.#packet.u8(parts[message.kind][0])
    this.#packet.varint(this.#body.length)
    this.#packet.raw(this.#body.peek())
  }

  #writeBody(message: PacketPart): void {
    this.#body.reset()
    const codec = parts[message.kind][1] as Codec<PacketPart>
    codec.write(this.#body, message)
  }
}

/** @throws ProtocolError anything that is not a packet: nothing of it is used */
export function readPacket(payload: Uint8Array): Packet {
  const reader = new ByteReader(payload)
  const clusterTag = readClusterTag(reader)
  const messages: PacketPart[] = []
  let unknownParts = 0
  for (let count = 0; reader.remaining > 0; count++) {
    if (count === datagramPartsMax) throw new ProtocolError(`more than ${datagramPartsMax} parts`)
    const part = partByNumber.get(reader.u8())
    const body = new ByteReader(reader.raw(reader.varint()))
    if (part === undefined) {
      unknownParts++
      continue
    }
    const value = part.codec.read(body)
    body.expectEnd()
    messages.push({ ...(value as object), kind: part.kind } as PacketPart)
  }
  return { clusterTag, messages, unknownParts }
}

/** What of a cluster's id goes into each datagram. */
export const clusterTagOfId = (id: ClusterId): string => id.slice(0, clusterTagDigits)

function writeClusterTag(writer: ByteWriter, cluster: ClusterId | null): void {
  writer.u8(cluster === null ? 0 : 1)
  if (cluster === null) return
  for (let i = 0; i < clusterTagDigits; i += 8) {
    writer.u32(Number.parseInt(cluster.slice(i, i + 8), 16))
  }
}

function readClusterTag(reader: ByteReader): string | null {
  const flag = reader.u8()
  if (flag > 1) throw new ProtocolError(`cluster tag flag ${flag}`)
  if (flag === 0) return null
  let digits = ''
  while (digits.length < clusterTagDigits) digits += reader.u32().toString(16).padStart(8, '0')
  return digits
}

/** A member as one node sees it, in a state exchange. */
const memberState = struct({
  statement,
  liveness: oneOf([Livenesses.Alive, Livenesses.Suspect, Livenesses.Dead]),
  /** Of the liveness; not below the statement's. */
  incarnation
})
export type MemberState = TypeOf<typeof memberState>

const memberStates = list(memberState, exchangedMembersMax)

const joinSettings = struct({
  /** CRC-32C over them: the same where nothing differs. */
  digest: u32,
  list: list(
    struct({ name: text(settingNameBytesMax), value: text(settingValueBytesMax) }),
    joinSettingsMax
  )
})

const exchangeAnswer = openStruct(
  {
    clusterId: nullableClusterId,
    members: memberStates,
    /** The newest boot number of the asker's datagrams that the answerer believed. */
    bootNumberSeen: nullable(u64)
  },
  /** Of the answerer, where they differ from those of one that joins. */
  { settings: [1, joinSettings] }
)

export const joinRequest = declareRequest({
  number: 0x0100,
  name: 'JoinRequest',
  priority: Priorities.High,
  compress: true,
  body: openStruct(
    {
      clusterName: text(63),
      clusterId: nullableClusterId,
      /** Address, incarnation, version range, datacenter, rack of the joiner. */
      statement,
      features: list(text(63), 64)
    },
    { settings: [1, joinSettings], keyIds: [2, list(text(8), gossipKeysMax)] }
  ),
  answer: exchangeAnswer,
  about: 'A node asks to become a member; the answer is what the asked node knows of all members.'
})

export const pushPull = declareRequest({
  number: 0x0102,
  name: 'PushPull',
  priority: Priorities.Normal,
  compress: true,
  body: openStruct({ clusterId: nullableClusterId, members: memberStates }),
  answer: exchangeAnswer,
  about: 'Two members exchange what they know of all members.'
})

export const streamPing = declareRequest({
  number: 0x0104,
  name: 'StreamPing',
  priority: Priorities.Critical,
  body: openStruct({ sequence: u32 }),
  /** A restarted node may be reached that is not the one at the probed address. */
  answer: openStruct({ sequence: u32, address: text(262) }),
  about: 'A probe over the stream, after its datagram went unanswered.'
})

export const leave = declareMessage({
  number: 0x0106,
  name: 'Leave',
  priority: Priorities.High,
  body: openStruct({ statement }),
  about: 'A member says that it left, beside its rumour, in case datagrams are blocked.'
})

const metadataDeltas = list(struct(deltaFields), exchangedMembersMax)
const metadataDigests = list(struct({ owner: nodeId, version: u64 }), exchangedMembersMax)

export const metadataSync = declareRequest({
  number: 0x0108,
  name: 'MetadataSync',
  priority: Priorities.Normal,
  body: openStruct({ clusterId: nullableClusterId, digests: metadataDigests }),
  /** `wanted`: what the answerer holds of them, where the asker has more. */
  answer: openStruct({ deltas: metadataDeltas, wanted: metadataDigests }),
  about: 'What a node holds of the pairs of each member; the answer is what it lacks.'
})

export const metadataSupply = declareMessage({
  number: 0x010a,
  name: 'MetadataSupply',
  priority: Priorities.Normal,
  compress: true,
  body: openStruct({ clusterId: nullableClusterId, deltas: metadataDeltas }),
  about: 'The pairs that a node wanted in answer to a MetadataSync.'
})

export type ExchangeAnswer = TypeOf<typeof exchangeAnswer>

/** For the catalogue of the composition root. */
export const membershipMessages = [
  joinRequest,
  pushPull,
  streamPing,
  leave,
  metadataSync,
  metadataSupply
] as const

/** Of one UTF-16 unit. */
const bytesPerUnit = 3
/** A statement's numbers and the lengths of its texts, generously. */
const statementFixedBytes = 96

const statementWriter = (): ByteWriter => new ByteWriter(messageSizeBytesMax)

/** Encoded size of a statement. @throws InvariantError a field is out of its bound */
export function statementBytes(value: Statement): number {
  const writer = statementWriter()
  statement.write(writer, value)
  return writer.length
}

/** Whether it is within `statementBytesMax`; most are far below it, which no encoding must tell. */
export function isStatementSmall(value: Statement): boolean {
  const { nodeId, address, datacenter, rack, metadata, tags } = value
  let chars = nodeId.length + address.length + datacenter.length + rack.length
  for (const tag of tags) chars += tag.length + 1
  for (const [key, text] of Object.entries(metadata)) chars += key.length + text.length + 2
  return bytesPerUnit * chars + statementFixedBytes <= statementBytesMax
    ? true
    : statementBytes(value) <= statementBytesMax
}

/** Encoded size of a member in a state exchange. */
export function memberStateBytes(value: MemberState): number {
  return statementBytes(value.statement) + 1 + 8
}
