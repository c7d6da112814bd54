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
  BackpressureError,
  ConnectionLostError,
  type ErrorFacts,
  MessageTooLargeError,
  NotAuthorizedError,
  NotSentError,
  ProtocolError,
  RequestTimeoutError,
  SkeinError,
  UnknownMessageError
} from '../../core/errors.js'
import type { MonotonicMs, NodeId, WallMs } from '../../core/ids.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import { RemoteError } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import {
  type AnyDeclaration,
  type AssembledMessage,
  ByteReader,
  type Extension,
  FrameFlags,
  isRequest,
  type MessageDeclaration,
  type RequestDeclaration
} from '../../wire/index.js'
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
import type { Outgoing } from './output.js'
import { type PendingRequest, PendingRequests } from './pending-requests.js'
import { Receiver } from './receiver.js'
import { Sender } from './sender.js'

/** Messages that the peer's role may not send before the connection is closed. */
const unauthorizedMax = 3
/** How long a retired connection waits for answers under way. */
export const retireTimeoutMs = 10_000

export interface Dispatch {
  readonly priority: number
  readonly group?: number
}

const States = {
  /** No stream yet; messages queue. */
  Idle: 'idle',
  Greeting: 'greeting',
  Open: 'open',
  /** Nothing new; answers under way still come and go. */
  Retiring: 'retiring',
  Done: 'done'
} as const
type State = (typeof States)[keyof typeof States]

interface Serving {
  readonly declaration: RequestDeclaration<unknown, unknown>
  isCancelled: boolean
}

export class Muxer<Ticket> {
  readonly #components: MuxerComponents
  readonly #options: MuxerOptions
  readonly #sender: Sender<Ticket>
  readonly #receiver: Receiver
  readonly #greeter: Greeter<Ticket>
  readonly #pending: PendingRequests<Ticket>
  readonly #serving = new Map<number, Serving>()
  readonly #bodyReader = new ByteReader(new Uint8Array(0))
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
  #pings = 0

  constructor(components: MuxerComponents, options: MuxerOptions) {
    this.#components = components
    this.#options = options
    this.#sender = new Sender(components.hybridClock, options.limits)
    this.#receiver = new Receiver(components, options.limits.reassemblyBytesMax)
    this.#pending = new PendingRequests(options.limits.requestsInFlightMax)
    const halves = { sender: this.#sender, receiver: this.#receiver }
    this.#greeter = new Greeter(components, options, halves)
  }

  get isOpen(): boolean {
    return this.#state === States.Open
  }

  /** Whether something new may be queued here. */
  get isUsable(): boolean {
    return this.#state !== States.Retiring && this.#state !== States.Done
  }

  get isDone(): boolean {
    return this.#state === States.Done
  }

  /** Whether `pull` would give something. */
  get hasOutput(): boolean {
    const talks = this.#state === States.Open || this.#state === States.Retiring
    if (this.#state === States.Retiring && !this.#isGoAwaySent) return true
    return this.#sender.hasControl || (talks && this.#sender.hasMessages)
  }

  /** Whether this end has said Hello. */
  get hasGreeted(): boolean {
    return this.#greeter.hasGreeted
  }

  tellQueues(tell: TellQueue): void {
    const { requestsInFlightMax, requestsServedMax } = this.#options.limits
    tell('transport.requestsInFlightMax', this.#pending.size, requestsInFlightMax)
    tell('transport.requestsServedMax', this.#serving.size, requestsServedMax)
    this.#sender.tellQueues(tell, requestsServedMax)
  }

  get requestsPending(): number {
    return this.#pending.size
  }

  get requestsServed(): number {
    return this.#serving.size
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
    if (this.#state === States.Done) return
    this.#keepAlive?.handleReceived(now)
    try {
      this.#receiver.push(chunk)
      for (let message = this.#receiver.next(wallNow); message !== null; ) {
        this.#handleMessage(message, now, wallNow)
        if ((this.#state as State) === States.Done) return
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
    for (const request of this.#pending.takeDue(now)) this.#timeOut(request, wallNow)
    if (this.#state === States.Greeting && now >= this.#handshakeAt) {
      const waited = this.#options.limits.handshakeTimeoutMs
      this.#fail(new ConnectionLostError(`no handshake within ${waited} ms`), wallNow)
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
      this.#pending.nextDeadline(),
      greeting ? this.#handshakeAt : NEVER,
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
    const envelope = {
      flags: 0,
      priority: dispatch.priority,
      messageId: this.#components.nextMessageId(),
      extension: dispatch.group === undefined ? null : { group: dispatch.group },
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
    dispatch: Dispatch & { readonly deadline: MonotonicMs },
    ticket: Ticket,
    now: MonotonicMs,
    wallNow: WallMs
  ): PendingRequest<Ticket> {
    if (!this.isUsable) throw new NotSentError('the connection is closing')
    const { deadline, group, priority } = dispatch
    if (deadline <= now) throw new NotSentError('the deadline had passed already')
    if (this.#pending.isFull) {
      throw new BackpressureError(`${this.#pending.lengthMax} requests are in flight`)
    }
    const id = this.#components.nextMessageId()
    const response = declaration.response as AnyDeclaration
    const request = { id, deadline, response, ticket, isSent: false, outgoing: null }
    const deadlineMs = Math.min(Math.ceil(deadline - now), 0xffff_ffff)
    const extension: Extension = group === undefined ? { deadlineMs } : { deadlineMs, group }
    const envelope = { flags: FrameFlags.Request, priority, messageId: id, extension, request }
    if (!this.#sender.offer(declaration, body, envelope, wallNow)) {
      throw new BackpressureError(`send queue of priority ${priority} is full`)
    }
    this.#pending.add(request)
    return request
  }

  /** Nobody waits any more; the answer, if it still comes, is dropped. False: it had ended. */
  cancel(request: PendingRequest<Ticket>, wallNow: WallMs): boolean {
    if (!this.#pending.remove(request.id)) return false
    this.#withdraw(request, wallNow)
    return true
  }

  answer(id: number, body: unknown, wallNow: WallMs): void {
    const serving = this.#endServing(id)
    if (serving === null) return
    const { response } = serving.declaration
    try {
      this.#forceAnswer(response, body, id, response.priority, wallNow)
    } catch (error) {
      if (!(error instanceof MessageTooLargeError)) throw error
      this.#forceAnswer(errorAnswer, error.toFacts(), id, response.priority, wallNow)
    }
    this.#maybeFinish()
  }

  answerError(id: number, facts: ErrorFacts, wallNow: WallMs): void {
    const serving = this.#endServing(id)
    if (serving === null) return
    this.#forceAnswer(errorAnswer, facts, id, serving.declaration.priority, wallNow)
    this.#maybeFinish()
  }

  /** Starts nothing new, finishes what is under way, then says `done`. */
  retire(reason: GoAwayReason, now: MonotonicMs): void {
    if (!this.isUsable) return
    this.#retireReason = reason
    if (this.#state === States.Open) {
      this.#state = States.Retiring
      this.#retireAt = after(now, retireTimeoutMs)
      return
    }
    this.#end(new NotSentError('the connection was not needed any more'))
  }

  /** Ends now, as if the stream had broken. */
  abort(error: SkeinError): void {
    this.#end(error)
  }

  handleStreamClosed(error: SkeinError): void {
    const inPeace = this.#isGoAwayReceived && this.#pending.size === 0 && this.#serving.size === 0
    this.#end(inPeace ? null : error)
  }

  /** Takes out the messages and requests of which nothing has left. */
  takeUnsent(): Outgoing<Ticket>[] {
    const unsent = this.#sender.takeUnsent()
    for (const { request } of unsent) if (request !== null) this.#pending.remove(request.id)
    return unsent
  }

  /** Goes on with what another muxer to the same peer had not sent; what has no room fails. */
  adopt(unsent: readonly Outgoing<Ticket>[]): void {
    for (const outgoing of unsent) {
      const { request } = outgoing
      const taken = this.isUsable && !this.#pending.isFull && this.#sender.adopt(outgoing)
      if (request === null) {
        if (!taken) this.#components.counters.add('failed_sends')
      } else if (taken) this.#pending.add(request)
      else this.#emitFailed(request, new NotSentError('no room on the connection that is left'))
    }
  }

  drain(): readonly MuxEvent<Ticket>[] {
    if (this.#events.length === 0) return []
    const events = this.#events
    this.#events = []
    return events
  }

  /** The next bytes for the stream; null when nothing waits. The stream may keep them. */
  pull(sizeBytesMax: number, wallNow: WallMs): Uint8Array | null {
    const withMessages = this.#state === States.Open || this.#state === States.Retiring
    if (this.#state === States.Retiring && !this.#isGoAwaySent && !this.#sender.hasMessages) {
      this.#isGoAwaySent = true
      this.#sender.control(goAway, { reason: this.#retireReason, message: '' }, wallNow)
    }
    const bytes = this.#sender.pull(sizeBytesMax, withMessages, this.#markSent)
    if (bytes !== null) this.#components.counters.add('bytes_sent', bytes.length)
    this.#maybeFinish()
    return bytes
  }

  readonly #markSent = (outgoing: Outgoing<Ticket>): void => {
    if (outgoing.request !== null) outgoing.request.isSent = true
    this.#components.counters.add('messages_sent')
  }

  #handleMessage(message: AssembledMessage, now: MonotonicMs, wallNow: WallMs): void {
    const { type, flags, messageId } = message.header
    if (type <= goAway.number) {
      this.#handleControl(message, now, wallNow)
      return
    }
    if (this.#state === States.Greeting) {
      throw new ProtocolError(`message ${type} before the handshake`)
    }
    this.#components.counters.add('messages_received')
    if (type === errorAnswer.number && (flags & FrameFlags.Response) === 0) {
      throw new ProtocolError('an ErrorAnswer that answers nothing')
    }
    if ((flags & FrameFlags.Response) !== 0) {
      this.#handleResponse(message)
      return
    }
    const declaration = this.#components.catalogue.byNumber(type)
    const version = must(this.#greeter.facts, 'peer facts').version
    if (declaration === undefined || declaration.since > version) {
      this.#components.counters.add('unknown_messages')
      this.#reject(messageId, new UnknownMessageError(`no message has number ${type}`), wallNow)
      return
    }
    if (!declaration.senders.includes(must(this.#peer, 'peer').kind)) {
      this.#handleUnauthorized(declaration, messageId, wallNow)
      return
    }
    const isRequestFrame = (flags & FrameFlags.Request) !== 0
    if (isRequestFrame !== (declaration.kind === 'request') || declaration.kind === 'response') {
      throw new ProtocolError(`${declaration.name} is a ${declaration.kind}, its flags differ`)
    }
    if (isRequest(declaration)) this.#handleRequest(message, declaration, now, wallNow)
    else {
      const group = message.extension?.group ?? null
      this.#events.push({
        kind: 'message',
        declaration,
        body: this.#readBody(message, declaration),
        group
      })
    }
  }

  #handleRequest(
    message: AssembledMessage,
    declaration: RequestDeclaration<unknown, unknown>,
    now: MonotonicMs,
    wallNow: WallMs
  ): void {
    const id = message.header.messageId
    if (this.#serving.has(id)) throw new ProtocolError(`request ${id} is being served already`)
    const served = this.#serving.size
    if (served >= this.#options.limits.requestsServedMax) {
      this.#components.counters.add('backpressure_refusals')
      this.#reject(id, new BackpressureError(`${served} requests are being served`), wallNow)
      return
    }
    const body = this.#readBody(message, declaration)
    const deadlineMs = message.extension?.deadlineMs
    if (deadlineMs === 0) {
      this.#reject(id, new RequestTimeoutError('the deadline had passed on arrival'), wallNow)
      return
    }
    this.#serving.set(id, { declaration, isCancelled: false })
    this.#components.counters.add('requests_served')
    const deadline = deadlineMs === undefined ? null : after(now, deadlineMs)
    const group = message.extension?.group ?? null
    this.#events.push({ kind: 'request', id, declaration, body, deadline, group })
  }

  #handleResponse(message: AssembledMessage): void {
    const { type, messageId } = message.header
    const request = this.#pending.get(messageId)
    if (request === undefined) {
      if (type === errorAnswer.number) {
        const error = new RemoteError(this.#readBody(message, errorAnswer) as ErrorFacts)
        this.#events.push({ kind: 'rejected', error })
      }
      this.#components.counters.add('late_answers')
      return
    }
    if (type === errorAnswer.number) {
      const error = new RemoteError(this.#readBody(message, errorAnswer) as ErrorFacts)
      this.#pending.remove(messageId)
      this.#emitFailed(request, error)
      return
    }
    if (type !== request.response.number) {
      throw new ProtocolError(`request ${messageId} is answered with type ${type}`)
    }
    const body = this.#readBody(message, request.response)
    this.#pending.remove(messageId)
    this.#events.push({ kind: 'answered', ticket: request.ticket, body })
  }

  #handleControl(message: AssembledMessage, now: MonotonicMs, wallNow: WallMs): void {
    switch (message.header.type) {
      case hello.number:
        this.#handleHello(this.#read(message, hello), wallNow)
        return
      case refuse.number:
        this.#handleRefuse(this.#read(message, refuse))
        return
      case bindNode.number: {
        const { index, nodeId } = this.#read(message, bindNode)
        this.#handleBindNode(index, nodeId)
        return
      }
      case ping.number:
        this.#expectGreeted('Ping')
        if (!this.#sender.control(pong, { token: this.#read(message, ping).token }, wallNow)) {
          throw new ProtocolError('more pings than answers were read')
        }
        return
      case pong.number:
        this.#read(message, pong)
        return
      case cancel.number: {
        this.#expectGreeted('Cancel')
        const { request } = this.#read(message, cancel)
        const serving = this.#serving.get(request)
        if (serving === undefined || serving.isCancelled) return
        serving.isCancelled = true
        this.#events.push({ kind: 'cancelled', id: request })
        return
      }
      default:
        this.#handleGoAway(this.#read(message, goAway), now)
    }
  }

  #handleHello(said: Hello, wallNow: WallMs): void {
    if (this.#state !== States.Greeting || this.#greeter.facts !== null) {
      throw new ProtocolError('a second Hello')
    }
    const refused = this.#greeter.handleHello(said, must(this.#peer, 'peer'), wallNow)
    if (refused !== null) this.#end(refused)
    else if (this.#options.isDialer) this.#open()
  }

  #handleRefuse({ reason, message }: { reason: RefusalReason; message: string }): void {
    this.#end(this.#greeter.handleRefuse(reason, message, must(this.#peer, 'peer')))
  }

  #handleBindNode(index: number, nodeId: NodeId): void {
    this.#expectGreeted('BindNode')
    const peer = must(this.#peer, 'peer')
    const reachable = this.#receiver.bind(index, nodeId, this.#options.local, peer)
    if (reachable && this.#state === States.Greeting) this.#open()
  }

  #handleGoAway(said: { reason: GoAwayReason; message: string }, now: MonotonicMs): void {
    this.#expectGreeted('GoAway')
    if (said.reason === 'failed') {
      this.#end(new ConnectionLostError(`the peer gave the connection up: ${said.message}`))
      return
    }
    this.#isGoAwayReceived = true
    this.#events.push({ kind: 'goAway', reason: said.reason, message: said.message })
    if (this.#state === States.Open) this.retire(said.reason, now)
  }

  #handleUnauthorized(declaration: AnyDeclaration, messageId: number, wallNow: WallMs): void {
    const { kind } = must(this.#peer, 'peer')
    const error = new NotAuthorizedError(`a ${kind} may not send ${declaration.name}`)
    this.#components.counters.add('unauthorized_messages')
    this.#unauthorized++
    if (this.#unauthorized >= unauthorizedMax) throw error
    this.#reject(messageId, error, wallNow)
  }

  #open(): void {
    this.#state = States.Open
    this.#handshakeAt = NEVER
    this.#components.counters.add('connections_opened')
    this.#events.push({ kind: 'opened', facts: must(this.#greeter.facts, 'peer facts') })
  }

  #expectGreeted(what: string): void {
    if (this.#greeter.facts === null) throw new ProtocolError(`${what} before Hello`)
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

  #timeOut(request: PendingRequest<Ticket>, wallNow: WallMs): void {
    this.#components.counters.add('request_timeouts')
    const error = request.isSent
      ? new RequestTimeoutError('no answer before the deadline')
      : new NotSentError('the deadline passed in the send queue')
    this.#withdraw(request, wallNow)
    this.#emitFailed(request, error)
  }

  #withdraw(request: PendingRequest<Ticket>, wallNow: WallMs): void {
    if (request.isSent) this.#sender.control(cancel, { request: request.id }, wallNow)
    else if (request.outgoing !== null) request.outgoing.cancelled = true
  }

  #endServing(id: number): Serving | null {
    const serving = this.#serving.get(id)
    if (serving === undefined) return null
    this.#serving.delete(id)
    if (!serving.isCancelled) return serving
    this.#maybeFinish()
    return null
  }

  /** An answer without having served. */
  #reject(messageId: number, error: SkeinError, wallNow: WallMs): void {
    this.#forceAnswer(errorAnswer, error.toFacts(), messageId, errorAnswer.priority, wallNow)
  }

  #forceAnswer<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    messageId: number,
    priority: number,
    wallNow: WallMs
  ): void {
    const envelope = {
      flags: FrameFlags.Response,
      priority,
      messageId,
      extension: null,
      request: null
    }
    if (this.#sender.force(declaration, body, envelope, wallNow)) return
    this.#fail(new ConnectionLostError('the peer does not read its answers'), wallNow)
  }

  /** Retired, and nothing is under way in either direction. */
  #maybeFinish(): void {
    if (this.#state !== States.Retiring || !this.#isGoAwaySent || !this.#isGoAwayReceived) return
    if (this.#pending.size > 0 || this.#serving.size > 0 || !this.#sender.isEmpty) return
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
    for (const request of this.#pending.takeAll()) {
      const options = error === null ? {} : { cause: error }
      const reason = error?.message ?? 'closed'
      const failure = request.isSent
        ? new ConnectionLostError(`connection lost before the answer: ${reason}`, options)
        : new NotSentError(`never left: ${reason}`, options)
      this.#emitFailed(request, failure)
    }
    for (const [id, serving] of [...this.#serving].sort(([a], [b]) => a - b)) {
      if (!serving.isCancelled) this.#events.push({ kind: 'cancelled', id })
    }
    this.#serving.clear()
    // Not needed any more is no error of the connection.
    const isError = error !== null && !(error instanceof NotSentError)
    if (isError) this.#components.counters.add('connection_errors')
    this.#events.push({ kind: 'done', error })
  }

  #emitFailed(request: PendingRequest<Ticket>, error: SkeinError): void {
    this.#events.push({ kind: 'failed', ticket: request.ticket, error })
  }

  #read<Body>(message: AssembledMessage, declaration: MessageDeclaration<Body>): Body {
    return this.#readBody(message, declaration as AnyDeclaration) as Body
  }

  #readBody(message: AssembledMessage, declaration: AnyDeclaration): unknown {
    const reader = this.#bodyReader.reset(message.bytes, message.start, message.end)
    const body = declaration.codec.read(reader)
    reader.expectEnd()
    return body
  }
}
