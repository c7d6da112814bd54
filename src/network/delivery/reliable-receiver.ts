/**
 * What one process of another node has told this one and wants acknowledged: which message is
 * handled when, and what is said of it. The counterpart of `ReliableSender`, whose page names the
 * source; one of these for each epoch of each sender.
 *
 * Invariants:
 * 1. A number is handed out at most once in each lane, whatever is repeated or overtakes.
 * 2. In the ordered lane numbers are handed out in rising order, each when the one before has
 * been handled; one is passed over only when the sender gave it up, and the next message says so.
 * 3. What is acknowledged as handled was handled without an error; nothing else is.
 * 4. Whatever arrives at or above the floor is answered: again, when it comes again.
 * 5. Numbers outside of the sender's window are not taken, so each lane holds at most
 * `deliveryWindowLengthMax` of them.
 *
 * Owner's duties: hand out what `drain` gives, in order; `handleDone` once for each; ask `mayHold`
 * bytes of who bounds them; send what `takeReplies` gives.
 */
import { must } from '../../core/assert.js'
import type { ErrorFacts } from '../../core/errors.js'
import { type DeliveryLane, DeliveryLanes } from '../../wire/index.js'
import { deliveryWindowLengthMax, type SequenceRange } from './reliable-sender.js'

/** Ranges of each kind in one acknowledgement; the rest comes in the next. */
export const acknowledgedRangesMax = 64

export interface Arrival<Message> {
  readonly lane: DeliveryLane
  readonly sequence: number
  readonly floor: number
  readonly message: Message
  readonly sizeBytes: number
}

export interface Handout<Message> {
  readonly lane: DeliveryLane
  readonly sequence: number
  readonly message: Message
  /** Messages before this one that the sender gave up and that were not handled here. */
  readonly skipped: number
}

export const Verdicts = {
  New: 'new',
  Duplicate: 'duplicate',
  /** The sender gave it up, or has its answer. */
  Settled: 'settled',
  /** Outside of the window. */
  Refused: 'refused',
  /** It comes before its turn, and there is no room to keep it. */
  NoRoom: 'noRoom'
} as const
export type Verdict = (typeof Verdicts)[keyof typeof Verdicts]

export type Reply =
  | {
      readonly kind: 'acknowledgement'
      readonly lane: DeliveryLane
      readonly below: number
      readonly handled: readonly SequenceRange[]
      readonly taken: readonly SequenceRange[]
    }
  | {
      readonly kind: 'failed'
      readonly lane: DeliveryLane
      readonly sequence: number
      readonly facts: ErrorFacts
    }

type Entry<Message> =
  | { readonly kind: 'held'; readonly message: Message; readonly sizeBytes: number }
  | { readonly kind: 'running' }
  | { readonly kind: 'handled' }
  | { readonly kind: 'failed'; readonly facts: ErrorFacts }

interface Lane<Message> {
  readonly lane: DeliveryLane
  readonly entries: Map<number, Entry<Message>>
  /** Numbers of which something is to be said. */
  readonly owed: Set<number>
  floor: number
  /** Everything below was handled or given up. */
  below: number
  /** Ordered: the next number to hand out. */
  next: number
  skipped: number
  isBusy: boolean
  isFresh: boolean
}

export class ReliableReceiver<Message> {
  readonly #lanes: readonly Lane<Message>[]
  #handouts: Handout<Message>[] = []
  #heldBytes = 0
  #running = 0

  constructor() {
    this.#lanes = [laneOf(DeliveryLanes.Acked), laneOf(DeliveryLanes.Ordered)]
  }

  /** Of messages that wait for their turn. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Handed out and not through. */
  get running(): number {
    return this.#running
  }

  /** Numbers that are remembered. */
  get length(): number {
    return this.#lanes.reduce((sum, { entries }) => sum + entries.size, 0)
  }

  receive(arrival: Arrival<Message>, mayHold: (sizeBytes: number) => boolean): Verdict {
    const lane = this.#lane(arrival.lane)
    const { sequence, message, sizeBytes } = arrival
    this.#raiseFloor(lane, arrival.floor)
    if (sequence < lane.floor) return Verdicts.Settled
    if (sequence >= lane.floor + deliveryWindowLengthMax) return Verdicts.Refused
    if (sequence < lane.below || lane.entries.has(sequence)) {
      lane.owed.add(sequence)
      return Verdicts.Duplicate
    }
    const isTurn = lane.lane === DeliveryLanes.Acked || (sequence === lane.next && !lane.isBusy)
    if (isTurn) {
      this.#handOut(lane, sequence, message)
      return Verdicts.New
    }
    if (!mayHold(sizeBytes)) return Verdicts.NoRoom
    lane.entries.set(sequence, { kind: 'held', message, sizeBytes })
    this.#heldBytes += sizeBytes
    return Verdicts.New
  }

  /** It is not even looked at: nobody here can. */
  refuse(at: Omit<Arrival<Message>, 'message' | 'sizeBytes'>, facts: ErrorFacts): void {
    const lane = this.#lane(at.lane)
    const { sequence } = at
    this.#raiseFloor(lane, at.floor)
    if (sequence < lane.floor || sequence >= lane.floor + deliveryWindowLengthMax) return
    if (sequence >= lane.below && !lane.entries.has(sequence)) {
      lane.entries.set(sequence, { kind: 'failed', facts })
      this.#release(lane)
    }
    lane.owed.add(sequence)
  }

  /** The sender waits for nothing below. */
  handleFloor(laneNumber: DeliveryLane, floor: number): void {
    this.#raiseFloor(this.#lane(laneNumber), floor)
  }

  /** Null: it was handled. */
  handleDone(laneNumber: DeliveryLane, sequence: number, failure: ErrorFacts | null): void {
    const lane = this.#lane(laneNumber)
    this.#running--
    if (lane.entries.get(sequence)?.kind === 'running') {
      lane.entries.set(
        sequence,
        failure === null ? { kind: 'handled' } : { kind: 'failed', facts: failure }
      )
      lane.owed.add(sequence)
      settleBelow(lane)
    }
    lane.isBusy = false
    this.#release(lane)
  }

  drain(): readonly Handout<Message>[] {
    if (this.#handouts.length === 0) return []
    const handouts = this.#handouts
    this.#handouts = []
    return handouts
  }

  /** What the sender is to be told; each thing once, and again when it asks again. */
  takeReplies(): Reply[] {
    return this.#lanes.flatMap(repliesOf)
  }

  /** The reply did not leave: it is given again. */
  owe(reply: Reply): void {
    const lane = this.#lane(reply.lane)
    if (reply.kind === 'failed') {
      if (lane.entries.has(reply.sequence)) lane.owed.add(reply.sequence)
      return
    }
    const before = lane.owed.size
    for (const { first, count } of [...reply.handled, ...reply.taken]) {
      for (let at = Math.max(first, lane.floor); at < first + count; at++) lane.owed.add(at)
    }
    // Only what lies below was to be said: any number below says it.
    if (lane.owed.size === before && lane.floor < lane.below) lane.owed.add(lane.floor)
  }

  /** The sender's process is gone: what waits for its turn will never have it. */
  dropHeld(): void {
    for (const { entries } of this.#lanes) {
      for (const [sequence, entry] of entries) if (entry.kind === 'held') entries.delete(sequence)
    }
    this.#heldBytes = 0
  }

  #handOut(lane: Lane<Message>, sequence: number, message: Message): void {
    lane.entries.set(sequence, { kind: 'running' })
    const { skipped } = lane
    if (lane.lane === DeliveryLanes.Ordered) {
      lane.isBusy = true
      lane.next = sequence + 1
      lane.skipped = 0
    }
    this.#running++
    this.#handouts.push({ lane: lane.lane, sequence, message, skipped })
  }

  /** Ordered: hands out the next number, if it is here and its turn has come. */
  #release(lane: Lane<Message>): void {
    if (lane.lane !== DeliveryLanes.Ordered) return
    while (!lane.isBusy) {
      const entry = lane.entries.get(lane.next)
      if (entry?.kind === 'failed') {
        lane.next++
        continue
      }
      if (entry?.kind !== 'held') return
      this.#heldBytes -= entry.sizeBytes
      this.#handOut(lane, lane.next, entry.message)
    }
  }

  #raiseFloor(lane: Lane<Message>, floor: number): void {
    const { isFresh } = lane
    lane.isFresh = false
    if (floor <= lane.floor) return
    let refused = 0
    for (const [sequence, entry] of lane.entries) {
      if (sequence >= floor) continue
      if (entry.kind === 'failed' && sequence >= lane.next) refused++
      if (entry.kind === 'held') this.#heldBytes -= entry.sizeBytes
      lane.entries.delete(sequence)
      lane.owed.delete(sequence)
    }
    lane.floor = floor
    lane.below = Math.max(lane.below, floor)
    settleBelow(lane)
    if (lane.next < floor) {
      // What a former process was to get is no gap of this one; the sender was told of what was
      // refused here.
      if (!isFresh && lane.lane === DeliveryLanes.Ordered) {
        lane.skipped += floor - lane.next - refused
      }
      lane.next = floor
    }
    this.#release(lane)
  }

  #lane(lane: DeliveryLane): Lane<Message> {
    return must(this.#lanes[lane - 1], 'lane')
  }
}

function settleBelow(lane: Lane<unknown>): void {
  while (lane.entries.get(lane.below)?.kind === 'handled') {
    lane.entries.delete(lane.below)
    lane.below++
  }
}

function repliesOf<Message>(lane: Lane<Message>): Reply[] {
  if (lane.owed.size === 0) return []
  const failed: Reply[] = []
  const handled: number[] = []
  const taken: number[] = []
  for (const sequence of [...lane.owed].sort((a, b) => a - b)) {
    const entry = lane.entries.get(sequence)
    if (entry?.kind === 'failed') {
      failed.push({ kind: 'failed', lane: lane.lane, sequence, facts: entry.facts })
    } else if (entry?.kind === 'handled') handled.push(sequence)
    else if (entry !== undefined) taken.push(sequence)
  }
  const isBelowOwed = failed.length < lane.owed.size
  lane.owed.clear()
  if (!isBelowOwed) return failed
  return [...acknowledgements(lane, toRanges(handled), toRanges(taken)), ...failed]
}

function acknowledgements(
  { lane, below }: Lane<unknown>,
  handled: readonly SequenceRange[],
  taken: readonly SequenceRange[]
): Reply[] {
  const replies: Reply[] = []
  const count = Math.max(handled.length, taken.length, 1)
  for (let at = 0; at < count; at += acknowledgedRangesMax) {
    replies.push({
      kind: 'acknowledgement',
      lane,
      below,
      handled: handled.slice(at, at + acknowledgedRangesMax),
      taken: taken.slice(at, at + acknowledgedRangesMax)
    })
  }
  return replies
}

function toRanges(sequences: readonly number[]): SequenceRange[] {
  const ranges: { first: number; count: number }[] = []
  for (const sequence of sequences) {
    const last = ranges.at(-1)
    if (last !== undefined && last.first + last.count === sequence) last.count++
    else ranges.push({ first: sequence, count: 1 })
  }
  return ranges
}

const laneOf = <Message>(lane: DeliveryLane): Lane<Message> => ({
  lane,
  entries: new Map(),
  owed: new Set(),
  floor: 1,
  below: 1,
  next: 1,
  skipped: 0,
  isBusy: false,
  isFresh: true
})
