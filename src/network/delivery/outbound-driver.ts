import type { Config } from '../../core/config/schema.js'
import { NEVER } from '../../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  IndeterminateError,
  type SkeinError,
  UndeliveredError
} from '../../core/errors.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Random } from '../../core/ports/random.js'
import type { Address } from '../../core/ports/stream-network.js'
import { RemoteError } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { DeliveryLane, MessageDeclaration } from '../../wire/index.js'
import type { DeliveryCounters } from './delivery-counters.js'
import type { DeliveryTransport } from './delivery-port.js'
import { type DeliveryAck, type DeliveryFailure, deliveryFloor } from './messages.js'
import {
  type Delivery,
  type DeliveryOutcome,
  ReliableSender,
  type SenderSend
} from './reliable-sender.js'

/** Nodes that something was sent to. */
const sendersMax = 4_096

export interface OutboundComponents {
  readonly clock: Clock
  readonly random: Random
  readonly transport: DeliveryTransport
  readonly counters: DeliveryCounters
  readonly armTimer: (at: MonotonicMs) => void
}

export interface OutboundMessage {
  readonly declaration: MessageDeclaration<Uint8Array>
  readonly body: Uint8Array
  readonly lane: DeliveryLane
  readonly priority: number
  readonly deadline: MonotonicMs
  readonly address: Address | undefined
  readonly signal: AbortSignal | undefined
}

interface Ticket extends OutboundMessage {
  readonly settle: (error: SkeinError | null) => void
}

/** The sending half: one core for each node, and who waits for what became of a message. */
export class Outbound {
  readonly #components: OutboundComponents
  readonly #config: Config['delivery']
  readonly #senders = new Map<NodeId, ReliableSender<Ticket>>()
  readonly #hints = new Map<NodeId, Address>()
  /** Above every number that a sender which was forgotten has used. */
  #firstSequence = 1
  #isStopped = false

  constructor(components: OutboundComponents, config: Config['delivery']) {
    this.#components = components
    this.#config = config
  }

  /**
   * Resolves when the receiver has handled it.
   *
   * @throws BackpressureError, CancelledError, UndeliveredError: it was not handled
   * @throws IndeterminateError: it may have been handled
   * @throws RemoteError: with the code of what the handler threw
   */
  send(to: NodeId, message: OutboundMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = message
      if (signal?.aborted) {
        reject(new CancelledError('the caller cancelled the message before it was sent'))
        return
      }
      let onAbort: (() => void) | null = null
      const settle = (error: SkeinError | null) => {
        if (onAbort !== null) signal?.removeEventListener('abort', onAbort)
        if (error === null) resolve()
        else reject(error)
      }
      const sender = this.#senderOf(to)
      const delivery = sender && this.#offer(to, sender, { ...message, settle })
      if (sender === null || delivery === null) {
        this.#components.counters.add('backpressure_refusals')
        reject(new BackpressureError(`too much waits to be delivered to ${to}`, { nodeId: to }))
        return
      }
      onAbort = () => this.#cancel(to, sender, delivery)
      signal?.addEventListener('abort', onAbort)
      this.#carryOut(to, sender)
    })
  }

  handleOpened(nodeId: NodeId, epoch: number): void {
    const sender = this.#senders.get(nodeId)
    if (sender === undefined) return
    sender.handleOpened(epoch, this.#components.clock.now())
    this.#carryOut(nodeId, sender)
  }

  handleLost(nodeId: NodeId, isConnected: boolean): void {
    const sender = this.#senders.get(nodeId)
    if (sender === undefined) return
    sender.handleLost(isConnected, this.#components.clock.now())
    this.#carryOut(nodeId, sender)
  }

  handleAck(from: NodeId, said: DeliveryAck): void {
    this.#hear(from, said, (sender, now) => sender.handleAcknowledgement(said.receiver, said, now))
  }

  handleFailed(from: NodeId, said: DeliveryFailure): void {
    this.#hear(from, said, (sender, now) => sender.handleFailed(said.receiver, said, now))
  }

  handleTimeout(now: MonotonicMs): void {
    for (const [nodeId, sender] of this.#senders) {
      if (sender.nextDeadline() > now) continue
      sender.handleTimeout(now)
      this.#carryOut(nodeId, sender)
    }
  }

  nextDeadline(): MonotonicMs {
    let next: MonotonicMs = NEVER
    for (const sender of this.#senders.values()) {
      next = Math.min(next, sender.nextDeadline()) as MonotonicMs
    }
    return next
  }

  tellQueues(tell: TellQueue): void {
    tell('sendersMax', this.#senders.size, sendersMax)
    for (const sender of this.#senders.values()) sender.tellQueues(tell)
  }

  stop(): void {
    this.#isStopped = true
    for (const [nodeId, sender] of this.#senders) {
      sender.close('this node stops')
      this.#carryOut(nodeId, sender)
    }
  }

  #hear(
    from: NodeId,
    { sender: epoch }: { readonly sender: number },
    hear: (sender: ReliableSender<Ticket>, now: MonotonicMs) => boolean
  ): void {
    const { counters, clock, transport } = this.#components
    counters.add('acks_received')
    const sender = this.#senders.get(from)
    if (epoch !== transport.epoch || sender === undefined || !hear(sender, clock.now())) {
      counters.add('acks_ignored')
      return
    }
    this.#carryOut(from, sender)
  }

  #offer(to: NodeId, sender: ReliableSender<Ticket>, ticket: Ticket): Delivery<Ticket> | null {
    if (ticket.address !== undefined) this.#hints.set(to, ticket.address)
    const { lane, deadline, body } = ticket
    const init = { ticket, lane, deadline, sizeBytes: body.length }
    const delivery = sender.offer(init, this.#components.clock.now())
    if (delivery !== null) this.#components.counters.add('acked_sent')
    return delivery
  }

  #cancel(to: NodeId, sender: ReliableSender<Ticket>, delivery: Delivery<Ticket>): void {
    const mayHaveBeenHandled = sender.cancel(delivery, this.#components.clock.now())
    if (mayHaveBeenHandled === null) return
    delivery.ticket.settle(
      new CancelledError('the caller cancelled the message', {
        nodeId: to,
        details: { mayHaveBeenHandled }
      })
    )
    this.#carryOut(to, sender)
  }

  /** What the core wants done, until it wants nothing more. */
  #carryOut(to: NodeId, sender: ReliableSender<Ticket>): void {
    for (;;) {
      const { sendNow, emit } = sender.drain()
      if (sendNow.length === 0 && emit.length === 0) break
      for (const send of sendNow) this.#transmit(to, sender, send)
      for (const { ticket, outcome } of emit) ticket.settle(this.#judge(to, outcome))
    }
    this.#components.counters.add('retries', sender.takeRetries())
    if (sender.takeDial() && !this.#isStopped) {
      this.#components.transport.dial(to, this.#hints.get(to))
    }
    this.#components.armTimer(sender.nextDeadline())
  }

  #transmit(to: NodeId, sender: ReliableSender<Ticket>, send: SenderSend<Ticket>): void {
    const { transport, clock, counters } = this.#components
    if (send.kind === 'message') {
      const { declaration, body, priority } = send.delivery.ticket
      const dispatch = { priority, delivery: send.tag }
      if (!transport.sendTagged(to, declaration, body, dispatch)) {
        sender.handleRefused(send.delivery, clock.now())
      }
      return
    }
    const { receiver, lane, floor } = send
    counters.add('gaps_told')
    const said = { sender: transport.epoch, receiver, lane, floor }
    if (!transport.send(to, deliveryFloor, said)) sender.handleFloorRefused(lane, clock.now())
  }

  #judge(to: NodeId, outcome: DeliveryOutcome): SkeinError | null {
    const { counters } = this.#components
    switch (outcome.kind) {
      case 'handled':
        counters.add('acked_handled')
        return null
      case 'failed':
        counters.add('refused_by_handlers')
        return new RemoteError(outcome.facts)
      case 'undelivered':
        counters.add('undelivered')
        return new UndeliveredError(`not delivered to ${to}: ${outcome.reason}`, { nodeId: to })
      case 'unknown': {
        counters.add('indeterminate')
        const { reason, attempts, wasTaken } = outcome
        const message = `${to} may have handled it: ${reason} without its word`
        const details = { reason, attempts, wasTaken }
        return new IndeterminateError(message, { nodeId: to, details })
      }
    }
  }

  #senderOf(to: NodeId): ReliableSender<Ticket> | null {
    const known = this.#senders.get(to)
    if (known !== undefined) return known
    if (this.#isStopped) return null
    if (this.#senders.size >= sendersMax && !this.#forgetIdle()) return null
    const { random, transport, clock } = this.#components
    const { retriesMax, retryBackoffMs, deliveriesMax, deliveriesBytesMax } = this.#config
    const limits = { retriesMax, retryBackoffMs, deliveriesMax, deliveriesBytesMax }
    const sender = new ReliableSender<Ticket>(limits, random.split(to), this.#firstSequence)
    this.#senders.set(to, sender)
    const epoch = transport.epochOf(to)
    if (epoch !== null) sender.handleOpened(epoch, clock.now())
    return sender
  }

  /** Numbers are never used again: new cores begin above those of the forgotten. */
  #forgetIdle(): boolean {
    for (const [nodeId, sender] of this.#senders) {
      if (sender.length > 0) continue
      this.#firstSequence = Math.max(this.#firstSequence, sender.nextSequence)
      this.#senders.delete(nodeId)
      this.#hints.delete(nodeId)
    }
    return this.#senders.size < sendersMax
  }
}
