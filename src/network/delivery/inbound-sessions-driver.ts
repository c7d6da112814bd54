import type { Config } from '../../core/config/schema.js'
import { after, NEVER } from '../../core/deadlines.js'
import { type ErrorFacts, SkeinError } from '../../core/errors.js'
import { compareText, type MonotonicMs, type NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import { factsOf } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { DeliveryCounters } from './delivery-counters.js'
import type { DeliveryTransport, TaggedArrival } from './delivery-port.js'
import { deliveryAck, deliveryFailed, type FloorBody } from './messages.js'
import { type Handout, ReliableReceiver, type Reply, Verdicts } from './reliable-receiver.js'
import { deliveryWindowLengthMax } from './reliable-sender.js'
import { unhandled } from './unhandled.js'

/** Of what a handler threw. */
const failureTextLengthMax = 512
/** Twice the longest time that a sender may go on with a message. */
const sessionIdleMs = 1_200_000
/** Replies that found no room are given again after this. */
const replyAgainMs = 20

/** Handles a message; a promise: it is handled when that resolves. */
export type TaggedHandler = (arrival: TaggedArrival, skipped: number) => unknown

export const isPromise = (value: unknown): value is Promise<unknown> => value instanceof Promise

export interface InboundComponents {
  readonly clock: Clock
  readonly transport: DeliveryTransport
  readonly counters: DeliveryCounters
  readonly logger: Logger
  readonly armTimer: (at: MonotonicMs) => void
}

interface Session {
  readonly from: NodeId
  readonly epoch: number
  readonly receiver: ReliableReceiver<TaggedArrival>
  /** As it counts in the sum over all sessions. */
  heldBytes: number
  lastSeen: MonotonicMs
  isSettling: boolean
}

/** The receiving half: one core for each process that sends, and the handlers by type. */
export class InboundSessions {
  readonly #components: InboundComponents
  readonly #config: Config['delivery']
  readonly #handlers = new Map<number, TaggedHandler>()
  readonly #sessions = new Map<NodeId, Session[]>()
  readonly #owing = new Set<Session>()
  #sessionCount = 0
  #heldBytes = 0
  #isFlushScheduled = false
  #replyAt: MonotonicMs = NEVER
  #isStopped = false

  constructor(components: InboundComponents, config: Config['delivery']) {
    this.#components = components
    this.#config = config
  }

  setHandler(number: number, handle: TaggedHandler): void {
    this.#handlers.set(number, handle)
  }

  handleArrival(arrival: TaggedArrival): void {
    const { counters } = this.#components
    const session = this.#sessionFor(arrival)
    if (session === null) return
    counters.add('acked_received')
    const { tag, declaration, sizeBytes } = arrival
    if (!this.#handlers.has(declaration.number)) {
      const error = unhandled(declaration.name, this.#components.transport.isStarting)
      session.receiver.refuse(tag, error.toFacts())
    } else this.#receive(session, arrival, sizeBytes)
    this.#settle(session)
  }

  handleUndeliverable(at: Pick<TaggedArrival, 'from' | 'epoch' | 'tag'>, error: SkeinError): void {
    const session = this.#sessionFor(at)
    if (session === null) return
    session.receiver.refuse(at.tag, error.toFacts())
    this.#settle(session)
  }

  handleFloor(from: NodeId, said: FloorBody): void {
    if (said.receiver !== this.#components.transport.epoch) return
    const session = this.#find(from, said.sender)
    if (session === undefined) return
    session.receiver.handleFloor(said.lane, said.floor)
    this.#settle(session)
  }

  /** Another process of the node speaks now: what a former one sent out of turn stays undone. */
  handleOpened(nodeId: NodeId, epoch: number): void {
    for (const session of this.#sessions.get(nodeId) ?? []) {
      if (session.epoch === epoch || session.receiver.heldBytes === 0) continue
      this.#components.counters.add('epochs_given_up')
      session.receiver.dropHeld()
      this.#noteHeld(session)
    }
  }

  handleTimeout(now: MonotonicMs): void {
    if (now < this.#replyAt) return
    this.#replyAt = NEVER
    this.#flush()
  }

  nextDeadline(): MonotonicMs {
    return this.#replyAt
  }

  tellQueues(tell: TellQueue): void {
    tell('delivery.sessionsMax', this.#sessionCount, this.#config.sessionsMax)
    tell('delivery.heldBytesMax', this.#heldBytes, this.#config.heldBytesMax)
    for (const sessions of this.#sessions.values()) {
      for (const { receiver } of sessions) {
        tell('deliveryWindowLengthMax', receiver.length, 2 * deliveryWindowLengthMax)
      }
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  #receive(session: Session, arrival: TaggedArrival, sizeBytes: number): void {
    const { counters } = this.#components
    const { lane, sequence, floor } = arrival.tag
    const mayHold = (bytes: number) => this.#heldBytes + bytes <= this.#config.heldBytesMax
    const offered = { lane, sequence, floor, message: arrival, sizeBytes }
    const verdict = session.receiver.receive(offered, mayHold)
    if (verdict === Verdicts.Duplicate) counters.add('duplicates')
    else if (verdict === Verdicts.Settled) counters.add('settled_arrivals')
    else if (verdict === Verdicts.Refused) counters.add('window_refusals')
    else if (verdict === Verdicts.NoRoom) counters.add('held_refusals')
  }

  /** Hands out what is due; handlers that end at once may make more due. */
  #settle(session: Session): void {
    if (session.isSettling) return
    session.isSettling = true
    for (let due = session.receiver.drain(); due.length > 0; due = session.receiver.drain()) {
      for (const handout of due) this.#handOut(session, handout)
    }
    session.isSettling = false
    this.#noteHeld(session)
    this.#scheduleReplies(session)
  }

  #handOut(session: Session, handout: Handout<TaggedArrival>): void {
    const { lane, sequence, message, skipped } = handout
    const done = (failure: ErrorFacts | null) => {
      session.receiver.handleDone(lane, sequence, failure)
      this.#settle(session)
    }
    const handle = this.#handlers.get(message.declaration.number)
    if (this.#isStopped || handle === undefined) return
    try {
      const handling = handle(message, skipped)
      if (!isPromise(handling)) done(null)
      else
        handling.then(
          () => done(null),
          (error: unknown) => done(this.#failure(message, error))
        )
    } catch (error) {
      done(this.#failure(message, error))
    }
  }

  #failure({ declaration, from }: TaggedArrival, error: unknown): ErrorFacts {
    const { counters, logger } = this.#components
    counters.add('handler_failures')
    if (!(error instanceof SkeinError)) {
      logger.error({ error, message: declaration.name, from }, 'a message handler threw')
    }
    const { details: _, message, ...facts } = factsOf(error)
    return { ...facts, message: message.slice(0, failureTextLengthMax) }
  }

  #scheduleReplies(session: Session): void {
    if (this.#isStopped) return
    this.#owing.add(session)
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    queueMicrotask(() => {
      this.#isFlushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const owing = [...this.#owing]
    this.#owing.clear()
    for (const session of owing) {
      for (const reply of session.receiver.takeReplies()) {
        if (!this.#say(session, reply)) this.#sayLater(session, reply)
      }
    }
  }

  #say({ from, epoch }: Session, reply: Reply): boolean {
    const { transport, counters } = this.#components
    if (this.#isStopped) return true
    counters.add('acks_sent')
    const epochs = { sender: epoch, receiver: transport.epoch }
    switch (reply.kind) {
      case 'acknowledgement':
        return transport.send(from, deliveryAck, { ...epochs, ...reply })
      case 'failed':
        return transport.send(from, deliveryFailed, { ...epochs, ...reply })
    }
  }

  /** A sender that is not connected asks again when it is. */
  #sayLater(session: Session, reply: Reply): void {
    const { transport, clock, armTimer, counters } = this.#components
    counters.add('acks_sent', -1)
    if (transport.epochOf(session.from) !== session.epoch) return
    session.receiver.owe(reply)
    this.#owing.add(session)
    this.#replyAt = Math.min(this.#replyAt, after(clock.now(), replyAgainMs)) as MonotonicMs
    armTimer(this.#replyAt)
  }

  #sessionFor({ from, epoch, tag }: Pick<TaggedArrival, 'from' | 'epoch' | 'tag'>): Session | null {
    const { transport, counters, clock } = this.#components
    if (tag.receiver !== transport.epoch) {
      counters.add('foreign_epochs')
      return null
    }
    const session = this.#find(from, epoch) ?? this.#open(from, epoch)
    if (session === null) counters.add('sessions_refused')
    else session.lastSeen = clock.now()
    return session
  }

  #find(from: NodeId, epoch: number): Session | undefined {
    return this.#sessions.get(from)?.find((session) => session.epoch === epoch)
  }

  #open(from: NodeId, epoch: number): Session | null {
    if (this.#sessionCount >= this.#config.sessionsMax && !this.#forgetIdle()) return null
    const receiver = new ReliableReceiver<TaggedArrival>()
    const lastSeen = this.#components.clock.now()
    const session = { from, epoch, receiver, heldBytes: 0, lastSeen, isSettling: false }
    const ofNode = this.#sessions.get(from)
    if (ofNode === undefined) this.#sessions.set(from, [session])
    else ofNode.push(session)
    this.#sessionCount++
    return session
  }

  /** Whoever has been silent for so long waits for nothing any more. */
  #forgetIdle(): boolean {
    const idleSince = this.#components.clock.now() - sessionIdleMs
    for (const from of [...this.#sessions.keys()].sort(compareText)) {
      const sessions = this.#sessions.get(from) ?? []
      const kept = sessions.filter(
        ({ lastSeen, receiver }) => lastSeen > idleSince || receiver.running > 0
      )
      for (const { receiver } of sessions) {
        if (!kept.some((session) => session.receiver === receiver)) {
          this.#heldBytes -= receiver.heldBytes
        }
      }
      this.#sessionCount -= sessions.length - kept.length
      if (kept.length === 0) this.#sessions.delete(from)
      else this.#sessions.set(from, kept)
    }
    return this.#sessionCount < this.#config.sessionsMax
  }

  /** Keeps the sum over all sessions. */
  #noteHeld(session: Session): void {
    const { heldBytes } = session.receiver
    this.#heldBytes += heldBytes - session.heldBytes
    session.heldBytes = heldBytes
  }
}
