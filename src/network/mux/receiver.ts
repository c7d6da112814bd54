import { NotAuthorizedError, PeerIdentityError, ProtocolError } from '../../core/errors.js'
import type { NodeId, WallMs } from '../../core/ids.js'
import { messageSizeBytesMax } from '../../core/limits.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import {
  type AssembledMessage,
  ByteReader,
  type Extension,
  type Frame,
  FrameFlags,
  FrameParser,
  type HybridClock,
  type IsDivisible,
  Reassembler,
  readExtension
} from '../../wire/index.js'
import { nameOf } from './handshake.js'
import { handshakeVersion, refuse } from './messages.js'
import type { Packing } from './muxer-options.js'
import { streamData } from './streams/messages.js'
import type { TransportCounters } from './transport-counters.js'

/** Half-received chunked messages of one connection; beyond it the connection is closed. */
export const reassembliesMax = 64

/** From here on what straddles chunks is gathered once, with the rest of its message. */
const dividedFrameBytesMin = 16 * 1024

/** The control family travels as it is. */
const lastControlType = 0x00ff

export interface ReceiverComponents {
  readonly packing?: Packing
  readonly hybridClock: HybridClock
  readonly counters: TransportCounters
}

/** The incoming half of a muxer: bytes to whole messages, checked but for their bodies. */
export class Receiver {
  readonly #components: ReceiverComponents
  readonly #parser = new FrameParser(isDivisible)
  /** Of the frame that is given out in parts. */
  #dividedExtension: Extension | null = null
  readonly #reassembler: Reassembler
  readonly #reader = new ByteReader(new Uint8Array(0))
  readonly #bound = new Map<number, string>()
  #version = handshakeVersion
  #source: number | null = null
  #destination: number | null = null

  constructor(components: ReceiverComponents, reassemblyBytesMax: number) {
    this.#components = components
    this.#reassembler = new Reassembler({
      messageSizeBytesMax,
      reassemblyBytesMax,
      reassembliesMax
    })
  }

  setVersion(version: number): void {
    this.#version = version
  }

  /**
   * Takes over a binding of the peer's direction. Answers whether the peer can reach this node
   * now.
   *
   * @throws PeerIdentityError for a name that is neither end's; relays are not known to version 1
   */
  bind(index: number, nodeId: NodeId, local: PeerIdentity, peer: PeerIdentity): boolean {
    if (index === 0 || this.#bound.has(index)) {
      throw new ProtocolError(`node index ${index} is taken`)
    }
    // The peer's own name comes first: on a loopback both ends have the same.
    const isPeer = peer.kind === 'node' && nodeId === peer.nodeId
    if (isPeer && this.#source === null) this.#source = index
    else if (nodeId === nameOf(local) && this.#destination === null) this.#destination = index
    else throw new PeerIdentityError(`${nameOf(peer)} binds the name of ${nodeId}`, { nodeId })
    this.#bound.set(index, nodeId)
    return this.#destination !== null && (peer.kind === 'client' || this.#source !== null)
  }

  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  /** The next whole message of those that were pushed. @throws ProtocolError */
  next(wallNow: WallMs): AssembledMessage | null {
    for (let frame = this.#parser.next(); frame !== null; frame = this.#parser.next()) {
      if (this.#parser.isContinuation) {
        const part = this.#continue(frame)
        if (part === null) continue
        return part
      }
      this.#check(frame, wallNow)
      this.#reader.reset(frame.bytes, frame.start, frame.end)
      const extended = (frame.flags & FrameFlags.Extension) !== 0
      const extension = extended ? readExtension(this.#reader) : null
      if (frame.type === streamData.number) this.#dividedExtension = extension
      else if (this.#parser.isDivided) {
        this.#reassembler.begin(frame, extension, this.#reader.offset)
        continue
      }
      const message = this.#reassembler.add(frame, extension, this.#reader.offset)
      if (message !== null) return this.#unpacked(message)
    }
    return null
  }

  #continue(frame: Frame): AssembledMessage | null {
    const { bytes, start, end } = frame
    if (frame.type === streamData.number) {
      return { header: frame, extension: this.#dividedExtension, bytes, start, end }
    }
    const message = this.#reassembler.continue(frame, !this.#parser.isDivided)
    return message === null ? null : this.#unpacked(message)
  }

  #unpacked(message: AssembledMessage): AssembledMessage {
    const isPacked = (message.header.flags & FrameFlags.Compressed) !== 0
    return isPacked ? this.#unpack(message) : message
  }

  /** Never more than a message may have, whatever the bytes promise. */
  #unpack(message: AssembledMessage): AssembledMessage {
    const { packing, counters } = this.#components
    const packed = message.bytes.subarray(message.start, message.end)
    const bytes = packing?.compression.inflate(packed, messageSizeBytesMax) ?? null
    if (bytes === null) {
      counters.add('compressed_refusals')
      const reason = `damaged, or above ${messageSizeBytesMax} bytes`
      throw new ProtocolError(`compressed message of ${packed.length} bytes: ${reason}`)
    }
    counters.add('messages_decompressed')
    return { ...message, bytes, start: 0, end: bytes.length }
  }

  #check(frame: Frame, wallNow: WallMs): void {
    if (frame.version !== this.#version && frame.type !== refuse.number) {
      throw new ProtocolError(`frame of version ${frame.version}, agreed ${this.#version}`)
    }
    const isPacked = (frame.flags & FrameFlags.Compressed) !== 0
    if (isPacked && (this.#components.packing === undefined || frame.type <= lastControlType)) {
      this.#components.counters.add('compressed_refusals')
      throw new ProtocolError('a compressed frame that nobody asked for')
    }
    if (frame.source !== 0 && frame.source !== this.#source) {
      throw new NotAuthorizedError(`source index ${frame.source} is not the peer's`)
    }
    if (frame.destination !== 0 && frame.destination !== this.#destination) {
      throw new ProtocolError(`destination index ${frame.destination} is not this node's`)
    }
    if (!this.#components.hybridClock.observe(frame.timestamp, wallNow)) {
      this.#components.counters.add('clock_rejections')
    }
  }
}

/** Bytes of a stream mean the same in parts; long frames are gathered where their message is. */
const isDivisible: IsDivisible = (type, flags, frameBytes) => {
  if (type === streamData.number) return (flags & FrameFlags.MoreFollows) === 0
  return frameBytes >= dividedFrameBytesMin
}
