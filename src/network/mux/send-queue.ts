/**
 * Which frame leaves next: four queues, served by deficit round robin (Shreedhar and Varghese,
 * 1996) with weights 8 : 4 : 2 : 1 in bytes. Within a round the more urgent queue goes first, so
 * that a critical message passes bulk after at most the frame that is leaving.
 *
 * Invariants: 1. Messages of one priority leave in order, frames of one message too.
 * 2. A queue that is not empty gets its share of every round: nothing starves.
 * 3. `offer` answers false at either bound; `force` (answers) allows twice the bytes.
 */
import { must } from '../../core/assert.js'
import { messageSizeBytesMax } from '../../core/limits.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { Outgoing } from './outgoing.js'
import type { Batch } from './output.js'

const weights = [8, 4, 2, 1] as const
const quantumBytes = 8 * 1024

export interface SendQueueLimits {
  /** Of each priority. */
  readonly sendQueueLengthMax: number
  readonly sendQueueBytesMax: number
}

interface Level<Ticket> {
  readonly weight: number
  items: (Outgoing<Ticket> | undefined)[]
  head: number
  sizeBytes: number
  deficitBytes: number
}

export class SendQueue<Ticket> {
  readonly #limits: SendQueueLimits
  readonly #levels: readonly Level<Ticket>[]

  constructor(limits: SendQueueLimits) {
    this.#limits = limits
    this.#levels = weights.map((weight) => ({
      weight,
      items: [],
      head: 0,
      sizeBytes: 0,
      deficitBytes: 0
    }))
  }

  get isEmpty(): boolean {
    for (const level of this.#levels) if (lengthOf(level) > 0) return false
    return true
  }

  /** Messages queued, cancelled ones included until their turn comes. */
  get length(): number {
    return this.#levels.reduce((sum, level) => sum + lengthOf(level), 0)
  }

  /** `forcedMax`: how many messages may have been taken above the bound. */
  tellQueues(tell: TellQueue, forcedMax: number): void {
    const { sendQueueLengthMax, sendQueueBytesMax } = this.#limits
    const bytesMax = 2 * sendQueueBytesMax + messageSizeBytesMax
    for (const level of this.#levels) {
      tell('transport.sendQueueLengthMax', lengthOf(level), sendQueueLengthMax + forcedMax)
      tell('transport.sendQueueBytesMax', level.sizeBytes, bytesMax)
    }
  }

  /** Whether a message of this priority would be taken. */
  hasRoom(priority: number): boolean {
    const level = this.#level(priority)
    return (
      lengthOf(level) < this.#limits.sendQueueLengthMax &&
      level.sizeBytes < this.#limits.sendQueueBytesMax
    )
  }

  offer(item: Outgoing<Ticket>): boolean {
    if (!this.hasRoom(item.priority)) return false
    this.push(item)
    return true
  }

  /** For answers, whose number is bounded by the requests being served. */
  force(item: Outgoing<Ticket>): boolean {
    if (this.#level(item.priority).sizeBytes >= 2 * this.#limits.sendQueueBytesMax) return false
    this.push(item)
    return true
  }

  /** For frames of streams, which their windows bound. */
  push(item: Outgoing<Ticket>): void {
    const level = this.#level(item.priority)
    level.items.push(item)
    level.sizeBytes += sizeOf(item)
  }

  /** Moves frames into the batch, up to the size or the end; all blocks must be sealed. */
  fill(batch: Batch, sizeBytesMax: number, onStart: (item: Outgoing<Ticket>) => void): void {
    while (batch.sizeBytes < sizeBytesMax) {
      const level = this.#choose()
      if (level === null) return
      const item = must(level.items[level.head], 'head of a queue')
      if (item.at === item.start) onStart(item)
      const length = frameBytesAt(must(item.block.bytes, 'sealed block'), item.at)
      level.deficitBytes -= length
      if (item.payload === null) {
        batch.add(item.block, item.at, item.at + length)
        item.at += length
      } else {
        batch.add(item.block, item.at, item.end)
        batch.addPayload(item.payload)
        item.at = item.end
      }
      if (item.at === item.end) {
        item.block.release()
        shift(level)
      }
    }
  }

  /**
   * Takes out every message of which no frame has left, most urgent first. Answers and frames of
   * streams stay: their connection is their only one.
   */
  takeUnsent(): Outgoing<Ticket>[] {
    const unsent: Outgoing<Ticket>[] = []
    for (const level of this.#levels) {
      const items = level.items.slice(level.head) as Outgoing<Ticket>[]
      level.items = []
      level.head = 0
      level.sizeBytes = 0
      for (const item of items) {
        if (item.at === item.start && !item.isBound) {
          if (!item.cancelled) unsent.push(item)
        } else {
          level.items.push(item)
          level.sizeBytes += sizeOf(item)
        }
      }
    }
    return unsent
  }

  clear(): void {
    for (const level of this.#levels) {
      level.items = []
      level.head = 0
      level.sizeBytes = 0
    }
  }

  #level(priority: number): Level<Ticket> {
    return must(this.#levels[priority], 'priority')
  }

  #choose(): Level<Ticket> | null {
    for (;;) {
      let waiting = 0
      for (const level of this.#levels) {
        const item = nextOf(level)
        if (item === null) {
          level.deficitBytes = 0
          continue
        }
        waiting++
        const bytes = must(item.block.bytes, 'sealed block')
        if (level.deficitBytes >= frameBytesAt(bytes, item.at)) return level
      }
      if (waiting === 0) return null
      for (const level of this.#levels) {
        if (lengthOf(level) > 0) level.deficitBytes += level.weight * quantumBytes
      }
    }
  }
}

/** The first message that is still wanted; cancelled ones before it are dropped. */
function nextOf<Ticket>(level: Level<Ticket>): Outgoing<Ticket> | null {
  for (;;) {
    const item = level.items[level.head]
    if (item === undefined) return null
    if (!item.cancelled || item.at > item.start) return item
    item.block.release()
    shift(level)
  }
}

function shift<Ticket>(level: Level<Ticket>): void {
  const item = must(level.items[level.head], 'head of a queue')
  level.sizeBytes -= sizeOf(item)
  level.items[level.head] = undefined
  level.head++
  if (level.head === level.items.length) {
    level.items = []
    level.head = 0
  } else if (level.head >= 1_024 && level.head * 2 >= level.items.length) {
    level.items = level.items.slice(level.head)
    level.head = 0
  }
}

const lengthOf = <Ticket>(level: Level<Ticket>): number => level.items.length - level.head

const sizeOf = <Ticket>(item: Outgoing<Ticket>): number =>
  item.end - item.start + (item.payload?.length ?? 0)

const frameBytesAt = (bytes: Uint8Array, at: number): number =>
  4 +
  (((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number))
