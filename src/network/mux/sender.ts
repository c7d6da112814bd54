import type { WallMs } from '../../core/ids.js'
import { Priorities } from '../../core/ports/messenger.js'
import type { TellQueue } from '../../core/tell-queue.js'
import {
  beginFrame,
  type Extension,
  encodeMessage,
  FrameFlags,
  type MessageDeclaration,
  writeExtension
} from '../../wire/index.js'
import { handshakeVersion } from './messages.js'
import type { MuxerComponents } from './muxer-options.js'
import type { Outgoing, PendingRequest } from './outgoing.js'
import { Batch, OutputWriter, type Slice } from './output.js'
import { SendQueue, type SendQueueLimits } from './send-queue.js'
import { streamData, streamWindow } from './streams/messages.js'
import type { QueuedFrame } from './streams/mux-stream.js'

/** Control frames waiting to leave. */
export const controlQueueLengthMax = 1_024
/** Shorter pieces of a stream are copied behind their header, so that they leave in one write. */
const copiedBytesMax = 4 * 1_024

/** A body that does not shrink to this is sent as it is. */
const worthwhileShare = 0.9

export type SenderComponents = Pick<
  MuxerComponents,
  'hybridClock' | 'counters' | 'packing' | 'buffers'
>

/**
 * Node indexes that every node binds in its own direction; 0 is the end of the connection
 * itself.
 */
export const NodeIndexes = { None: 0, Self: 1, Peer: 2 } as const

export interface Envelope<Ticket> {
  readonly flags: number
  readonly priority: number
  readonly messageId: number
  readonly extension: Extension | null
  readonly request: PendingRequest<Ticket> | null
}

/** The outgoing half of a muxer: encodes, queues, and hands out the next bytes. */
export class Sender<Ticket> {
  readonly #components: SenderComponents
  readonly #output: OutputWriter
  readonly #queue: SendQueue<Ticket>
  #control: Outgoing<Ticket>[] = []
  /** Whether the peer can read what is compressed; null: it has not said so yet. */
  #peerUnpacks: boolean | null = null
  #header = {
    version: handshakeVersion,
    flags: 0,
    type: 0,
    messageId: 0,
    timestamp: 0,
    source: 0,
    destination: 0
  }

  constructor(components: SenderComponents, limits: SendQueueLimits) {
    this.#components = components
    this.#output = new OutputWriter(components.buffers)
    this.#queue = new SendQueue(limits)
  }

  get isEmpty(): boolean {
    return this.#control.length === 0 && this.#queue.isEmpty
  }

  get hasControl(): boolean {
    return this.#control.length > 0
  }

  get hasMessages(): boolean {
    return !this.#queue.isEmpty
  }

  /** What the header of every later frame says. */
  setRoute(version: number, source: number, destination: number): void {
    this.#header = { ...this.#header, version, source, destination }
  }

  setPacking(peerUnpacks: boolean): void {
    this.#peerUnpacks = peerUnpacks
  }

  tellQueues(tell: TellQueue, forcedMax: number): void {
    tell('controlQueueLengthMax', this.#control.length, 2 * controlQueueLengthMax)
    this.#queue.tellQueues(tell, forcedMax)
  }

  hasRoom(priority: number): boolean {
    return this.#queue.hasRoom(priority)
  }

  /** False: the queue is full. @throws MessageTooLargeError */
  offer<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    envelope: Envelope<Ticket>,
    wallNow: WallMs
  ): boolean {
    if (!this.#queue.hasRoom(envelope.priority)) return false
    const outgoing = this.#encode(declaration, body, envelope, wallNow)
    if (envelope.request !== null) envelope.request.outgoing = outgoing
    return this.#queue.offer(outgoing)
  }

  /** For answers: taken above the bound, up to twice the bytes. @throws MessageTooLargeError */
  force<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    envelope: Envelope<Ticket>,
    wallNow: WallMs
  ): boolean {
    return this.#queue.force(this.#encode(declaration, body, envelope, wallNow))
  }

  /**
   * Leaves before everything else, from end to end of the connection. False: the peer does not
   * read what it provokes.
   */
  control<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    wallNow: WallMs,
    stream?: number
  ): boolean {
    if (this.#control.length >= controlQueueLengthMax) return false
    this.#pushControl(declaration, body, wallNow, stream)
    return true
  }

  /**
   * Opens a window further. Those that wait are not counted against the control frames: there are
   * at most two for each window received.
   */
  window(stream: number, increment: number, wallNow: WallMs): void {
    this.#pushControl(streamWindow, { increment }, wallNow, stream)
  }

  /** A frame of a stream; it leaves in the order of its priority. */
  queueFrame<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    frame: QueuedFrame,
    wallNow: WallMs
  ): Outgoing<Ticket> {
    const { id, priority } = frame.stream
    const extension = { stream: id }
    const envelope = { flags: 0, priority, messageId: 0, extension, request: null }
    const outgoing = this.#encode(declaration, body, envelope, wallNow, frame)
    this.#queue.push(outgoing)
    return outgoing
  }

  /** Bytes of a stream; long ones are not copied. */
  queueData(bytes: Uint8Array, frame: QueuedFrame, wallNow: WallMs): Outgoing<Ticket> {
    if (bytes.length < copiedBytesMax) return this.queueFrame(streamData, bytes, frame, wallNow)
    const { id, priority } = frame.stream
    const { block, writer } = this.#output.begin()
    const start = writer.length
    const header = this.#header
    header.flags = FrameFlags.Extension | priority
    header.type = streamData.number
    header.messageId = 0
    header.timestamp = this.#components.hybridClock.tick(wallNow)
    beginFrame(writer, header)
    writeExtension(writer, { stream: id })
    const end = writer.length
    block.hold()
    writer.patchU32(start, end - start - 4 + bytes.length)
    const outgoing: Outgoing<Ticket> = {
      block,
      start,
      end,
      at: start,
      priority,
      request: null,
      frame,
      isBound: true,
      payload: bytes,
      cancelled: false
    }
    this.#queue.push(outgoing)
    return outgoing
  }

  /** Everything but control frames is forgotten. */
  dropMessages(): void {
    this.#queue.clear()
  }

  /** Messages of which nothing has left, to be adopted by another sender to the same peer. */
  takeUnsent(): Outgoing<Ticket>[] {
    this.#output.seal()
    return this.#queue.takeUnsent()
  }

  /** False: no room. The message was encoded by another sender with the same route. */
  adopt(outgoing: Outgoing<Ticket>): boolean {
    if (this.#peerUnpacks === false && isPacked(outgoing)) return false
    return this.#queue.offer(outgoing)
  }

  /** The next bytes for the stream, about `sizeBytesMax` of them; null when there are none. */
  pull(
    sizeBytesMax: number,
    withMessages: boolean,
    onStart: (outgoing: Outgoing<Ticket>) => void
  ): Slice | null {
    this.#output.seal()
    const batch = new Batch(this.#components.buffers)
    for (const { block, start, end } of this.#control) {
      batch.add(block, start, end)
      block.release()
    }
    if (this.#control.length > 0) this.#control = []
    if (withMessages) this.#queue.fill(batch, sizeBytesMax, onStart)
    return batch.sizeBytes === 0 ? null : batch.slice()
  }

  #pushControl<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    wallNow: WallMs,
    stream?: number
  ): void {
    const envelope = {
      flags: 0,
      priority: Priorities.Critical,
      messageId: 0,
      extension: stream === undefined ? null : { stream },
      request: null
    }
    const { source, destination } = this.#header
    this.#header.source = NodeIndexes.None
    this.#header.destination = NodeIndexes.None
    this.#control.push(this.#encode(declaration, body, envelope, wallNow))
    this.#header.source = source
    this.#header.destination = destination
  }

  readonly #pack = (body: Uint8Array): Uint8Array | null => {
    const { packing, counters } = this.#components
    if (packing === undefined || body.length < packing.thresholdBytes) return null
    const packed = packing.compression.deflate(body)
    if (packed.length > body.length * worthwhileShare) return null
    counters.add('messages_compressed')
    counters.add('bytes_before_compression', body.length)
    counters.add('bytes_after_compression', packed.length)
    return packed
  }

  #encode<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    { flags, priority, messageId, extension, request }: Envelope<Ticket>,
    wallNow: WallMs,
    frame: QueuedFrame | null = null
  ): Outgoing<Ticket> {
    const { block, writer } = this.#output.begin()
    const start = writer.length
    const header = this.#header
    header.flags = flags | priority
    header.type = declaration.number
    header.messageId = messageId
    header.timestamp = this.#components.hybridClock.tick(wallNow)
    const packs = this.#peerUnpacks === true && declaration.compress
    encodeMessage(writer, header, extension, declaration.codec, body, packs ? this.#pack : null)
    const end = writer.length
    block.hold()
    return {
      block,
      start,
      end,
      at: start,
      priority,
      request,
      frame,
      isBound: frame !== null || (flags & FrameFlags.Response) !== 0,
      payload: null,
      cancelled: false
    }
  }
}

const isPacked = ({ block, start }: Outgoing<unknown>): boolean =>
  ((block.bytes?.[start + 5] ?? 0) & FrameFlags.Compressed) !== 0
