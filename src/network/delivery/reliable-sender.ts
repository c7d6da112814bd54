/**
 * What one node has told another and wants acknowledged: which message leaves when, and what
 * became of it. Source: the acknowledged system messages of Pekko's Artery and JGroups' UNICAST,
 * with one difference: nothing is sent for ever, each message has a deadline.
 *
 * Each lane numbers its messages from where it was left, and never uses a number twice in the
 * life of this process. The floor, the lowest number that has no outcome yet, travels with every
 * message, so that the receiver forgets what lies below it. A restarted receiver is another
 * epoch: what the former one may have seen is given up, not repeated.
 *
 * Invariants:
 * 1. Each message ends exactly once. `handled` and `failed` only by the receiver's word,
 * `undelivered` only when it never left, `unknown` in every other case.
 * 2. A message is sent at most `1 + retriesMax` times, and to one epoch of the receiver only.
 * 3. Numbers on the way lie within `deliveryWindowLengthMax` of the floor.
 * 4. What is kept is bounded by `deliveriesMax` and `deliveriesBytesMax`.
 *
 * Owner's duties: `handleOpened` when a connection to the receiver opens, `handleLost` when one
 * breaks, `handleTimeout` at `nextDeadline()`. After each call: drain, send at once in order, and
 * tell `handleRefused` of what was not taken; dial when `takeDial` says so.
 */
import { must } from '../../core/assert.js'
import { after, NEVER } from '../../core/deadlines.js'
import { EffectsBuffer } from '../../core/effects.js'
import type { ErrorFacts } from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { type DeliveryLane, DeliveryLanes, type DeliveryTag } from '../../wire/index.js'

/** Numbers on the way in one lane; part of the contract, because receivers bound their tables. */
export const deliveryWindowLengthMax = 1_024
/** The pause between two dials for somebody who cannot be reached. */
const dialPauseMsMax = 1_000

export interface SenderLimits {
  readonly retriesMax: number
  readonly retryBackoffMs: number
  readonly deliveriesMax: number
  readonly deliveriesBytesMax: number
}

export interface DeliveryInit<Ticket> {
  /** The owner's; comes back with the outcome. */
  readonly ticket: Ticket
  readonly lane: DeliveryLane
  readonly sizeBytes: number
  readonly deadline: MonotonicMs
}

/** A message without an outcome. */
export interface Delivery<Ticket> extends DeliveryInit<Ticket> {
  readonly sequence: number
  /** How often it was put on a connection. */
  attempts: number
  /** The connection that it was put on is gone. */
  isLost: boolean
  /** The receiver says that it has it and is not through with it. */
  isTaken: boolean
  retryAt: MonotonicMs
}

export type DeliveryOutcome =
  | { readonly kind: 'handled' }
  /** The receiver's handler threw, or it has none. */
  | { readonly kind: 'failed'; readonly facts: ErrorFacts }
  /** It was not handled, for certain. */
  | { readonly kind: 'undelivered'; readonly reason: string }
  /** It may have been handled. */
  | {
      readonly kind: 'unknown'
      readonly reason: string
      readonly attempts: number
      readonly wasTaken: boolean
    }

export type SenderSend<Ticket> =
  | { readonly kind: 'message'; readonly delivery: Delivery<Ticket>; readonly tag: DeliveryTag }
  | {
      readonly kind: 'floor'
      readonly receiver: number
      readonly lane: DeliveryLane
      readonly floor: number
    }

export interface Settled<Ticket> {
  readonly ticket: Ticket
  readonly outcome: DeliveryOutcome
}

export interface SequenceRange {
  readonly first: number
  readonly count: number
}

/** The receiver's word on messages of one lane. */
export interface Acknowledgement {
  readonly lane: DeliveryLane
  /** Everything below was handled, or given up by the sender. */
  readonly below: number
  readonly handled: readonly SequenceRange[]
  /** Not through with these yet. */
  readonly taken: readonly SequenceRange[]
}

interface Lane<Ticket> {
  readonly lane: DeliveryLane
  readonly waiting: Map<number, Delivery<Ticket>>
  /** The next number to give. */
  next: number
  /** The next number to leave for the first time. */
  cursor: number
  /** Nothing below has no outcome. */
  floor: number
  /** Everything that was given up is below. */
  gaveUpBelow: number
  /** The receiver was told this floor. */
  floorTold: number
}

export class ReliableSender<Ticket> {
  readonly #limits: SenderLimits
  readonly #random: Random
  readonly #lanes: readonly Lane<Ticket>[]
  readonly #effects = new EffectsBuffer<SenderSend<Ticket>, never, Settled<Ticket>>()
  #epoch: number | null = null
  #isConnected = false
  #length = 0
  #sizeBytes = 0
  /** Nothing is due before. */
  #notBefore: MonotonicMs = NEVER
  #dialAt: MonotonicMs = NEVER
  #dialPauseMs = 0
  #mustDial = false
  #retries = 0

  /** `firstSequence`: above every number that this process ever sent to this receiver. */
  constructor(limits: SenderLimits, random: Random, firstSequence: number) {
    this.#limits = limits
    this.#random = random
    this.#lanes = [laneOf(DeliveryLanes.Acked), laneOf(DeliveryLanes.Ordered)].map((lane) => ({
      ...lane,
      next: firstSequence,
      cursor: firstSequence,
      floor: firstSequence,
      gaveUpBelow: 0,
      floorTold: 0
    }))
  }

  /** Messages without an outcome. */
  get length(): number {
    return this.#length
  }

  /** Above every number that was given. */
  get nextSequence(): number {
    return Math.max(...this.#lanes.map(({ next }) => next))
  }

  /** Retries since the last call. */
  takeRetries(): number {
    const retries = this.#retries
    this.#retries = 0
    return retries
  }

  tellQueues(tell: TellQueue): void {
    tell('delivery.deliveriesMax', this.#length, this.#limits.deliveriesMax)
    const bytesMax = this.#limits.deliveriesBytesMax
    tell('delivery.deliveriesBytesMax', this.#sizeBytes, bytesMax)
    for (const { cursor, floor } of this.#lanes) {
      tell('deliveryWindowLengthMax', cursor - floor, deliveryWindowLengthMax)
    }
  }

  /** Null: too much is waiting already, nothing was done. */
  offer(init: DeliveryInit<Ticket>, now: MonotonicMs): Delivery<Ticket> | null {
    const { deliveriesMax, deliveriesBytesMax } = this.#limits
    if (this.#length >= deliveriesMax) return null
    if (this.#sizeBytes + init.sizeBytes > deliveriesBytesMax) return null
    const lane = this.#lane(init.lane)
    const sequence = lane.next++
    const delivery = {
      ...init,
      sequence,
      attempts: 0,
      isLost: false,
      isTaken: false,
      retryAt: NEVER
    }
    lane.waiting.set(sequence, delivery)
    this.#length++
    this.#sizeBytes += init.sizeBytes
    this.#due(init.deadline)
    if (this.#isConnected) this.#pump(lane, now)
    else this.#maybeDial(now)
    return delivery
  }

  /** Nobody waits any more. Whether it may have been handled; null: it had its outcome. */
  cancel(delivery: Delivery<Ticket>, now: MonotonicMs): boolean | null {
    const lane = this.#lane(delivery.lane)
    if (lane.waiting.get(delivery.sequence) !== delivery) return null
    this.#forget(lane, delivery)
    this.#advance(lane, now)
    return delivery.attempts > 0
  }

  handleOpened(epoch: number, now: MonotonicMs): void {
    if (this.#epoch !== null && this.#epoch !== epoch) this.#giveEpochUp()
    this.#epoch = epoch
    this.#isConnected = true
    this.#dialAt = NEVER
    this.#dialPauseMs = 0
    for (const lane of this.#lanes) {
      moveFloor(lane)
      for (const delivery of lane.waiting.values()) {
        if (delivery.sequence >= lane.cursor) break
        if (delivery.isLost) this.#retry(lane, delivery, now)
      }
      this.#advance(lane, now)
    }
  }

  /** A connection broke; what was on it may be lost. `isConnected`: another one is open. */
  handleLost(isConnected: boolean, now: MonotonicMs): void {
    this.#isConnected = isConnected
    for (const lane of this.#lanes) {
      lane.floorTold = 0
      for (const delivery of lane.waiting.values()) {
        if (delivery.sequence >= lane.cursor) break
        delivery.isLost = true
        delivery.retryAt = NEVER
        if (isConnected) this.#retry(lane, delivery, now)
        else if (this.#isSpent(delivery)) this.#giveUp(lane, delivery, 'the connection broke')
      }
      this.#advance(lane, now)
    }
    if (!isConnected && this.#length > 0) this.#maybeDial(now)
  }

  /** What `epoch` says. False: it is not the receiver that is spoken to now. */
  handleAcknowledgement(epoch: number, said: Acknowledgement, now: MonotonicMs): boolean {
    if (epoch !== this.#epoch) return false
    const lane = this.#lane(said.lane)
    this.#settleRange(lane, lane.floor, Math.min(said.below, lane.cursor))
    for (const { first, count } of said.handled) {
      this.#settleRange(lane, Math.max(first, lane.floor), Math.min(first + count, lane.cursor))
    }
    for (const { first, count } of said.taken) {
      const end = Math.min(first + count, lane.cursor)
      for (let at = Math.max(first, lane.floor); at < end; at++) {
        const delivery = lane.waiting.get(at)
        if (delivery === undefined) continue
        delivery.isTaken = true
        delivery.retryAt = NEVER
      }
    }
    this.#advance(lane, now)
    return true
  }

  handleFailed(
    epoch: number,
    at: { readonly lane: DeliveryLane; readonly sequence: number; readonly facts: ErrorFacts },
    now: MonotonicMs
  ): boolean {
    if (epoch !== this.#epoch) return false
    const lane = this.#lane(at.lane)
    const delivery = lane.waiting.get(at.sequence)
    if (delivery === undefined || delivery.attempts === 0) return true
    this.#settle(lane, delivery, { kind: 'failed', facts: at.facts })
    this.#advance(lane, now)
    return true
  }

  /** It did not get onto a connection: that was no attempt. */
  handleRefused(delivery: Delivery<Ticket>, now: MonotonicMs): void {
    delivery.attempts--
    delivery.isLost = true
    delivery.retryAt = after(now, this.#limits.retryBackoffMs)
    this.#due(delivery.retryAt)
  }

  /** A floor that was to be told did not leave. */
  handleFloorRefused(laneNumber: DeliveryLane, now: MonotonicMs): void {
    this.#lane(laneNumber).floorTold = 0
    this.#due(after(now, this.#limits.retryBackoffMs))
  }

  handleTimeout(now: MonotonicMs): void {
    if (now >= this.#dialAt) this.#dial(now)
    if (now < this.#notBefore) return
    this.#notBefore = NEVER
    for (const lane of this.#lanes) {
      for (const delivery of lane.waiting.values()) this.#handleDue(lane, delivery, now)
      this.#advance(lane, now)
    }
  }

  nextDeadline(): MonotonicMs {
    if (this.#length === 0) return NEVER
    return Math.min(this.#notBefore, this.#dialAt) as MonotonicMs
  }

  /** Whether the receiver is to be dialled; said once. */
  takeDial(): boolean {
    const must = this.#mustDial
    this.#mustDial = false
    return must
  }

  drain() {
    return this.#effects.drain()
  }

  /** Nothing more is sent. */
  close(reason: string): void {
    this.#isConnected = false
    for (const lane of this.#lanes) {
      for (const delivery of lane.waiting.values()) this.#giveUp(lane, delivery, reason)
    }
  }

  #handleDue(lane: Lane<Ticket>, delivery: Delivery<Ticket>, now: MonotonicMs): void {
    if (delivery.deadline <= now) {
      this.#giveUp(lane, delivery, 'the deadline passed')
      return
    }
    if (delivery.retryAt <= now) {
      // Every retry is used up: an acknowledgement may still come before the deadline.
      if (!this.#isConnected || this.#isSpent(delivery)) delivery.retryAt = NEVER
      else this.#retry(lane, delivery, now)
    }
    this.#due(Math.min(delivery.deadline, delivery.retryAt) as MonotonicMs)
  }

  #retry(lane: Lane<Ticket>, delivery: Delivery<Ticket>, now: MonotonicMs): void {
    if (this.#isSpent(delivery)) {
      this.#giveUp(lane, delivery, 'the connection broke at the last retry')
      return
    }
    if (delivery.attempts > 0) this.#retries++
    this.#transmit(lane, delivery, now)
  }

  #isSpent(delivery: Delivery<Ticket>): boolean {
    return delivery.attempts > this.#limits.retriesMax
  }

  /** Lets leave what the window has room for. */
  #pump(lane: Lane<Ticket>, now: MonotonicMs): void {
    const end = Math.min(lane.next, lane.floor + deliveryWindowLengthMax)
    while (this.#isConnected && lane.cursor < end) {
      const delivery = lane.waiting.get(lane.cursor++)
      if (delivery !== undefined) this.#transmit(lane, delivery, now)
    }
  }

  #transmit(lane: Lane<Ticket>, delivery: Delivery<Ticket>, now: MonotonicMs): void {
    const backoffMs = this.#limits.retryBackoffMs * 2 ** delivery.attempts
    delivery.attempts++
    delivery.isLost = false
    delivery.retryAt = after(now, backoffMs * (0.75 + this.#random.nextFloat() / 2))
    this.#due(delivery.retryAt)
    const { sequence } = delivery
    const receiver = must(this.#epoch, 'epoch of the receiver')
    const tag = { receiver, lane: lane.lane, sequence, floor: lane.floor }
    this.#effects.send({ kind: 'message', delivery, tag })
  }

  #settleRange(lane: Lane<Ticket>, from: number, end: number): void {
    for (let at = from; at < end; at++) {
      const delivery = lane.waiting.get(at)
      if (delivery !== undefined && delivery.attempts > 0) {
        this.#settle(lane, delivery, { kind: 'handled' })
      }
    }
  }

  #giveUp(lane: Lane<Ticket>, delivery: Delivery<Ticket>, reason: string): void {
    const { attempts, isTaken } = delivery
    this.#settle(
      lane,
      delivery,
      attempts === 0
        ? { kind: 'undelivered', reason }
        : { kind: 'unknown', reason, attempts, wasTaken: isTaken }
    )
    lane.gaveUpBelow = Math.max(lane.gaveUpBelow, delivery.sequence + 1)
  }

  #giveEpochUp(): void {
    for (const lane of this.#lanes) {
      lane.floorTold = 0
      for (const delivery of lane.waiting.values()) {
        if (delivery.attempts > 0) this.#giveUp(lane, delivery, 'the receiver started anew')
      }
    }
  }

  #settle(lane: Lane<Ticket>, delivery: Delivery<Ticket>, outcome: DeliveryOutcome): void {
    lane.waiting.delete(delivery.sequence)
    this.#length--
    this.#sizeBytes -= delivery.sizeBytes
    this.#effects.emit({ ticket: delivery.ticket, outcome })
  }

  #forget(lane: Lane<Ticket>, delivery: Delivery<Ticket>): void {
    lane.waiting.delete(delivery.sequence)
    this.#length--
    this.#sizeBytes -= delivery.sizeBytes
    lane.gaveUpBelow = Math.max(lane.gaveUpBelow, delivery.sequence + 1)
  }

  /** Moves the floor; a receiver that waits for what was given up is told. */
  #advance(lane: Lane<Ticket>, now: MonotonicMs): void {
    moveFloor(lane)
    if (!this.#isConnected) return
    this.#pump(lane, now)
    const { floor, floorTold, gaveUpBelow } = lane
    if (lane.lane !== DeliveryLanes.Ordered || floorTold >= gaveUpBelow || floor <= floorTold) {
      return
    }
    lane.floorTold = floor
    const receiver = must(this.#epoch, 'epoch of the receiver')
    this.#effects.send({ kind: 'floor', receiver, lane: lane.lane, floor })
  }

  #maybeDial(now: MonotonicMs): void {
    if (this.#dialAt === NEVER) this.#dial(now)
  }

  #dial(now: MonotonicMs): void {
    this.#dialAt = NEVER
    if (this.#isConnected || this.#length === 0) return
    this.#mustDial = true
    const { retryBackoffMs } = this.#limits
    this.#dialPauseMs = Math.min(dialPauseMsMax, Math.max(retryBackoffMs, 2 * this.#dialPauseMs))
    this.#dialAt = after(now, this.#dialPauseMs)
  }

  #due(at: MonotonicMs): void {
    if (at < this.#notBefore) this.#notBefore = at
  }

  #lane(lane: DeliveryLane): Lane<Ticket> {
    return must(this.#lanes[lane - 1], 'lane')
  }
}

function moveFloor(lane: Lane<unknown>): void {
  while (lane.floor < lane.next && !lane.waiting.has(lane.floor)) lane.floor++
  if (lane.cursor < lane.floor) lane.cursor = lane.floor
}

const laneOf = (lane: DeliveryLane) => ({ lane, waiting: new Map() })
