/**
 * Encoding and decoding of the messages of the first design's table, beside JSON. Ours writes the
 * whole frame body into a kept buffer and reads it back into an object; JSON goes from object to
 * text to bytes and back, with payloads in base64.
 */

import { appendEntriesMessage, voteMessage } from '../src/consensus/messages.js'
import {
  type GroupId,
  type Incarnation,
  type LogIndex,
  type NodeId,
  type ReplicaId,
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
  u64
} from '../src/wire/index.js'
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
  from: 'node-0123456789a/0123456789abcdef' as ReplicaId,
  to: 'node-0123456789b/fedcba9876543210' as ReplicaId,
  term: 7 as Term
}
const payload = Uint8Array.from({ length: 1_024 }, (_, i) => i)
const healthCheck = openStruct({ sequence: u64, sentAt: u64, load: f64 })

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

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  for (const one of cases) {
    progress(`codec: ${one.name}`)
    for (const [way, measured] of Object.entries(measureCase(one))) {
      rows.push(...measured)
      const [ours, json] = measured
      if (ours && json) ratios[`${one.name} ${way} ours/JSON`] = round(json.value / ours.value)
    }
  }
  rows.push(...measureHeader())
  const why = 'not among the dependencies'
  return {
    rows,
    ratios,
    skipped: [
      { peer: 'msgpackr', why },
      { peer: 'protobufjs', why }
    ]
  }
}

function measureCase({ name, codec, body }: Case): Record<string, BenchRow[]> {
  const writer = new ByteWriter(64 * 1024)
  const write = () => {
    writer.reset()
    codec.write(writer, body as never)
  }
  write()
  const bytes = writer.take()
  const reader = new ByteReader(bytes)
  const json = Buffer.from(JSON.stringify(body, toJson))
  return {
    encode: measure(`${name} encode`, [
      { name: 'ours', run: write },
      { name: 'JSON', run: () => void Buffer.from(JSON.stringify(body, toJson)) }
    ]),
    decode: measure(`${name} decode`, [
      { name: 'ours', run: () => void codec.read(reader.reset(bytes)) },
      { name: 'JSON', run: () => void fromJson(JSON.parse(json.toString())) }
    ]),
    size: [
      rowOf(`${name} size`, 'ours', [bytes.length], 'bytes'),
      rowOf(`${name} size`, 'JSON', [json.length], 'bytes')
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
