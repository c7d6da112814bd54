/**
 * Encoding and decoding of the messages of the first design's table, beside a codec written by
 * hand, protobufjs, msgpackr and JSON. Ours writes the whole frame body into a kept buffer and
 * reads it back into an object; JSON goes from object to text to bytes and back, with payloads in
 * base64.
 */

import { appendEntriesMessage, voteMessage } from '../src/consensus/messages.js'
import {
  type GroupId,
  type Incarnation,
  type LogIndex,
  type NodeId,
  type StorageId,
  type Term,
  unstatedCapacity
} from '../src/core/index.js'
import { joinRequest } from '../src/network/membership/messages.js'
import {
  ByteReader,
  ByteWriter,
  beginFrame,
  type Codec,
  endFrame,
  f64,
  openStruct,
  readFrame,
  u32,
  u64
} from '../src/wire/index.js'
import { handWrittenCheck, handWrittenVote, writtenBytes } from './codec/hand-written.js'
import { msgpackr, protobufOf } from './codec/peers.js'
import { type BenchFindings, type BenchRow, measure, round, rowOf } from './report.js'

interface Case {
  readonly name: string
  readonly codec: Codec<never>
  readonly body: object
}

/** The body is checked against its codec here; the cases then forget which message it is. */
function caseOf<Body extends object>(name: string, codec: Codec<Body>, body: Body): Case {
  return { name, codec: codec as unknown as Codec<never>, body }
}

const envelope = {
  group: 0 as GroupId,
  from: '0123456789abcdef' as StorageId,
  to: 'fedcba9876543210' as StorageId,
  term: 7 as Term
}
const payload = Uint8Array.from({ length: 1_024 }, (_, i) => i)
const healthCheck = openStruct({ sequence: u32, sentAt: u64, load: f64 })

const cases: readonly Case[] = [
  caseOf('RequestVote', voteMessage.codec, {
    ...envelope,
    kind: 'vote',
    lastIndex: 100 as LogIndex,
    lastTerm: 6 as Term,
    transfer: false
  }),
  caseOf('AppendEntries1K', appendEntriesMessage.codec, {
    ...envelope,
    kind: 'appendEntries',
    prevIndex: 100 as LogIndex,
    prevTerm: 6 as Term,
    commitIndex: 99 as LogIndex,
    entries: [{ index: 101 as LogIndex, term: 7 as Term, payload }]
  }),
  caseOf('JoinRequest', joinRequest.codec, {
    clusterName: 'skein',
    clusterId: null,
    statement: {
      nodeId: 'node-0123456789a' as NodeId,
      incarnation: 1 as Incarnation,
      address: '10.0.0.17:7946',
      lifecycle: 'joining',
      health: 'healthy',
      datacenter: 'eu-1',
      rack: 'r7',
      metadata: {},
      capacity: unstatedCapacity,
      tags: [],
      bornAt: 1_700_000_000_000,
      versionMin: 1,
      versionMax: 1
    },
    features: []
  }),
  caseOf('HealthCheck', healthCheck, { sequence: 17, sentAt: 1_700_000_000_000, load: 0.25 })
]

/** Bodies in bytes, as the first design's table has them. */
const seedSizes: Readonly<Record<string, number>> = {
  RequestVote: 48,
  AppendEntries1K: 1_152,
  JoinRequest: 96,
  HealthCheck: 24
}

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  const skipped: { peer: string; why: string }[] = []
  for (const one of cases) {
    progress(`codec: ${one.name}`)
    const peers = peersOf(one)
    if (!peers.some(({ name }) => name === 'protobufjs')) {
      skipped.push({ peer: `protobufjs, ${one.name}`, why: 'no schema of it in this bench' })
    }
    for (const [way, measured] of Object.entries(measureCase(one, peers))) {
      rows.push(...measured)
      const [ours, ...others] = measured
      for (const other of ours === undefined ? [] : others) {
        const ratio = round(other.value / (ours as BenchRow).value)
        ratios[`${one.name} ${way} ours/${other.subject}`] = ratio
      }
    }
  }
  rows.push(...measureHeader())
  return { rows, ratios, skipped }
}

interface Peer {
  readonly name: string
  encode(): unknown
  decode(): unknown
  readonly sizeBytes: number
}

function peersOf({ name, body }: Case): Peer[] {
  const written = handWrittenOf(name, body)
  const packed = [protobufOf(name), msgpackr()].flatMap((codec) => {
    if (codec === null) return []
    const bytes = Uint8Array.from(codec.encode(body))
    const { length } = bytes
    return [
      {
        name: codec.name,
        encode: () => codec.encode(body),
        decode: () => codec.decode(bytes),
        sizeBytes: length
      }
    ]
  })
  const json = Buffer.from(JSON.stringify(body, toJson))
  return [
    ...written,
    ...packed,
    {
      name: 'JSON',
      encode: () => Buffer.from(JSON.stringify(body, toJson)),
      decode: () => fromJson(JSON.parse(json.toString())),
      sizeBytes: json.length
    }
  ]
}

function handWrittenOf(name: string, body: object): Peer[] {
  if (name !== 'RequestVote' && name !== 'HealthCheck') return []
  const codec = name === 'RequestVote' ? handWrittenVote : handWrittenCheck
  const sizeBytes = codec.encode(body as never)
  const bytes = writtenBytes(sizeBytes)
  return [
    {
      name: 'by hand',
      encode: () => codec.encode(body as never),
      decode: () => codec.decode(bytes),
      sizeBytes
    }
  ]
}

function measureCase(
  { name, codec, body }: Case,
  peers: readonly Peer[]
): Record<string, BenchRow[]> {
  const writer = new ByteWriter(64 * 1024)
  const write = () => {
    writer.reset()
    codec.write(writer, body as never)
  }
  write()
  const bytes = writer.take()
  const reader = new ByteReader(bytes)
  return {
    encode: measure(`${name} encode`, [
      { name: 'ours', run: write },
      ...peers.map((peer) => ({ name: peer.name, run: () => void peer.encode() }))
    ]),
    decode: measure(`${name} decode`, [
      { name: 'ours', run: () => void codec.read(reader.reset(bytes)) },
      ...peers.map((peer) => ({ name: peer.name, run: () => void peer.decode() }))
    ]),
    size: [
      rowOf(`${name} size`, 'ours', [bytes.length], 'bytes'),
      ...peers.map((peer) => rowOf(`${name} size`, peer.name, [peer.sizeBytes], 'bytes')),
      rowOf(`${name} size`, 'first design', [seedSizes[name] ?? 0], 'bytes')
    ]
  }
}

function measureHeader(): BenchRow[] {
  const writer = new ByteWriter(1_024)
  const header = {
    version: 1,
    flags: 6,
    type: 0x202,
    messageId: 123_456,
    timestamp: 1_740_800_000_000_000,
    source: 1,
    destination: 2
  }
  const write = () => {
    writer.reset()
    endFrame(writer, beginFrame(writer, header))
  }
  write()
  const bytes = writer.take()
  const reader = new ByteReader(bytes)
  return [
    ...measure('header encode', [{ name: 'ours', run: write }]),
    ...measure('header decode', [
      { name: 'ours', run: () => void readFrame(reader.reset(bytes, 4), bytes, bytes.length) }
    ])
  ]
}

const toJson = (_key: string, value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value

function fromJson(body: { entries?: { payload: unknown }[] }): object {
  for (const entry of body.entries ?? []) {
    entry.payload = Buffer.from(String(entry.payload), 'base64')
  }
  return body
}
