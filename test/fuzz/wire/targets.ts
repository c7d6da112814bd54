/** What is fuzzed: each target makes an input and feeds it to one reader of foreign bytes. */
import { strict as assert } from 'node:assert'
import { declaredCatalogue } from '../../../lib/catalogue.js'
import {
  type MonotonicMs,
  messageSizeBytesMax,
  type NodeId,
  pick,
  type Random,
  SkeinError,
  SplittableRandom,
  unstatedCapacity,
  type WallMs
} from '../../../src/core/index.js'
import {
  type DatagramMessage,
  partSpecs,
  readPacket
} from '../../../src/network/membership/messages.js'
import { Swim } from '../../../src/network/membership/swim.js'
import { DatagramOpener } from '../../../src/network/security/datagram-opener.js'
import { DatagramSealer } from '../../../src/network/security/datagram-sealer.js'
import { inspectDatagram } from '../../../src/network/security/inspect-datagram.js'
import { nodeCompression, nodeCrypto } from '../../../src/runtime/index.js'
import {
  type AnyDeclaration,
  ByteReader,
  ByteWriter,
  type Extension,
  encodeMessage,
  FrameFlags,
  FrameParser,
  inspect,
  isRequest,
  readExtension
} from '../../../src/wire/index.js'
import { MuxerPair, wall } from '../../support/muxer-pair.js'
import { concat, mutate, sampleBody, sampleBytes, tryRead } from '../../support/wire-samples.js'
import { membershipConfig } from '../../unit/network/membership/swim-world.js'

export interface Target {
  readonly name: string
  /** Bytes, in chunks as they would arrive. */
  make(random: Random): readonly Uint8Array[]
  /** Throws when something is broken; answers whether the input was taken. */
  feed(chunks: readonly Uint8Array[]): boolean
  /** Forgets everything: the next input meets a fresh reader. */
  reset(): void
}

const catalogue = declaredCatalogue()
const declarations = catalogue.all()
const room = 2 * 1024 * 1024

export const targets = (): readonly Target[] => [
  codecTarget(),
  parserTarget(),
  compressedTarget(),
  extensionTarget(),
  muxerTarget(),
  handshakeTarget(),
  datagramTarget(),
  packetTarget(),
  membershipTarget()
]

/** Whatever a codec takes, it writes back so that it reads the same again. */
function codecTarget(): Target {
  return {
    name: 'codecs',
    make(random) {
      const at = random.nextInt(declarations.length)
      return [Uint8Array.of(at), bodyBytes(declarationAt(at), random)]
    },
    feed([which, bytes]) {
      const { codec, name } = declarationAt(which?.[0] ?? 0)
      const reader = new ByteReader(bytes ?? new Uint8Array(0))
      const body = taken(() => {
        const value = codec.read(reader)
        reader.expectEnd()
        return { value }
      })
      if (body === null) return false
      const once = written(codec, body.value)
      const again = tryRead(codec, once)
      assert.ok(again, `${name}: what was written is not read`)
      assert.deepEqual(written(codec, again.body), once, `${name}: another encoding`)
      return true
    },
    reset() {}
  }
}

function parserTarget(): Target {
  let parser = new FrameParser()
  return {
    name: 'frames',
    make: (random) => chunked(frameBytes(random), random),
    feed(chunks) {
      let frames = 0
      const outcome = taken(() => {
        for (const chunk of chunks) {
          parser.push(chunk)
          while (parser.next() !== null) frames++
          assert.ok(parser.pendingBytes <= 65_536 + 4, `${parser.pendingBytes} bytes are kept`)
        }
        return true
      })
      parser = new FrameParser()
      const seen = inspect(concat(chunks), catalogue, nodeCompression())
      assert.ok(seen.frames.length >= frames, 'inspection sees fewer frames')
      return outcome ?? false
    },
    reset() {
      parser = new FrameParser()
    }
  }
}

/** Captured frames whose bodies are, or claim to be, compressed. */
function compressedTarget(): Target {
  const compression = nodeCompression()
  const packing = declarations.filter(({ compress }) => compress)
  return {
    name: 'compressed frames',
    make(random) {
      const declaration = pick(random, packing)
      const writer = new ByteWriter(room)
      const flags = FrameFlags.Compressed | (random.nextInt(8) === 0 ? FrameFlags.MoreFollows : 0)
      const header = { version: 1, flags, type: declaration.number, messageId: random.nextInt(3) }
      const route = { timestamp: 0, source: 1, destination: 2 }
      const body = compression.deflate(bodyBytes(declaration, random))
      encodeMessage(writer, { ...header, ...route }, null, rawBody, body)
      const bytes = writer.take()
      return [random.nextInt(2) === 0 ? mutate(bytes, random) : bytes]
    },
    feed(chunks) {
      const { frames } = inspect(concat(chunks), catalogue, compression)
      for (const { wholeBytes } of frames) assert.ok((wholeBytes ?? 0) <= messageSizeBytesMax)
      return frames.some(({ body }) => body !== null)
    },
    reset() {}
  }
}

function extensionTarget(): Target {
  return {
    name: 'extension blocks',
    make(random) {
      const length = random.nextInt(60)
      const bytes = Uint8Array.from({ length: length + 1 }, () => random.nextInt(12))
      bytes[0] = random.nextInt(8) === 0 ? random.nextInt(256) : length
      return [bytes]
    },
    feed: ([bytes]) =>
      taken(() => readExtension(new ByteReader(bytes ?? new Uint8Array(0)))) !== null,
    reset() {}
  }
}

/** An open connection, which a peer that has been authenticated feeds. */
function muxerTarget(): Target {
  const open = () => new MuxerPair({ catalogue }, { catalogue }).pump()
  let pair = open()
  let inputs = 0
  return {
    name: 'muxer',
    make: (random) => chunked(frameBytes(random), random),
    feed(chunks) {
      const { acceptor } = pair
      for (const chunk of chunks) acceptor.receive(chunk)
      for (const event of acceptor.events) {
        if (event.kind !== 'request') continue
        if (event.id % 2 === 0) acceptor.muxer.answerError(event.id, unwilling, wall(0))
      }
      acceptor.muxer.tellQueues((name, length, lengthMax) => {
        assert.ok(length <= lengthMax, `${name}: ${length} of ${lengthMax}`)
      })
      acceptor.pullAll()
      const isOpen = acceptor.doneError === undefined
      acceptor.events.length = 0
      if (!isOpen || ++inputs % 256 === 0) pair = open()
      return isOpen
    },
    reset() {
      pair = open()
    }
  }
}

const unwilling = { code: 'ERR_SKEIN_INTERNAL', message: 'no', retryable: false } as const

/** A stranger: nothing it says is taken before its Hello. */
function handshakeTarget(): Target {
  const hello = declarations[0] as AnyDeclaration
  return {
    name: 'handshake',
    make(random) {
      const bytes = random.nextInt(3) === 0 ? frameBytes(random) : framed(hello, random)
      return chunked(random.nextInt(2) === 0 ? mutate(bytes, random) : bytes, random)
    },
    feed(chunks) {
      const { acceptor } = new MuxerPair({ catalogue }, { catalogue })
      for (const chunk of chunks) acceptor.receive(chunk)
      const kinds = acceptor.kinds()
      assert.ok(!kinds.includes('message') && !kinds.includes('request'), 'a stranger is heard')
      acceptor.pullAll()
      return acceptor.doneError === undefined
    },
    reset() {}
  }
}

function datagramTarget(): Target {
  const crypto = nodeCrypto()
  const keys = [new Uint8Array(32).fill(7)]
  const security = (name: string, gossipKeys: readonly Uint8Array[] | null) => ({
    nodeId: name as NodeId,
    clusterName: 'test',
    gossipKeys
  })
  const sealers = [keys, null].map((k) => new DatagramSealer(crypto, security('a', k), 1))
  const opener = (k: readonly Uint8Array[] | null) =>
    new DatagramOpener(crypto, { ...security('b', k), peersMax: 8 })
  let openers = [opener(keys), opener(null)]
  return {
    name: 'datagrams',
    make(random) {
      const sealer = sealers[random.nextInt(2)] as DatagramSealer
      const bytes = sealer.seal(packetBytes(random).subarray(0, 1_000))
      const choice = random.nextInt(4)
      if (choice === 0) return [bytes]
      if (choice === 1) return [randomBytes(random, 200)]
      return [mutate(bytes, random)]
    },
    feed([bytes = new Uint8Array(0)]) {
      let isOpened = false
      for (const each of openers) {
        const outcome = each.open(bytes)
        assert.ok(each.peerCount <= 8, 'the table of senders has no bound')
        isOpened ||= outcome.kind === 'opened'
      }
      inspectDatagram(bytes, { crypto, clusterName: 'test', gossipKeys: keys })
      return isOpened
    },
    reset() {
      openers = [opener(keys), opener(null)]
    }
  }
}

function packetTarget(): Target {
  return {
    name: 'packets',
    make: (random) => [packetBytes(random)],
    feed: ([bytes = new Uint8Array(0)]) => taken(() => readPacket(bytes)) !== null,
    reset() {}
  }
}

/** The detector behind an authenticated member that says anything that can be said. */
function membershipTarget(): Target {
  const config = membershipConfig({ membersMax: 50, broadcastQueueLengthMax: 64 })
  let now = 0
  const start = () => {
    now = 0
    const swim = new Swim(
      { random: SplittableRandom.fromSeed(1) },
      {
        nodeId: 'node-0' as NodeId,
        address: 'node-0:1',
        datacenter: '',
        rack: '',
        metadata: {},
        capacity: unstatedCapacity,
        tags: [],
        versions: { min: 1, max: 1 },
        bornAt: 1 as WallMs,
        config
      },
      0 as MonotonicMs
    )
    swim.start(0 as MonotonicMs)
    return swim
  }
  let swim = start()
  return {
    name: 'membership',
    make: (random) => [packetBytes(random), Uint8Array.of(random.nextInt(20), random.nextInt(256))],
    feed([bytes = new Uint8Array(0), by = new Uint8Array(2)]) {
      const packet = taken(() => readPacket(bytes))
      if (packet === null) return false
      const nodeId = `node-${1 + (by[0] ?? 0)}` as NodeId
      now += by[1] ?? 0
      for (const part of packet.messages) {
        if (part.kind === 'payload') continue
        swim.receive(
          part as DatagramMessage,
          { nodeId, address: `${nodeId}:1` },
          now as MonotonicMs
        )
        swim.drainEffects()
      }
      if (swim.nextDeadline() <= now) swim.handleTimeout(now as MonotonicMs)
      swim.drainEffects()
      swim.tellQueues((name, length, lengthMax) => {
        assert.ok(length <= lengthMax, `${name}: ${length} of ${lengthMax}`)
      })
      assert.ok(swim.members().length <= 51, 'the table of members has no bound')
      return true
    },
    reset() {
      swim = start()
    }
  }
}

const declarationAt = (at: number): AnyDeclaration =>
  declarations[at % declarations.length] as AnyDeclaration

/** A quarter valid, a quarter noise, half nearly valid. */
function bodyBytes({ codec }: AnyDeclaration, random: Random): Uint8Array {
  const choice = random.nextInt(4)
  if (choice === 0) return randomBytes(random, 100)
  if (choice === 1) return sampleBody(codec, random) ?? new Uint8Array(0)
  return mutate(sampleBytes(codec.spec, random), random)
}

function frameBytes(random: Random): Uint8Array {
  const frames: Uint8Array[] = []
  for (let i = 1 + random.nextInt(4); i > 0; i--) {
    const choice = random.nextInt(8)
    if (choice === 0) frames.push(randomBytes(random, 100))
    else frames.push(framed(declarationAt(random.nextInt(256)), random))
  }
  const bytes = concat(frames)
  return random.nextInt(3) === 0 ? mutate(bytes, random) : bytes
}

/** A message as a peer of the muxer target would frame it, mostly with the right flags. */
function framed(declaration: AnyDeclaration, random: Random): Uint8Array {
  const writer = new ByteWriter(room)
  const body = bodyBytes(declaration, random)
  const flags =
    random.nextInt(8) === 0 ? random.nextInt(256) & ~FrameFlags.Extension : flagsOf(declaration)
  const route = declaration.number < 0x0100 ? [0, 0] : [1, 2]
  const header = {
    version: random.nextInt(64) === 0 ? random.nextInt(256) : 1,
    flags,
    type: declaration.number,
    messageId: random.nextInt(random.nextInt(4) === 0 ? 4 : 100_000),
    timestamp: random.nextInt(1_000_000),
    source: route[0] as number,
    destination: route[1] as number
  }
  const extension: Extension | null =
    random.nextInt(2) === 0 ? null : { deadlineMs: random.nextInt(1_000), group: 1 }
  encodeMessage(writer, header, extension, rawBody, body)
  return writer.take()
}

const rawBody = {
  spec: { kind: 'opaque' },
  write: (writer: ByteWriter, value: Uint8Array) => writer.raw(value),
  read: (reader: ByteReader) => reader.raw(reader.remaining)
} as const

function flagsOf(declaration: AnyDeclaration): number {
  if (isRequest(declaration)) return FrameFlags.Request
  return declaration.kind === 'response' ? FrameFlags.Response : 0
}

function packetBytes(random: Random): Uint8Array {
  const writer = new ByteWriter(room)
  writer.u8(random.nextInt(4) === 0 ? 1 : 0)
  if (writer.peek()[0] === 1) writer.raw(randomBytes(random, 8, 8))
  for (let i = random.nextInt(5); i > 0; i--) {
    const part = partSpecs[random.nextInt(partSpecs.length)]
    if (part === undefined) break
    writer.u8(part.number)
    const start = writer.beginSized()
    writer.raw(sampleBytes(part.spec, random))
    writer.endSized(start)
  }
  const bytes = writer.take()
  return random.nextInt(2) === 0 ? mutate(bytes, random) : bytes
}

function randomBytes(random: Random, lengthMax: number, lengthMin = 0): Uint8Array {
  const length = lengthMin + random.nextInt(lengthMax - lengthMin + 1)
  return Uint8Array.from({ length }, () => random.nextInt(256))
}

/** Cut where a stream might be cut. */
function chunked(bytes: Uint8Array, random: Random): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = random.nextInt(3) === 0 ? 1 + random.nextInt(8) : 1 + random.nextInt(4_096)
    chunks.push(bytes.slice(at, at + length))
    at += length
  }
  return chunks
}

const written = (codec: AnyDeclaration['codec'], value: unknown): Uint8Array => {
  const writer = new ByteWriter(room)
  codec.write(writer, value)
  return writer.take()
}

/** Null: refused with a coded error, as it should be. Everything else goes through. */
function taken<T>(act: () => T): T | null {
  try {
    return act()
  } catch (error) {
    if (error instanceof SkeinError) return null
    throw error
  }
}
