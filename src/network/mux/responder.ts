import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  type ErrorFacts,
  MessageTooLargeError,
  ProtocolError,
  RequestTimeoutError,
  type SkeinError
} from '../../core/errors.js'
import type { MonotonicMs, WallMs } from '../../core/ids.js'
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

interface Serving {
  readonly declaration: RequestDeclaration<unknown, unknown>
  isCancelled: boolean
}

interface ResponderParts<Ticket> {
  readonly sender: Sender<Ticket>
  readonly bodies: BodyReader
  readonly emit: (event: MuxEvent<Ticket>) => void
  readonly counters: TransportCounters
}

/**
 * The peer's requests of one connection. Where a method answers a boolean, false means that the
 * peer does not read its answers, and the connection has to be given up.
 */
export class Responder<Ticket> {
  readonly #parts: ResponderParts<Ticket>
  readonly #servedMax: number
  readonly #serving = new Map<number, Serving>()

  constructor(parts: ResponderParts<Ticket>, servedMax: number) {
    this.#parts = parts
    this.#servedMax = servedMax
  }

  get size(): number {
    return this.#serving.size
  }

  tellQueues(tell: TellQueue): void {
    tell('transport.requestsServedMax', this.#serving.size, this.#servedMax)
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
