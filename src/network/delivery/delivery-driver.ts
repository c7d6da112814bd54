import { InvariantError } from '../../core/assert.js'
import type { ClusterMessage, ClusterRequest } from '../../core/cluster-message.js'
import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  type BroadcastOptions,
  type BroadcastReport,
  type MessageHandler,
  type ReceivedMessage,
  Reliabilities,
  type RequestMessageOptions,
  type SendMessageOptions
} from '../../core/delivery.js'
import {
  BackpressureError,
  ConnectionLostError,
  IndeterminateError,
  InvalidArgumentError,
  MessageTooLargeError,
  NotSentError,
  RequestTimeoutError
} from '../../core/errors.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { messageSizeBytesMax } from '../../core/limits.js'
import type { Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound, MessageType } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type { TellQueue } from '../../core/tell-queue.js'
import {
  ByteWriter,
  type Catalogue,
  type Codec,
  DeliveryLanes,
  encodedMessageRoomBytes,
  type MessageDeclaration
} from '../../wire/index.js'
import { InboundView } from '../pool/inbound.js'
import { broadcastTo } from './broadcast-driver.js'
import { createDeliveryCounters, type DeliveryCounters } from './delivery-counters.js'
import type { DeliveryTransport, TaggedArrival } from './delivery-port.js'
import { InboundSessions, isPromise } from './inbound-sessions-driver.js'
import { deliveryAck, deliveryFailed, deliveryFloor } from './messages.js'
import { Outbound } from './outbound-driver.js'

/** A sender may go on with a message for so long; receivers forget it only later. */
const deliveryTimeoutMsMax = 600_000

export interface DeliveryComponents {
  readonly self: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly transport: DeliveryTransport
  readonly catalogue: Catalogue
  readonly logger: Logger
}

/**
 * Messages between nodes as `sendMessage` and `onMessage` promise them. What is to be
 * acknowledged is encoded once, when it is sent: a retry carries the same bytes whatever the
 * caller does to the body meanwhile.
 */
export class DeliveryDriver {
  readonly counters: DeliveryCounters = createDeliveryCounters()
  readonly #components: DeliveryComponents
  readonly #config: Config['delivery']
  readonly #outbound: Outbound
  readonly #inbound: InboundSessions
  readonly #timer: DeadlineTimer
  readonly #writer = new ByteWriter(encodedMessageRoomBytes)
  /** The declarations of messages whose bodies are encoded already. */
  readonly #encoded = new Map<number, MessageDeclaration<Uint8Array>>()
  #armedAt: MonotonicMs = NEVER

  constructor(components: DeliveryComponents, config: Config['delivery']) {
    this.#components = components
    this.#config = config
    const { clock, random, transport, logger } = components
    const armTimer = (at: MonotonicMs) => this.#arm(at)
    const { counters } = this
    this.#timer = new DeadlineTimer(clock, (now) => this.#handleTimeout(now))
    this.#outbound = new Outbound({ clock, random, transport, counters, armTimer }, config)
    this.#inbound = new InboundSessions({ clock, transport, counters, logger, armTimer }, config)
    this.#subscribe()
  }

  /**
   * `none`: resolves when it is queued. `acked`, `ordered`: when the receiver has handled it.
   *
   * @throws BackpressureError, NotSentError, UndeliveredError, CancelledError: not handled
   * @throws IndeterminateError: it may have been handled
   * @throws RemoteError: the handler threw, or the receiver has none; its code says which
   */
  async send<Body>(
    to: NodeId,
    { type, body }: ClusterMessage<Body>,
    options: SendMessageOptions = {}
  ): Promise<void> {
    const declaration = this.#declarationOf(type)
    const { reliability = Reliabilities.Acked, priority = declaration.priority } = options
    const deadline = this.#deadlineOf(options.timeoutMs)
    if (reliability === Reliabilities.None) {
      this.#sendUnacknowledged(to, declaration, body, { ...options, priority })
      return
    }
    const isOrdered = reliability === Reliabilities.Ordered
    await this.#outbound.send(to, {
      declaration: this.#encodedOf(declaration),
      body: this.#encode(declaration, body),
      lane: isOrdered ? DeliveryLanes.Ordered : DeliveryLanes.Acked,
      priority,
      deadline,
      address: options.address,
      signal: options.signal
    })
  }

  /** To every member that can be reached; never rejects for the sake of one. */
  broadcast<Body>(
    message: ClusterMessage<Body>,
    members: readonly Member[],
    options: BroadcastOptions = {}
  ): Promise<BroadcastReport> {
    this.counters.add('broadcasts')
    const { reliability = Reliabilities.Acked } = options
    const send = (to: NodeId) => this.send(to, message, options)
    return broadcastTo(members, this.#components.self, reliability, send)
  }

  /**
   * @throws NotSentError, BackpressureError: it was not executed
   * @throws IndeterminateError: it left, and no answer came
   * @throws RemoteError: with the code of what the handler threw
   */
  async request<Body, Answer>(
    to: NodeId,
    { type, body }: ClusterRequest<Body, Answer>,
    { timeoutMs, ...options }: RequestMessageOptions = {}
  ): Promise<Answer> {
    const deadline = this.#deadlineOf(timeoutMs)
    try {
      return await this.#components.transport.request(to, type, body, { ...options, deadline })
    } catch (error) {
      if (error instanceof RequestTimeoutError || error instanceof ConnectionLostError) {
        const message = `${to} may have executed it: ${error.message}`
        throw new IndeterminateError(message, { nodeId: to, cause: error })
      }
      throw error
    }
  }

  /** One handler for each type; a later one takes the place of the earlier. */
  onMessage<Body>(type: MessageType<Body>, handle: MessageHandler<Body>): void {
    const { transport, logger } = this.#components
    const { name } = this.#declarationOf(type)
    transport.onMessage(type, (inbound) => {
      const message = new Received(inbound, Reliabilities.None, 0)
      const handling = handle(message)
      if (!isPromise(handling)) return
      handling.catch((error: unknown) => {
        this.counters.add('handler_failures')
        logger.error({ error, message: name }, 'a message handler threw')
      })
    })
    this.#inbound.setHandler(type.number, (arrival, skipped) =>
      handle(receivedOf<Body>(arrival, skipped))
    )
  }

  onRequest: DeliveryTransport['onRequest'] = (type, handle) =>
    this.#components.transport.onRequest(type, handle)

  tellQueues(tell: TellQueue): void {
    this.#outbound.tellQueues(tell)
    this.#inbound.tellQueues(tell)
  }

  /** Whoever waits is told; nothing more is handled. */
  stop(): void {
    this.#timer.stop()
    this.#inbound.stop()
    this.#outbound.stop()
  }

  #subscribe(): void {
    const { transport } = this.#components
    transport.setDelivery({
      onOpened: (nodeId, epoch) => {
        this.#inbound.handleOpened(nodeId, epoch)
        this.#outbound.handleOpened(nodeId, epoch)
      },
      onLost: (nodeId, isConnected) => this.#outbound.handleLost(nodeId, isConnected),
      onArrival: (arrival) => this.#inbound.handleArrival(arrival),
      onUndeliverable: (at, error) => this.#inbound.handleUndeliverable(at, error)
    })
    transport.onMessage(deliveryAck, ({ from, body }) => this.#outbound.handleAck(from, body))
    transport.onMessage(deliveryFailed, ({ from, body }) => this.#outbound.handleFailed(from, body))
    transport.onMessage(deliveryFloor, ({ from, body }) => this.#inbound.handleFloor(from, body))
  }

  #sendUnacknowledged<Body>(
    to: NodeId,
    type: MessageDeclaration<Body>,
    body: Body,
    options: SendMessageOptions
  ): void {
    const { transport } = this.#components
    const { priority, address } = options
    const sendOptions = {
      ...(priority === undefined ? {} : { priority }),
      ...(address === undefined ? {} : { address })
    }
    if (transport.send(to, type, body, sendOptions)) return
    if (transport.isConnected(to)) {
      throw new BackpressureError(`the send queue to ${to} is full`, { nodeId: to })
    }
    throw new NotSentError(`${to} cannot be reached now`, { nodeId: to })
  }

  /** @throws InvalidArgumentError, MessageTooLargeError */
  #encode<Body>({ name, codec }: MessageDeclaration<Body>, body: Body): Uint8Array {
    const writer = this.#writer
    writer.reset()
    try {
      codec.write(writer, body)
    } catch (error) {
      if (!(error instanceof InvariantError || error instanceof TypeError)) throw error
      throw new InvalidArgumentError('message', `no body of ${name}: ${error.message}`)
    }
    if (writer.length > messageSizeBytesMax) {
      const size = `message of ${writer.length} bytes`
      throw new MessageTooLargeError(`${size}, at most ${messageSizeBytesMax} allowed`)
    }
    return writer.take()
  }

  /** @throws InvalidArgumentError: it is not a one-way message that this node can speak */
  #declarationOf<Body>(type: MessageType<Body>): MessageDeclaration<Body> {
    const declaration = this.#components.catalogue.byNumber(type.number)
    if (declaration?.kind === 'oneWay' && declaration.name === type.name) {
      return declaration as unknown as MessageDeclaration<Body>
    }
    throw new InvalidArgumentError('type', `${type.name} is no one-way message of this node`)
  }

  #encodedOf(declaration: MessageDeclaration<never> | MessageDeclaration<unknown>) {
    const known = this.#encoded.get(declaration.number)
    if (known !== undefined) return known
    const encoded = { ...declaration, codec: encodedBody } as MessageDeclaration<Uint8Array>
    this.#encoded.set(declaration.number, encoded)
    return encoded
  }

  #deadlineOf(timeoutMs = this.#config.timeoutMs): MonotonicMs {
    if (!(timeoutMs > 0 && timeoutMs <= deliveryTimeoutMsMax)) {
      throw new InvalidArgumentError('timeoutMs', `must be above 0, to ${deliveryTimeoutMsMax}`)
    }
    return after(this.#components.clock.now(), timeoutMs)
  }

  #handleTimeout(now: MonotonicMs): void {
    this.#armedAt = NEVER
    this.#outbound.handleTimeout(now)
    this.#inbound.handleTimeout(now)
    this.#arm(Math.min(this.#outbound.nextDeadline(), this.#inbound.nextDeadline()) as MonotonicMs)
  }

  /** Earlier than the truth at most: then there is nothing to do. */
  #arm(at: MonotonicMs): void {
    if (at >= this.#armedAt) return
    this.#armedAt = at
    this.#timer.arm(at)
  }
}

/** Bytes as they stand. */
const encodedBody: Codec<Uint8Array> = {
  spec: { kind: 'opaque' },
  write: (writer, bytes) => writer.raw(bytes),
  read: (reader) => reader.raw(reader.remaining)
}

class Received<Body> implements ReceivedMessage<Body> {
  readonly reliability: ReceivedMessage<Body>['reliability']
  readonly skipped: number
  readonly #inbound: Inbound<Body>

  constructor(
    inbound: Inbound<Body>,
    reliability: ReceivedMessage<Body>['reliability'],
    skipped: number
  ) {
    this.#inbound = inbound
    this.reliability = reliability
    this.skipped = skipped
  }

  get from(): NodeId {
    return this.#inbound.from
  }

  get peer(): Inbound<Body>['peer'] {
    return this.#inbound.peer
  }

  get body(): Body {
    return this.#inbound.body
  }

  get deadline(): MonotonicMs | null {
    return this.#inbound.deadline
  }

  get signal(): AbortSignal {
    return this.#inbound.signal
  }
}

function receivedOf<Body>(arrival: TaggedArrival, skipped: number): ReceivedMessage<Body> {
  const { peer, tag } = arrival
  const isOrdered = tag.lane === DeliveryLanes.Ordered
  const reliability = isOrdered ? Reliabilities.Ordered : Reliabilities.Acked
  const body = arrival.body as Body
  return new Received(new InboundView(peer, body, null), reliability, skipped)
}
