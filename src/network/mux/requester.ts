import {
  BackpressureError,
  ConnectionLostError,
  type ErrorFacts,
  NotSentError,
  ProtocolError,
  RequestTimeoutError,
  type SkeinError
} from '../../core/errors.js'
import type { MonotonicMs, WallMs } from '../../core/ids.js'
import { RemoteError } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import {
  type AnyDeclaration,
  type AssembledMessage,
  type DeliveryTag,
  type Extension,
  FrameFlags,
  type RequestDeclaration
} from '../../wire/index.js'
import { type BodyReader, UnreadableBodyError } from './body-reader.js'
import { cancel, errorAnswer } from './messages.js'
import type { MuxEvent } from './mux-events.js'
import type { MuxerComponents } from './muxer-options.js'
import type { Outgoing, PendingRequest } from './outgoing.js'
import { PendingRequests } from './pending-requests.js'
import type { Sender } from './sender.js'

export interface Dispatch {
  readonly priority: number
  readonly group?: number | undefined
  /** Trace context that travels along. */
  readonly trace?: Uint8Array | undefined
  /** Of a one-way message that is to be acknowledged. */
  readonly delivery?: DeliveryTag
}

export interface RequestDispatch extends Dispatch {
  readonly deadline: MonotonicMs
}

interface RequesterParts<Ticket> {
  readonly sender: Sender<Ticket>
  readonly bodies: BodyReader
  readonly emit: (event: MuxEvent<Ticket>) => void
}

/**
 * This end's requests of one connection: each ends once, answered or failed, unless it is
 * cancelled.
 */
export class Requester<Ticket> {
  readonly #components: MuxerComponents
  readonly #parts: RequesterParts<Ticket>
  readonly #pending: PendingRequests<Ticket>

  constructor(components: MuxerComponents, parts: RequesterParts<Ticket>, lengthMax: number) {
    this.#components = components
    this.#parts = parts
    this.#pending = new PendingRequests(lengthMax)
  }

  get size(): number {
    return this.#pending.size
  }

  nextDeadline(): MonotonicMs {
    return this.#pending.nextDeadline()
  }

  tellQueues(tell: TellQueue): void {
    tell('transport.requestsInFlightMax', this.#pending.size, this.#pending.lengthMax)
  }

  /** @throws NotSentError, BackpressureError, MessageTooLargeError: it did not leave */
  request<Body>(
    declaration: RequestDeclaration<Body, unknown>,
    body: Body,
    dispatch: RequestDispatch,
    ticket: Ticket,
    now: MonotonicMs,
    wallNow: WallMs
  ): PendingRequest<Ticket> {
    const { deadline, priority } = dispatch
    if (deadline <= now) throw new NotSentError('the deadline had passed already')
    if (this.#pending.isFull) {
      throw new BackpressureError(`${this.#pending.lengthMax} requests are in flight`)
    }
    const id = this.#components.nextMessageId()
    const response = declaration.response as AnyDeclaration
    const request = { id, deadline, response, ticket, isSent: false, outgoing: null }
    const deadlineMs = Math.min(Math.ceil(deadline - now), 0xffff_ffff)
    const extension = extensionOf(dispatch, deadlineMs) ?? { deadlineMs }
    const envelope = { flags: FrameFlags.Request, priority, messageId: id, extension, request }
    if (!this.#parts.sender.offer(declaration, body, envelope, wallNow)) {
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

  handleResponse(message: AssembledMessage): void {
    const { type, messageId } = message.header
    const { bodies, emit } = this.#parts
    const request = this.#pending.get(messageId)
    if (request === undefined) {
      if (type === errorAnswer.number) {
        const error = new RemoteError(bodies.read(message, errorAnswer) as ErrorFacts)
        emit({ kind: 'rejected', error })
      }
      this.#components.counters.add('late_answers')
      return
    }
    if (type === errorAnswer.number) {
      const error = new RemoteError(bodies.read(message, errorAnswer) as ErrorFacts)
      this.#pending.remove(messageId)
      this.#fail(request, error)
      return
    }
    if (type !== request.response.number) {
      throw new ProtocolError(`request ${messageId} is answered with type ${type}`)
    }
    try {
      const body = bodies.readAny(message, request.response)
      this.#pending.remove(messageId)
      emit({ kind: 'answered', ticket: request.ticket, body })
    } catch (error) {
      if (!(error instanceof UnreadableBodyError)) throw error
      this.#pending.remove(messageId)
      this.#fail(request, error)
    }
  }

  handleTimeout(now: MonotonicMs, wallNow: WallMs): void {
    for (const request of this.#pending.takeDue(now)) {
      this.#components.counters.add('request_timeouts')
      const error = request.isSent
        ? new RequestTimeoutError('no answer before the deadline')
        : new NotSentError('the deadline passed in the send queue')
      this.#withdraw(request, wallNow)
      this.#fail(request, error)
    }
  }

  /** Takes out the messages and requests of which nothing has left. */
  takeUnsent(): Outgoing<Ticket>[] {
    const unsent = this.#parts.sender.takeUnsent()
    for (const { request } of unsent) if (request !== null) this.#pending.remove(request.id)
    return unsent
  }

  /** Goes on with what another muxer to the same peer had not sent; what has no room fails. */
  adopt(unsent: readonly Outgoing<Ticket>[], isUsable: boolean): void {
    for (const outgoing of unsent) {
      const { request } = outgoing
      const taken = isUsable && !this.#pending.isFull && this.#parts.sender.adopt(outgoing)
      if (request === null) {
        if (!taken) this.#components.counters.add('failed_sends')
      } else if (taken) this.#pending.add(request)
      else this.#fail(request, new NotSentError('no room on the connection that is left'))
    }
  }

  /** The connection is over. */
  end(error: SkeinError | null): void {
    for (const request of this.#pending.takeAll()) {
      const options = error === null ? {} : { cause: error }
      const reason = error?.message ?? 'closed'
      const failure = request.isSent
        ? new ConnectionLostError(`connection lost before the answer: ${reason}`, options)
        : new NotSentError(`never left: ${reason}`, options)
      this.#fail(request, failure)
    }
  }

  #withdraw(request: PendingRequest<Ticket>, wallNow: WallMs): void {
    if (request.isSent) this.#parts.sender.control(cancel, { request: request.id }, wallNow)
    else if (request.outgoing !== null) request.outgoing.cancelled = true
  }

  #fail(request: PendingRequest<Ticket>, error: SkeinError): void {
    this.#parts.emit({ kind: 'failed', ticket: request.ticket, error })
  }
}

/** What concerns a message and is not its body, beside a request's deadline; null: nothing. */
export function extensionOf(
  { group, trace, delivery }: Dispatch,
  deadlineMs?: number
): Extension | null {
  if (group === undefined && trace === undefined && delivery === undefined) return null
  return {
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(group === undefined ? {} : { group }),
    ...(trace === undefined ? {} : { trace }),
    ...(delivery === undefined ? {} : { delivery })
  }
}
