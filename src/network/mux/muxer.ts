/**
 * One connection, seen from one end: handshake, messages and requests over one byte stream.
 * Follows `docs/wire.md`; the idea of a core that is polled for bytes is quinn-proto's.
 *
 * Invariants:
 * 1. A request ends exactly once: `answered` or `failed`, or it was cancelled here.
 * 2. A request that ends with NotSentError never left: none of its frames was pulled.
 * 3. Before the handshake is finished no message of another room is sent or taken.
 * 4. A peer speaks only under the name that its certificate proved, and only types its role
 * allows.
 * 5. After `done` nothing is emitted.
 *
 * Owner's duties: call `attach` when the stream exists; `receive` with every chunk;
 * `handleTimeout` at `nextDeadline()`; `handleStreamClosed` when the stream ends. After each
 * call: `drain` the events, then `pull` while the stream takes bytes. Answer each `request` once.
 */

import { must } from '../../core/assert.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  ConnectionLostError,
  type ErrorFacts,
  NotAuthorizedError,
  NotSentError,
  ProtocolError,
  SkeinError,
  UnknownMessageError
} from '../../core/errors.js'
import type { MonotonicMs, NodeId, WallMs } from '../../core/ids.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import type { TellQueue } from '../../core/tell-queue.js'
import {
  type AnyDeclaration,
  type AssembledMessage,
  FrameFlags,
  isRequest,
  type MessageDeclaration,
  type RequestDeclaration
} from '../../wire/index.js'
import { MessagePolicy } from '../security/message-policy.js'
import { BodyReader, UnreadableBodyError } from './body-reader.js'
import { Greeter } from './greeter.js'
import { KeepAlive, KeepAliveVerdicts } from './keep-alive.js'
import {
  bindNode,
  cancel,
  errorAnswer,
  type GoAwayReason,
  goAway,
  type Hello,
  hello,
  ping,
  pong,
  type RefusalReason,
  refuse
} from './messages.js'
import type { MuxEvent } from './mux-events.js'
import type { MuxerComponents, MuxerOptions } from './muxer-options.js'
import type { Outgoing, PendingRequest } from './outgoing.js'
import type { Slice } from './output.js'
import { Receiver } from './receiver.js'
import { type Dispatch, extensionOf, type RequestDispatch, Requester } from './requester.js'
import { Responder } from './responder.js'
import { Sender } from './sender.js'
import { FloodMeter } from './streams/flood-meter.js'
import { isStreamFrame } from './streams/messages.js'
import { Streams } from './streams/streams.js'

/** Pings, answers to none, and farewells beyond it close the connection. */
const idleFramesPerSecondMax = 200
const idleFramesPerMinuteMax = 12_000
/** Messages that the peer's role may not send before the connection is closed. */
const unauthorizedMax = 3
/** How long a peer that is turned out may take to read the answers that it has coming. */
const turnedOutTimeoutMs = 1_000
/** How long a retired connection waits for answers under way. */
export const retireTimeoutMs = 10_000
/** The same, where the peer is there to stay and only the connection goes. */
export const replacedTimeoutMs = 60_000

const States = {
  /** No stream yet; messages queue. */
  Idle: 'idle',
  Greeting: 'greeting',
  Open: 'open',
  /** Nothing new; answers under way still come and go. */
  Retiring: 'retiring',
  /** The peer is not listened to any more; what it has been answered still leaves. */
  TurningOut: 'turningOut',
  Done: 'done'
} as const
type State = (typeof States)[keyof typeof States]

export class Muxer<Ticket> {
  /** Byte streams of this connection; to be opened while it is open. */
  readonly streams: Streams<Ticket>
  readonly #components: MuxerComponents
  readonly #options: MuxerOptions
  readonly #policy: MessagePolicy
  readonly #sender: Sender<Ticket>
  readonly #receiver: Receiver
  readonly #greeter: Greeter<Ticket>
  readonly #requester: Requester<Ticket>
  readonly #responder: Responder<Ticket>
  readonly #bodies = new BodyReader()
  readonly #idleFrames = new FloodMeter({
    perSecondMax: idleFramesPerSecondMax,
    perMinuteMax: idleFramesPerMinuteMax
  })
  #events: MuxEvent<Ticket>[] = []
  #state: State = States.Idle
  #peer: PeerIdentity | null = null
  #keepAlive: KeepAlive | null = null
  #handshakeAt: MonotonicMs = NEVER
  #retireAt: MonotonicMs = NEVER
  #retireReason: GoAwayReason = 'replaced'
  #isGoAwaySent = false
  #isGoAwayReceived = false
  #unauthorized = 0
  /** Why the peer is turned out, and when it has had its time. */
  #turnedOut: { readonly error: SkeinError; readonly at: MonotonicMs } | null = null
  #pings = 0

  constructor(components: MuxerComponents, options: MuxerOptions) {
    this.#components = components
    this.#options = options
    this.#policy = components.policy ?? new MessagePolicy()
    this.#sender = new Sender(components, options.limits)
    this.#receiver = new Receiver(components, options.limits.reassemblyBytesMax)
    const { requestsInFlightMax, requestsServedMax } = options.limits
    const parts = {
      sender: this.#sender,
      bodies: this.#bodies,
      counters: components.counters,
      emit: (event: MuxEvent<Ticket>) => void this.#events.push(event),
      fail: (error: SkeinError, wallNow: WallMs) => this.#fail(error, wallNow)
    }
    this.#requester = new Requester(components, parts, requestsInFlightMax)
    this.#responder = new Responder(parts, requestsServedMax)
    this.streams = new Streams(parts, options.limits, options.isDialer)
    const halves = { sender: this.#sender, receiver: this.#receiver }
    this.#greeter = new Greeter(components, options, halves)
  }

  get isOpen(): boolean {
    return this.#state === States.Open
  }

  /** Whether something new may be queued here. */
  get isUsable(): boolean {
    return (
      this.#state === States.Idle || this.#state === States.Greeting || this.#state === States.Open
    )
  }

  get isDone(): boolean {
    return this.#state === States.Done
  }

  /** Whether `pull` would give something. */
  get hasOutput(): boolean {
    if (this.#state === States.Retiring && !this.#isGoAwaySent) return true
    if (this.#state === States.TurningOut) return true
    return this.#sender.hasControl || (this.#talks && this.#sender.hasMessages)
  }

  /** Whether this end has said Hello. */
  get hasGreeted(): boolean {
    return this.#greeter.hasGreeted
  }

  /** The number of this end's Hello; null before it was said. */
  get helloSequence(): number | null {
    return this.#greeter.helloSequence
  }

  /** 0: a connection for messages, as far as this end knows. */
  get lane(): number {
    return this.#greeter.facts?.lane ?? this.#options.lane
  }

  tellQueues(tell: TellQueue): void {
    this.#requester.tellQueues(tell)
    this.#responder.tellQueues(tell)
    this.streams.tellQueues(tell)
    this.#sender.tellQueues(tell, this.#options.limits.requestsServedMax)
  }

  get requestsPending(): number {
    return this.#requester.size
  }

  get requestsServed(): number {
    return this.#responder.size
  }

  get #isAtWork(): boolean {
    return this.#requester.size > 0 || this.#responder.size > 0 || this.streams.size > 0
  }

  /** The stream is there, and the peer is who its certificate says. */
  attach(peer: PeerIdentity, now: MonotonicMs, wallNow: WallMs): void {
    this.#peer = peer
    this.#state = States.Greeting
    this.#handshakeAt = after(now, this.#options.limits.handshakeTimeoutMs)
    this.#keepAlive = new KeepAlive(this.#options.limits, now)
    if (this.#options.isDialer) this.#greeter.sayHello(wallNow)
  }

  receive(chunk: Uint8Array, now: MonotonicMs, wallNow: WallMs): void {
    if (this.#state === States.Done || this.#state === States.TurningOut) return
    this.#keepAlive?.handleReceived(now)
    try {
      this.#receiver.push(chunk)
      for (let message = this.#receiver.next(wallNow); message !== null; ) {
        this.#handleMessage(message, now, wallNow)
        if (!this.#listens) return
        message = this.#receiver.next(wallNow)
      }
      this.#maybeFinish()
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.#fail(error, wallNow)
    }
  }

  handleTimeout(now: MonotonicMs, wallNow: WallMs): void {
    if (this.#state === States.Done) return
    this.#requester.handleTimeout(now, wallNow)
    this.streams.handleTimeout(now, wallNow)
    if ((this.#state as State) === States.Done) return
    if (this.#state === States.Greeting && now >= this.#handshakeAt) {
      const waited = this.#options.limits.handshakeTimeoutMs
      this.#fail(new ConnectionLostError(`no handshake within ${waited} ms`), wallNow)
      return
    }
    if (this.#turnedOut !== null && now >= this.#turnedOut.at) {
      this.#fail(this.#turnedOut.error, wallNow)
      return
    }
    if (now >= this.#retireAt) {
      this.#fail(new ConnectionLostError('retired connection did not come to rest'), wallNow)
      return
    }
    this.#maybePing(now, wallNow)
    this.#maybeFinish()
  }

  nextDeadline(): MonotonicMs {
    if (this.#state === States.Done) return NEVER
    const greeting = this.#state === States.Greeting
    return Math.min(
      this.#requester.nextDeadline(),
      this.streams.nextDeadline(),
      greeting ? this.#handshakeAt : NEVER,
      this.#turnedOut?.at ?? NEVER,
      this.#retireAt,
      greeting ? NEVER : (this.#keepAlive?.nextDeadline() ?? NEVER)
    ) as MonotonicMs
  }

  /** False: not queued. @throws MessageTooLargeError */
  send<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    dispatch: Dispatch,
    wallNow: WallMs
  ): boolean {
    if (!this.isUsable) return false
    const { priority, delivery } = dispatch
    const envelope = {
      flags: delivery === undefined ? 0 : FrameFlags.AckWanted,
      priority,
      messageId: this.#components.nextMessageId(),
      extension: extensionOf(dispatch),
      request: null
    }
    return this.#sender.offer(declaration, body, envelope, wallNow)
  }

  /**
   * The request, to cancel it by; its outcome comes as an event with the ticket.
   *
   * @throws NotSentError, BackpressureError, MessageTooLargeError: it did not leave
   */
  request<Body>(
    declaration: RequestDeclaration<Body, unknown>,
    body: Body,
    dispatch: RequestDispatch,
    ticket: Ticket,
    now: MonotonicMs,
    wallNow: WallMs
  ): PendingRequest<Ticket> {
    if (!this.isUsable) throw new NotSentError('the connection is closing')
    return this.#requester.request(declaration, body, dispatch, ticket, now, wallNow)
  }

  /** Nobody waits any more; the answer, if it still comes, is dropped. False: it had ended. */
  cancel(request: PendingRequest<Ticket>, wallNow: WallMs): boolean {
    return this.#requester.cancel(request, wallNow)
  }

  answer(id: number, body: unknown, wallNow: WallMs): void {
    this.#expectRead(this.#responder.answer(id, body, wallNow), wallNow)
    this.#maybeFinish()
  }

  answerError(id: number, facts: ErrorFacts, wallNow: WallMs): void {
    this.#expectRead(this.#responder.answerError(id, facts, wallNow), wallNow)
    this.#maybeFinish()
  }

  /** Tells the sender of a one-way message why nothing was done with it. */
  reject(messageId: number, error: SkeinError, wallNow: WallMs): void {
    if (this.#state !== States.Done) this.#reject(messageId, error, wallNow)
  }

  /** Starts nothing new, finishes what is under way, then says `done`. */
  retire(reason: GoAwayReason, now: MonotonicMs): void {
    if (!this.isUsable) return
    this.#retireReason = reason
    if (this.#state === States.Open) {
      this.#state = States.Retiring
      this.#retireAt = after(now, reason === 'replaced' ? replacedTimeoutMs : retireTimeoutMs)
      return
    }
    this.#end(new NotSentError('the connection was not needed any more'))
  }

  /** Ends now, as if the stream had broken. */
  abort(error: SkeinError): void {
    this.#end(error)
  }

  handleStreamClosed(error: SkeinError): void {
    // Nobody waits for what is still being served: the peer would not have closed before.
    const isWaiting = this.#requester.size > 0 || this.streams.size > 0
    this.#end(this.#isGoAwayReceived && !isWaiting ? null : error)
  }

  /** Takes out the messages and requests of which nothing has left. */
  takeUnsent(): Outgoing<Ticket>[] {
    return this.#requester.takeUnsent()
  }

  /** Goes on with what another muxer to the same peer had not sent; what has no room fails. */
  adopt(unsent: readonly Outgoing<Ticket>[]): void {
    this.#requester.adopt(unsent, this.isUsable)
  }

  drain(): readonly MuxEvent<Ticket>[] {
    if (this.#events.length === 0) return []
    const events = this.#events
    this.#events = []
    return events
  }

  /** The next bytes for the stream; null when nothing waits. The stream may keep them. */
  pull(sizeBytesMax: number, wallNow: WallMs): Uint8Array | null {
    return this.pullSlice(sizeBytesMax, wallNow)?.bytes ?? null
  }

  /** The same, to be released when it is written. */
  pullSlice(sizeBytesMax: number, wallNow: WallMs): Slice | null {
    if (this.#turnedOut !== null && !this.#sender.hasMessages) {
      this.#fail(this.#turnedOut.error, wallNow)
    }
    const withMessages = this.#talks
    if (this.#state === States.Retiring && !this.#isGoAwaySent && !this.#sender.hasMessages) {
      this.#isGoAwaySent = true
      this.#sender.control(goAway, { reason: this.#retireReason, message: '' }, wallNow)
    }
    const slice = this.#sender.pull(sizeBytesMax, withMessages, this.#markSent)
    this.streams.pump(wallNow)
    this.#expectRead(this.#responder.pump(wallNow), wallNow)
    this.#maybeFinish()
    return slice
  }

  get #talks(): boolean {
    return (
      this.#state === States.Open ||
      this.#state === States.Retiring ||
      this.#state === States.TurningOut
    )
  }

  get #listens(): boolean {
    return this.#state !== States.Done && this.#state !== States.TurningOut
  }

  readonly #markSent = (outgoing: Outgoing<Ticket>): void => {
    if (outgoing.frame !== null) {
      this.streams.handleLeft(outgoing.frame)
      return
    }
    if (outgoing.request !== null) outgoing.request.isSent = true
    this.#components.counters.add('messages_sent')
  }

  #handleMessage(message: AssembledMessage, now: MonotonicMs, wallNow: WallMs): void {
    const { type, flags } = message.header
    if (type <= goAway.number) {
      this.#handleControl(message, now, wallNow)
      return
    }
    if (this.#state === States.Greeting) {
      throw new ProtocolError(`message ${type} before the handshake`)
    }
    if (isStreamFrame(type)) {
      this.streams.handle(message, this.#state === States.Open, now, wallNow)
      return
    }
    this.#components.counters.add('messages_received')
    if (type === errorAnswer.number && (flags & FrameFlags.Response) === 0) {
      throw new ProtocolError('an ErrorAnswer that answers nothing')
    }
    if ((flags & FrameFlags.Response) !== 0) {
      this.#requester.handleResponse(message)
      return
    }
    const declaration = this.#components.catalogue.byNumber(type)
    const version = must(this.#greeter.facts, 'peer facts').version
    if (declaration === undefined || declaration.since > version) {
      this.#components.counters.add('unknown_messages')
      this.#refuse(message, new UnknownMessageError(`no message has number ${type}`), wallNow)
      return
    }
    const refusal =
      this.#policy.refusalOf(declaration, must(this.#peer, 'peer'), this.#options.local) ??
      this.#taggedRefusalOf(message)
    if (refusal !== null) {
      this.#handleUnauthorized(declaration, refusal, message, now, wallNow)
      return
    }
    const isRequestFrame = (flags & FrameFlags.Request) !== 0
    if (isRequestFrame !== (declaration.kind === 'request') || declaration.kind === 'response') {
      throw new ProtocolError(`${declaration.name} is a ${declaration.kind}, its flags differ`)
    }
    try {
      this.#take(message, declaration, now, wallNow)
    } catch (error) {
      if (!(error instanceof UnreadableBodyError)) throw error
      this.#components.counters.add('unreadable_messages')
      this.#refuse(message, error, wallNow)
    }
  }

  #take(
    message: AssembledMessage,
    declaration: AnyDeclaration,
    now: MonotonicMs,
    wallNow: WallMs
  ): void {
    if (isRequest(declaration)) {
      this.#expectRead(this.#responder.handleRequest(message, declaration, now, wallNow), wallNow)
      return
    }
    const body = this.#bodies.readAny(message, declaration)
    const id = message.header.messageId
    const { group = null, delivery = null, trace = null } = message.extension ?? {}
    const sizeBytes = message.end - message.start
    this.#events.push({
      kind: 'message',
      id,
      declaration,
      body,
      group,
      delivery,
      sizeBytes,
      trace
    })
  }

  #handleControl(message: AssembledMessage, now: MonotonicMs, wallNow: WallMs): void {
    switch (message.header.type) {
      case hello.number:
        this.#handleHello(this.#bodies.read(message, hello), wallNow)
        return
      case refuse.number:
        this.#handleRefuse(this.#bodies.read(message, refuse))
        return
      case bindNode.number: {
        const { index, nodeId } = this.#bodies.read(message, bindNode)
        this.#handleBindNode(index, nodeId, wallNow)
        return
      }
      case ping.number:
        this.#expectGreeted('Ping')
        this.#countIdle(now)
        if (
          !this.#sender.control(pong, { token: this.#bodies.read(message, ping).token }, wallNow)
        ) {
          throw new ProtocolError('more pings than answers were read')
        }
        return
      case pong.number:
        this.#countIdle(now)
        this.#bodies.read(message, pong)
        return
      case cancel.number:
        this.#expectGreeted('Cancel')
        this.#responder.handleCancel(this.#bodies.read(message, cancel).request)
        return
      default:
        this.#handleGoAway(this.#bodies.read(message, goAway), now)
    }
  }

  #handleHello(said: Hello, wallNow: WallMs): void {
    if (this.#state !== States.Greeting || this.#greeter.facts !== null) {
      throw new ProtocolError('a second Hello')
    }
    const refused = this.#greeter.handleHello(said, must(this.#peer, 'peer'), wallNow)
    if (refused !== null) this.#end(refused)
    else if (this.#options.isDialer) this.#open(wallNow)
  }

  #handleRefuse({ reason, message }: { reason: RefusalReason; message: string }): void {
    this.#end(this.#greeter.handleRefuse(reason, message, must(this.#peer, 'peer')))
  }

  #handleBindNode(index: number, nodeId: NodeId, wallNow: WallMs): void {
    this.#expectGreeted('BindNode')
    const peer = must(this.#peer, 'peer')
    const reachable = this.#receiver.bind(index, nodeId, this.#options.local, peer)
    if (reachable && this.#state === States.Greeting) this.#open(wallNow)
  }

  #handleGoAway(said: { reason: GoAwayReason; message: string }, now: MonotonicMs): void {
    this.#expectGreeted('GoAway')
    this.#countIdle(now)
    if (said.reason === 'failed') {
      this.#end(new ConnectionLostError(`the peer gave the connection up: ${said.message}`))
      return
    }
    this.#isGoAwayReceived = true
    this.#events.push({ kind: 'goAway', reason: said.reason, message: said.message })
    if (this.#state === States.Open) this.retire(said.reason, now)
  }

  /** What is acknowledged goes to a node that can be told so. */
  #taggedRefusalOf({ extension }: AssembledMessage): string | null {
    if (extension?.delivery === undefined || this.#peer?.kind === 'node') return null
    return 'a client may not ask for acknowledgements'
  }

  /** The last is answered like the others: nothing that the peer has coming is dropped for it. */
  #handleUnauthorized(
    declaration: AnyDeclaration,
    reason: string,
    message: AssembledMessage,
    now: MonotonicMs,
    wallNow: WallMs
  ): void {
    const error = new NotAuthorizedError(reason)
    this.#components.counters.add('unauthorized_messages')
    this.#unauthorized++
    const isLast = this.#unauthorized >= unauthorizedMax
    this.#events.push({ kind: 'unauthorized', message: declaration.name, reason, isLast })
    this.#refuse(message, error, wallNow)
    if (!isLast || this.isDone) return
    this.#state = States.TurningOut
    this.#turnedOut = { error, at: after(now, turnedOutTimeoutMs) }
  }

  #open(wallNow: WallMs): void {
    this.#state = States.Open
    this.#handshakeAt = NEVER
    this.#components.counters.add('connections_opened')
    this.streams.handleOpened(wallNow)
    this.#events.push({ kind: 'opened', facts: must(this.#greeter.facts, 'peer facts') })
  }

  #expectGreeted(what: string): void {
    if (this.#greeter.facts === null) throw new ProtocolError(`${what} before Hello`)
  }

  #countIdle(now: MonotonicMs): void {
    if (!this.#idleFrames.count(now)) throw new ProtocolError('a flood of pings')
  }

  #maybePing(now: MonotonicMs, wallNow: WallMs): void {
    if (this.#state === States.Greeting || this.#keepAlive === null) return
    switch (this.#keepAlive.check(now)) {
      case KeepAliveVerdicts.Gone: {
        const quiet = this.#options.limits.idleTimeoutMs
        this.#fail(new ConnectionLostError(`not a byte within ${quiet} ms`), wallNow)
        return
      }
      case KeepAliveVerdicts.Ping:
        this.#pings = (this.#pings + 1) >>> 0
        this.#sender.control(ping, { token: this.#pings }, wallNow)
        return
      default:
    }
  }

  /** An answer without having served; delivery answers for what is to be acknowledged. */
  #refuse({ header, extension }: AssembledMessage, error: SkeinError, wallNow: WallMs): void {
    const delivery = extension?.delivery
    if (delivery !== undefined && this.#peer?.kind === 'node') {
      this.#events.push({ kind: 'undeliverable', delivery, error })
    } else this.#reject(header.messageId, error, wallNow)
  }

  #reject(messageId: number, error: SkeinError, wallNow: WallMs): void {
    this.#expectRead(this.#responder.reject(messageId, error, wallNow), wallNow)
  }

  #expectRead(isRead: boolean, wallNow: WallMs): void {
    if (isRead) return
    this.#fail(new ConnectionLostError('the peer does not read its answers'), wallNow)
  }

  /** Retired, and nothing is under way in either direction. */
  #maybeFinish(): void {
    if (this.#state !== States.Retiring || !this.#isGoAwaySent || !this.#isGoAwayReceived) return
    if (this.#isAtWork || !this.#sender.isEmpty) return
    this.#end(null)
  }

  /** Gives the connection up for a fault, and says why. */
  #fail(error: SkeinError, wallNow: WallMs): void {
    if (this.#state === States.Done) return
    if (error instanceof ProtocolError) this.#components.counters.add('protocol_errors')
    if (this.#greeter.facts !== null) {
      const said = { reason: 'failed' as const, message: error.message.slice(0, 170) }
      this.#sender.control(goAway, said, wallNow)
    }
    this.#end(error)
  }

  #end(error: SkeinError | null): void {
    if (this.#state === States.Done) return
    this.#state = States.Done
    this.#sender.dropMessages()
    this.#requester.end(error)
    this.#responder.end()
    this.streams.finish(error ?? new ConnectionLostError('the connection was closed'))
    // Not needed any more is no error of the connection.
    const isError = error !== null && !(error instanceof NotSentError)
    if (isError) this.#components.counters.add('connection_errors')
    this.#events.push({ kind: 'done', error })
  }
}
