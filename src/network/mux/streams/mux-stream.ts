import { assert } from '../../../core/assert.js'
import { NEVER } from '../../../core/deadlines.js'
import type { SkeinError } from '../../../core/errors.js'
import type { MonotonicMs } from '../../../core/ids.js'
import type { Priority } from '../../../core/ports/messenger.js'
import { ReceiveCredit, SendCredit } from './credit.js'
import { streamWindowBytesInitial } from './messages.js'
import { ReceiveBuffer } from './receive-buffer.js'

/** Who is told what happens to a stream; called by the owner of the muxer. */
export interface StreamSink {
  /** There are bytes, or the peer has said everything. */
  onReadable(): void
  /** Everything that was written has been taken. */
  onDrained(): void
  /** Nothing more happens. Null: both ends had said everything. */
  onClosed(error: SkeinError | null): void
}

/** How far this end's direction is. */
export const SendStates = {
  Open: 'open',
  /** `end` was called; bytes still wait. */
  Ending: 'ending',
  /** The frame that says so is in the send queue. */
  EndQueued: 'endQueued',
  Ended: 'ended'
} as const
export type SendState = (typeof SendStates)[keyof typeof SendStates]

/** A frame of a stream in the send queue. */
export interface QueuedFrame {
  readonly stream: MuxStream
  /** Of the stream; counted against the windows. */
  readonly payloadBytes: number
  readonly isEnd: boolean
}

/** A frame as the send queue has it. */
interface QueuedItem {
  readonly frame: QueuedFrame | null
  /** Set when it must not leave any more. */
  cancelled: boolean
}

interface StreamInit {
  readonly id: number
  readonly name: string
  readonly priority: Priority
  readonly isOurs: boolean
  readonly windowBytes: number
}

/** One stream as one end sees it. */
export class MuxStream {
  readonly id: number
  readonly name: string
  readonly priority: Priority
  /** Opened by this end. */
  readonly isOurs: boolean
  readonly sendCredit = new SendCredit(streamWindowBytesInitial)
  readonly receiveCredit: ReceiveCredit
  readonly received = new ReceiveBuffer()
  sink: StreamSink | null = null
  sendState: SendState = SendStates.Open
  hasOpenLeft = false
  isReceiveEnded = false
  /** Bytes came and were dropped: the reader must not take the end for the end. */
  isTruncated = false
  isClosed = false
  /** Why it was closed; null while it lives, and in peace. */
  error: SkeinError | null = null
  /** Its frames in the send queue, oldest first. */
  readonly queued: QueuedItem[] = []
  /** When it is given up for want of credit, or of a reader. */
  stalledAt: MonotonicMs = NEVER
  unreadAt: MonotonicMs = NEVER
  readonly #pending: Uint8Array[] = []
  #pendingAt = 0
  #pendingBytes = 0

  constructor({ id, name, priority, isOurs, windowBytes }: StreamInit) {
    this.id = id
    this.name = name
    this.priority = priority
    this.isOurs = isOurs
    this.receiveCredit = new ReceiveCredit(windowBytes, streamWindowBytesInitial)
  }

  /** Written and not yet in a frame. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get pendingWrites(): number {
    return this.#pending.length
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#pending.push(bytes)
    this.#pendingBytes += bytes.length
  }

  /** The next `count` bytes that wait; a copy only where they lie in several writes. */
  take(count: number): Uint8Array {
    assert(count > 0 && count <= this.#pendingBytes, 'taken more than waits')
    this.#pendingBytes -= count
    const first = this.#pending[0] as Uint8Array
    const start = this.#pendingAt
    if (first.length - start >= count) {
      this.#advance(first, count)
      return first.subarray(start, start + count)
    }
    const joined = new Uint8Array(count)
    for (let at = 0; at < count; ) {
      const chunk = this.#pending[0] as Uint8Array
      const part = Math.min(count - at, chunk.length - this.#pendingAt)
      joined.set(chunk.subarray(this.#pendingAt, this.#pendingAt + part), at)
      this.#advance(chunk, part)
      at += part
    }
    return joined
  }

  /** Whether bytes or the end still have to go into the send queue. */
  get hasSomethingToSay(): boolean {
    return this.#pendingBytes > 0 || this.sendState === SendStates.Ending
  }

  /** Nothing more leaves; what was received can still be read. */
  handleClosed(error: SkeinError | null): void {
    this.isClosed = true
    this.error = error
    this.stalledAt = NEVER
    this.queued.length = 0
    this.#pending.length = 0
    this.#pendingAt = 0
    this.#pendingBytes = 0
  }

  #advance(first: Uint8Array, count: number): void {
    this.#pendingAt += count
    if (this.#pendingAt < first.length) return
    this.#pending.shift()
    this.#pendingAt = 0
  }
}
