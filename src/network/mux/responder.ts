import { must } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  type ErrorFacts,
  InternalError,
  MessageTooLargeError,
  ProtocolError,
  RequestTimeoutError,
  type SkeinError
} from '../../core/errors.js'
import type { MonotonicMs, WallMs } from '../../core/ids.js'
import { Priorities, type Priority } from '../../core/ports/messenger.js'
import type { TellQueue } from '../../core/tell-queue.js'
import {
  type AssembledMessage,
  FrameFlags,
  type MessageDeclaration,
  type RequestDeclaration
} from '../../wire/index.js'
import type { BodyReader } from './body-reader.js'
import { errorAnswer } from './messages.js'
import type { MuxEvent } from './mux-events.js'
import type { Sender } from './sender.js'
import type { TransportCounters } from './transport-counters.js'

/** Answers that wait for room in the send queue; beyond it requests are refused. */
export const answersWaitingMax = 1_024

interface Serving {
  readonly declaration: RequestDeclaration<unknown, unknown>
  isCancelled: boolean
}

interface WaitingAnswer {
  readonly id: number
  readonly body: unknown
}

interface ResponderParts<Ticket> {
  readonly sender: Sender<Ticket>
  readonly bodies: BodyReader
  readonly emit: (event: MuxEvent<Ticket>) => void
  readonly counters: TransportCounters
}

/**
 * The peer's requests of one connection. An answer for which the send queue has no room waits where
 * its request is being served, not encoded, until others have left.
 *
 * Where a method answers a boolean, false means that the peer does not read its answers, and the
 * connection has to be given up.
 */
export class Responder<Ticket> {
  readonly #parts: ResponderParts<Ticket>
  readonly #servedMax: number
  readonly #serving = new Map<number, Serving>()
  /** Of each priority, in the order in which they were given. */
  readonly #waiting: readonly WaitingAnswer[][] = Object.values(Priorities).map(() => [])
  #waitingCount = 0

  constructor(parts: ResponderParts<Ticket>, servedMax: number) {
    this.#parts = parts
    this.#servedMax = servedMax
  }

  get size(): number {
    return this.#serving.size
  }

  tellQueues(tell: TellQueue): void {
    tell('transport.requestsServedMax', this.#serving.size, this.#servedMax)
    tell('answersWaitingMax', this.#waitingCount, answersWaitingMax + this.#servedMax)
  }

  handleRequest(
    message: AssembledMessage,
    declaration: RequestDeclaration<unknown, unknown>,
    now: MonotonicMs,
    wallNow: WallMs
  ): boolean {
    const { bodies, counters, emit } = this.#parts
    const id = message.header.messageId
    if (this.#serving.has(id)) throw new ProtocolError(`request ${id} is being served already`)
    const served = this.#serving.size
    if (served >= this.#servedMax) {
      counters.add('backpressure_refusals')
      return this.reject(id, new BackpressureError(`${served} requests are being served`), wallNow)
    }
    if (this.#waitingCount >= answersWaitingMax) {
      counters.add('backpressure_refusals')
      const message = `${this.#waitingCount} answers wait to be read`
      return this.reject(id, new BackpressureError(message), wallNow)
    }
    const body = bodies.readAny(message, declaration)
    const deadlineMs = message.extension?.deadlineMs
    if (deadlineMs === 0) {
      const error = new RequestTimeoutError('the deadline had passed on arrival')
      return this.reject(id, error, wallNow)
    }
    this.#serving.set(id, { declaration, isCancelled: false })
    counters.add('requests_served')
    const deadline = deadlineMs === undefined ? null : after(now, deadlineMs)
    const group = message.extension?.group ?? null
    const trace = message.extension?.trace ?? null
    emit({ kind: 'request', id, declaration, body, deadline, group, trace })
    return true
  }

  handleCancel(id: number): void {
    const serving = this.#serving.get(id)
    if (serving === undefined || serving.isCancelled) return
    serving.isCancelled = true
    this.#parts.emit({ kind: 'cancelled', id })
  }

  answer(id: number, body: unknown, wallNow: WallMs): boolean {
    const serving = this.#serving.get(id)
    if (serving === undefined) return true
    const { priority } = serving.declaration.response
    const waiting = this.#waitingOf(priority)
    if (serving.isCancelled || (waiting.length === 0 && this.#parts.sender.hasRoom(priority))) {
      return this.#answerNow(id, body, wallNow)
    }
    waiting.push({ id, body })
    this.#waitingCount++
    return true
  }

  /** Messages have left: answers that wait take their room. */
  pump(wallNow: WallMs): boolean {
    if (this.#waitingCount === 0) return true
    let isRead = true
    for (const priority of Object.values(Priorities)) {
      const waiting = this.#waitingOf(priority)
      let count = 0
      for (; count < waiting.length && this.#parts.sender.hasRoom(priority); count++) {
        const { id, body } = waiting[count] as WaitingAnswer
        isRead = this.#answerLate(id, body, wallNow) && isRead
      }
      if (count > 0) waiting.splice(0, count)
      this.#waitingCount -= count
    }
    return isRead
  }

  answerError(id: number, facts: ErrorFacts, wallNow: WallMs): boolean {
    const serving = this.#take(id)
    if (serving === null) return true
    return this.#force(errorAnswer, facts, id, serving.declaration.priority, wallNow)
  }

  /** An answer without having served. */
  reject(messageId: number, error: SkeinError, wallNow: WallMs): boolean {
    return this.#force(errorAnswer, error.toFacts(), messageId, errorAnswer.priority, wallNow)
  }

  /** The connection is over. */
  end(): void {
    for (const [id, serving] of [...this.#serving].sort(([a], [b]) => a - b)) {
      if (!serving.isCancelled) this.#parts.emit({ kind: 'cancelled', id })
    }
    this.#serving.clear()
    for (const waiting of this.#waiting) waiting.length = 0
    this.#waitingCount = 0
  }

  #waitingOf(priority: Priority): WaitingAnswer[] {
    return must(this.#waiting[priority], 'priority')
  }

  #answerNow(id: number, body: unknown, wallNow: WallMs): boolean {
    const serving = this.#take(id)
    if (serving === null) return true
    const { response } = serving.declaration
    try {
      return this.#force(response, body, id, response.priority, wallNow)
    } catch (error) {
      if (!(error instanceof MessageTooLargeError)) throw error
      return this.#force(errorAnswer, error.toFacts(), id, response.priority, wallNow)
    }
  }

  /** Who gave the answer is not there any more to hear that it cannot be encoded. */
  #answerLate(id: number, body: unknown, wallNow: WallMs): boolean {
    try {
      return this.#answerNow(id, body, wallNow)
    } catch (cause) {
      const error = new InternalError('the answer cannot be encoded', { cause })
      return this.reject(id, error, wallNow)
    }
  }

  #take(id: number): Serving | null {
    const serving = this.#serving.get(id)
    if (serving === undefined) return null
    this.#serving.delete(id)
    return serving.isCancelled ? null : serving
  }

  #force<Body>(
    declaration: MessageDeclaration<Body>,
    body: Body,
    messageId: number,
    priority: number,
    wallNow: WallMs
  ): boolean {
    const envelope = {
      flags: FrameFlags.Response,
      priority,
      messageId,
      extension: null,
      request: null
    }
    return this.#parts.sender.force(declaration, body, envelope, wallNow)
  }
}
