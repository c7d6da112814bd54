import { InvariantError, must } from '../../core/assert.js'
import { InternalError, SkeinError } from '../../core/errors.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound } from '../../core/ports/messenger.js'
import type { Tracer } from '../../core/ports/tracer.js'
import { factsOf } from '../../core/remote-error.js'
import { traced, tracedNow } from '../../core/traced-driver.js'
import { unhandled } from '../delivery/unhandled.js'
import type { TransportCounters } from '../mux/transport-counters.js'
import type { Connection, InboundMessage, InboundRequest } from './connection-driver.js'
import { InboundView } from './inbound.js'

type MessageHandler = (inbound: Inbound<unknown>) => void
type RequestHandler = (inbound: Inbound<unknown>) => Promise<unknown>

/** Hands received messages to who asked for them, and answers back. */
export class Dispatcher {
  readonly #logger: Logger
  readonly #counters: TransportCounters
  readonly #tracer: Tracer | null
  /** Rooms still register what they handle. */
  isStarting = false
  readonly #messages = new Map<number, MessageHandler>()
  readonly #requests = new Map<number, RequestHandler>()

  constructor(logger: Logger, counters: TransportCounters, tracer: Tracer | null = null) {
    this.#logger = logger
    this.#counters = counters
    this.#tracer = tracer
  }

  setMessageHandler(number: number, handle: MessageHandler): void {
    this.#messages.set(number, handle)
  }

  setRequestHandler(number: number, handle: RequestHandler): void {
    this.#requests.set(number, handle)
  }

  handleMessage(connection: Connection, message: InboundMessage): void {
    const { number, name } = message.declaration
    const handle = this.#messages.get(number)
    if (handle === undefined) {
      this.#counters.add('unknown_messages')
      connection.reject(message, unhandled(name, this.isStarting))
      return
    }
    try {
      this.#tell(
        handle,
        new InboundView(must(connection.peer, 'peer'), message.body, null),
        message
      )
    } catch (error) {
      if (error instanceof InvariantError) throw error
      this.#logger.error({ error, message: name }, 'a message handler threw')
    }
  }

  handleRequest(connection: Connection, request: InboundRequest): void {
    const { id, declaration, body, deadline } = request
    const handle = this.#requests.get(declaration.number)
    if (handle === undefined) {
      this.#counters.add('unknown_messages')
      const error = unhandled(declaration.name, this.isStarting)
      connection.answerError(id, error.toFacts())
      return
    }
    const inbound = new InboundView(must(connection.peer, 'peer'), body, deadline)
    connection.serving.set(id, inbound)
    this.#start(handle, inbound, request).then(
      (answer) => {
        connection.serving.delete(id)
        this.#answer(connection, request, answer)
      },
      (error: unknown) => {
        connection.serving.delete(id)
        this.#answerError(connection, request, error)
      }
    )
  }

  #start(
    handle: RequestHandler,
    inbound: Inbound<unknown>,
    { declaration, trace }: InboundRequest
  ): Promise<unknown> {
    if (this.#tracer === null) return start(handle, inbound)
    // A socket that was made in somebody's trace reads in it.
    if (trace === null) return this.#tracer.outside(() => start(handle, inbound))
    const span = spanOf(declaration.name, inbound, trace)
    return traced(this.#tracer, span.name, span, () => start(handle, inbound))
  }

  #tell(
    handle: MessageHandler,
    inbound: Inbound<unknown>,
    { declaration, trace }: InboundMessage
  ): void {
    if (this.#tracer === null) {
      handle(inbound)
      return
    }
    if (trace === null) {
      this.#tracer.outside(() => handle(inbound))
      return
    }
    const span = spanOf(declaration.name, inbound, trace)
    tracedNow(this.#tracer, span.name, span, () => handle(inbound))
  }

  #answer(connection: Connection, request: InboundRequest, answer: unknown): void {
    try {
      connection.answer(request.id, answer)
    } catch (error) {
      this.#logger.error({ error, message: request.declaration.name }, 'answer not encodable')
      const { name } = request.declaration
      connection.answerError(
        request.id,
        new InternalError(`the answer to ${name} cannot be encoded`, { cause: error }).toFacts()
      )
    }
  }

  #answerError(connection: Connection, request: InboundRequest, error: unknown): void {
    if (!(error instanceof SkeinError)) {
      this.#logger.error({ error, message: request.declaration.name }, 'a request handler threw')
    }
    connection.answerError(request.id, factsOf(error))
  }
}

/** A handler that throws before its first await is like one that rejects. */
function start(handle: RequestHandler, inbound: Inbound<unknown>): Promise<unknown> {
  try {
    return handle(inbound)
  } catch (error) {
    return Promise.reject(error)
  }
}

const spanOf = (message: string, { from }: Inbound<unknown>, parent: Uint8Array) => ({
  name: `handle ${message}`,
  kind: 'server' as const,
  attributes: { 'skein.message': message, 'skein.peer': from },
  parent
})
