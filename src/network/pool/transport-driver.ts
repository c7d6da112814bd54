/**
 * Messages by node id over byte streams: the messenger of the house. It owns a `Peer` for each
 * node that was talked to, hands received messages to their handlers, and tells who is connected.
 *
 * A message to one's own node takes the same way over a loopback stream. Clients may connect,
 * send what their role allows, and are answered; nothing is started towards them.
 *
 * The same driver is a client's messenger: it dials nodes and is never started, so nobody dials it.
 */
import { assert, must } from '../../core/assert.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  CancelledError,
  ConnectionLostError,
  NotSentError,
  PeerIdentityError,
  type SkeinError,
  StoppedError
} from '../../core/errors.js'
import type { TransportEvent } from '../../core/events.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { PeerJudge } from '../../core/ports/credentials.js'
import {
  type Inbound,
  type MessageType,
  type Messenger,
  Priorities,
  type Priority,
  type RequestOptions,
  type RequestType,
  type SendOptions
} from '../../core/ports/messenger.js'
import type { Address, ByteStream, StreamListener } from '../../core/ports/stream-network.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { traced } from '../../core/traced-driver.js'
import {
  type AnyDeclaration,
  type DeliveryTag,
  isCustom,
  isRequest,
  type MessageDeclaration,
  type RequestDeclaration
} from '../../wire/index.js'
import type { DeliveryHooks, DeliveryTransport } from '../delivery/delivery-port.js'
import type { PeerFacts } from '../mux/mux-events.js'
import { createTransportCounters, type TransportCounters } from '../mux/transport-counters.js'
import { Relays } from '../relay/relay-driver.js'
import { ChannelPool } from './channel-pool-driver.js'
import { ChannelsDriver } from './channels-driver.js'
import type { Connection, ConnectionHandlers, InboundMessage } from './connection-driver.js'
import { ConnectionFactory } from './connection-factory-driver.js'
import { Dispatcher } from './dispatcher-driver.js'
import { senderOf } from './inbound.js'
import { LinkRenewals } from './link-renewals-driver.js'
import { type ConnectionRole, Peer, sortedPeers } from './peer-driver.js'
import type { CutConnection, TransportComponents, TransportOptions } from './transport-options.js'
import { TransportTells } from './transport-tells.js'

/** How long `stop` waits for connections to come to rest. */
const stopTimeoutMs = 5_000
/** In intervals of keep-alive: a way round that is silent so much longer than the direct one. */
const relaySilenceFactor = 2

interface DialWaiter {
  resolve(nodeId: NodeId): void
  reject(error: SkeinError): void
}

export class TransportDriver implements Messenger, DeliveryTransport {
  readonly channels: ChannelsDriver
  readonly counters: TransportCounters = createTransportCounters()
  readonly epoch: number
  readonly #components: TransportComponents
  readonly #options: TransportOptions
  readonly #selfId: NodeId
  readonly #factory: ConnectionFactory
  readonly #dispatcher: Dispatcher
  readonly #peers = new Map<NodeId, Peer>()
  readonly #owners = new Map<Connection, Peer>()
  readonly #inbound = new Set<Connection>()
  readonly #dialWaiters = new Map<Connection, DialWaiter>()
  readonly #tells: TransportTells
  #delivery: DeliveryHooks | null = null
  readonly #renewals: LinkRenewals
  #loopback: Connection | null = null
  readonly #loopbackChannels: ChannelPool
  readonly #relays: Relays
  #listener: StreamListener | null = null
  #handshakes = 0
  #isStopped = false
  #onAllDone: (() => void) | null = null

  constructor(components: TransportComponents, options: TransportOptions) {
    this.#components = components
    this.#options = options
    const { identity, config } = options
    this.#selfId = senderOf(identity)
    this.#tells = new TransportTells(components.logger, this.counters, options.sameIdentity)
    this.#factory = new ConnectionFactory(
      { ...components, counters: this.counters },
      options,
      this.#handlersOfConnections
    )
    this.epoch = this.#factory.epoch
    this.#dispatcher = new Dispatcher(components.logger, this.counters, components.tracer ?? null)
    const { clock, logger } = components
    this.#renewals = new LinkRenewals(
      { clock, random: components.random.split('link age') },
      options.linkAgeMaxMs ?? 0,
      (connection) => this.#renew(connection)
    )
    this.channels = new ChannelsDriver({
      clock,
      logger,
      poolOf: (to, hint) => this.#channelPoolOf(to, hint)
    })
    const { addressOf, streams } = components
    const { channels, counters } = this
    this.#relays = new Relays(
      { clock, logger, channels, streams, counters, addressOf },
      { ...config, self: this.#selfId }
    )
    this.#loopbackChannels = new ChannelPool(
      {
        clock,
        random: components.random.split('loopback'),
        main: () => (this.#isStopped ? null : this.#loopbackConnection()),
        dial: null
      },
      config
    )
  }

  async start(): Promise<{ readonly address: Address }> {
    const listenAddress = must(this.#options.listenAddress, 'listen address')
    const listener = await this.#components.streams.listen(listenAddress, (stream) =>
      this.#accept(stream)
    )
    this.#listener = listener
    return { address: listener.address }
  }

  /** Starts nothing new, finishes what is under way for at most five seconds, then closes. */
  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#renewals.stop()
    const closed = this.#listener?.close()
    for (const peer of sortedPeers(this.#peers)) peer.retire()
    this.#loopbackChannels.retire()
    for (const connection of this.#factory.live) connection.retire('stopping')
    await this.#allDone()
    await closed
  }

  send<Body>(to: NodeId, type: MessageType<Body>, body: Body, options: SendOptions = {}): boolean {
    const declaration = this.#declarationOf(type)
    const priority = options.priority ?? declaration.priority
    const connection = this.#connectionTo(to, priority, options)
    // Rooms' own messages are for many traces at once, and so for none.
    const trace = isCustom(type) ? this.#activeTrace() : undefined
    const dispatch = { priority, group: options.group, trace }
    const queued = connection?.send(declaration, body, dispatch) ?? false
    if (!queued) this.counters.add('failed_sends')
    return queued
  }

  get isStarting(): boolean {
    return this.#dispatcher.isStarting
  }

  /** Until the rooms have started, who asks for what nobody handles yet is told so. */
  setStarting(isStarting: boolean): void {
    this.#dispatcher.isStarting = isStarting
  }

  epochOf(nodeId: NodeId): number | null {
    return this.#openConnectionTo(nodeId)?.facts?.epoch ?? null
  }

  dial(nodeId: NodeId, hint?: Address): void {
    this.#connectionTo(nodeId, Priorities.Normal, hint === undefined ? {} : { address: hint })
  }

  setDelivery(hooks: DeliveryHooks): void {
    this.#delivery = hooks
  }

  sendTagged<Body>(
    to: NodeId,
    declaration: MessageDeclaration<Body>,
    body: Body,
    dispatch: { readonly priority: number; readonly delivery: DeliveryTag }
  ): boolean {
    const connection = this.#openConnectionTo(to)
    if (connection?.facts?.epoch !== dispatch.delivery.receiver) return false
    return connection.send(declaration, body, dispatch)
  }

  request<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    options: RequestOptions
  ): Promise<Answer> {
    const { tracer } = this.#components
    // What is not part of anybody's trace, such as our own measurements, begins none.
    if (!tracer || tracer.activeContext() === null) {
      return this.#requestAnswer(to, type, body, options)
    }
    const span = {
      kind: 'client' as const,
      attributes: { 'skein.message': type.name, 'skein.peer': to }
    }
    return traced(tracer, `request ${type.name}`, span, () =>
      this.#requestAnswer(to, type, body, options)
    )
  }

  #requestAnswer<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    options: RequestOptions
  ): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      try {
        this.#request(to, this.#declarationOf(type), body, options, {
          resolve: resolve as (body: unknown) => void,
          reject
        })
      } catch (error) {
        this.counters.add('failed_sends')
        reject(error)
      }
    })
  }

  onMessage<Body>(type: MessageType<Body>, handle: (inbound: Inbound<Body>) => void): void {
    this.#declarationOf(type)
    this.#dispatcher.setMessageHandler(type.number, handle as (inbound: Inbound<unknown>) => void)
  }

  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void {
    this.#declarationOf(type)
    this.#dispatcher.setRequestHandler(
      type.number,
      handle as (inbound: Inbound<unknown>) => Promise<unknown>
    )
  }

  onPeer(handle: (change: { nodeId: NodeId; connected: boolean }) => void): void {
    this.#tells.onPeer(handle)
  }

  tellQueues(tell: TellQueue): void {
    for (const { muxer } of this.#factory.live) muxer.tellQueues(tell)
    for (const peer of this.#peers.values()) peer.channels.tellQueues(tell)
    const { relaysServedMax } = this.#options.config
    tell('transport.relaysServedMax', this.#relays.served, relaysServedMax)
  }

  onEvent(handle: (event: TransportEvent) => void): void {
    this.#tells.onEvent(handle)
  }

  isConnected(to: NodeId): boolean {
    if (to === this.#selfId) return !this.#isStopped
    return this.#peers.get(to)?.isConnected ?? false
  }

  /** Bytes to and from a node over its present connections; null: there is none. */
  trafficOf(nodeId: NodeId): { readonly bytesSent: number; readonly bytesReceived: number } | null {
    let total: { bytesSent: number; bytesReceived: number } | null = null
    for (const { peer, traffic } of this.#factory.live) {
      if (peer?.kind !== 'node' || peer.nodeId !== nodeId) continue
      total ??= { bytesSent: 0, bytesReceived: 0 }
      total.bytesSent += traffic.bytesSent
      total.bytesReceived += traffic.bytesReceived
    }
    return total
  }

  /** The direct path to `target` is to be taken again. */
  endDetour(target: NodeId): void {
    this.#peers.get(target)?.relayed.end()
  }

  /** Ends every open connection whose peer the judge has a reason against. */
  cut(judge: PeerJudge): CutConnection[] {
    const cuts: CutConnection[] = []
    for (const connection of [...this.#factory.live]) {
      const { peer, certificate, remoteAddress: address } = connection
      if (peer === null || certificate === null) continue
      const reason = judge(peer, certificate)
      if (reason === null) continue
      cuts.push({ peer, certificate, address, reason })
      this.counters.add('connections_cut')
      connection.cut(new PeerIdentityError(reason))
    }
    return cuts
  }

  /** Replaces every open connection soon, so that each certificate is judged by what holds now. */
  renewAll(): void {
    this.#renewals.renewAll()
  }

  /**
   * Connects to whoever answers at a seed address, and tells who it was; one's own address
   * answers one's own id.
   *
   * @throws DialFailedError, PeerIdentityError, HandshakeRefusedError, ConnectionLostError
   */
  async dialAddress(address: Address, deadline: MonotonicMs): Promise<NodeId> {
    if (this.#isStopped) throw new StoppedError('the transport has stopped')
    const stream = await this.#components.streams.dial(address, { expectedNodeId: null, deadline })
    if (stream.peer.kind !== 'node' || this.#isStopped) {
      stream.destroy()
      throw new PeerIdentityError(`no node of this cluster answers at ${address}`)
    }
    const { nodeId } = stream.peer
    const isSelf = nodeId === this.#selfId
    if (isSelf || this.#peerOf(nodeId).isGreeted) {
      stream.destroy()
      return nodeId
    }
    return new Promise((resolve, reject) => {
      const peer = this.#peerOf(nodeId)
      const connection = this.#createConnection(true)
      this.#dialWaiters.set(connection, { resolve, reject })
      this.#owners.set(connection, peer)
      peer.take(connection, stream)
    })
  }

  #request(
    to: NodeId,
    declaration: AnyDeclaration,
    body: unknown,
    options: RequestOptions,
    waiter: { resolve: (body: unknown) => void; reject: (error: SkeinError) => void }
  ): void {
    const { signal, deadline, group } = options
    assert(isRequest(declaration), `${declaration.name} is no request`)
    if (signal?.aborted) throw new CancelledError('the caller cancelled the request')
    const priority = options.priority ?? declaration.priority
    const connection = this.#connectionTo(to, priority, options)
    if (connection === null) throw this.#notSent(to)
    const dispatch = { priority, deadline, group, trace: this.#activeTrace() }
    const request = declaration as RequestDeclaration<unknown, unknown>
    if (signal === undefined) {
      connection.request(request, body, dispatch, waiter)
      return
    }
    const onAbort = () => {
      const peers = this.#peers.get(to)?.connections ?? [connection]
      peers.some((candidate) => candidate.cancel(pending))
    }
    const pending = connection.request(request, body, dispatch, {
      resolve(answer) {
        signal.removeEventListener('abort', onAbort)
        waiter.resolve(answer)
      },
      reject(error) {
        signal.removeEventListener('abort', onAbort)
        waiter.reject(error)
      }
    })
    signal.addEventListener('abort', onAbort)
  }

  #activeTrace(): Uint8Array | undefined {
    return this.#components.tracer?.activeContext() ?? undefined
  }

  #notSent(to: NodeId): SkeinError {
    if (this.#isStopped) {
      return new NotSentError('the transport has stopped', { cause: new StoppedError('stopped') })
    }
    const known = this.#components.addressOf(to) !== undefined
    const reason = known ? 'the last dial failed, the pause is not over' : 'its address is unknown'
    return new NotSentError(`${to} is not reachable: ${reason}`, { nodeId: to })
  }

  #connectionTo(to: NodeId, priority: Priority, options: SendOptions): Connection | null {
    if (this.#isStopped) return null
    if (to === this.#selfId) return this.#loopbackConnection()
    const { address: hint, direct } = options
    const isKnown = this.#peers.has(to) || this.#components.addressOf(to) !== undefined
    if (!isKnown && hint === undefined) return null
    const peer = this.#peerOf(to)
    const isUrgent = priority <= Priorities.High && direct !== true
    return (isUrgent ? this.#detourTo(peer) : null) ?? peer.usable(hint)
  }

  /** The way round a path that is out; null: the direct one is to be taken. */
  #detourTo(peer: Peer): Connection | null {
    const relay = this.#components.relayFor?.(peer.nodeId) ?? null
    const found =
      relay === null ? (peer.isConnected ? null : peer.relayed.open()) : peer.relayed.usable(relay)
    if (found === null || this.#isBetter(peer.open, found)) return null
    this.counters.add('messages_relayed')
    return found
  }

  /**
   * Whether a direct connection is the one to take after all: the way round does not stand yet,
   * leads to a process that is gone, or has fallen silent beside it.
   */
  #isBetter(direct: Connection | null, relayed: Connection): boolean {
    if (direct === null) return false
    if (!relayed.muxer.isOpen) return true
    const aheadMs = direct.lastHeardAt - relayed.lastHeardAt
    if (direct.facts?.epoch !== relayed.facts?.epoch) return aheadMs > 0
    return aheadMs > relaySilenceFactor * this.#options.config.keepAliveIntervalMs
  }

  #channelPoolOf(to: NodeId, hint: Address | undefined): ChannelPool {
    if (this.#isStopped) throw this.#notSent(to)
    if (to === this.#selfId) return this.#loopbackChannels
    const isKnown = this.#peers.has(to) || this.#components.addressOf(to) !== undefined
    if (!isKnown && hint === undefined) throw this.#notSent(to)
    return this.#peerOf(to).channels
  }

  #openConnectionTo(to: NodeId): Connection | null {
    if (this.#isStopped) return null
    if (to !== this.#selfId) return this.#peers.get(to)?.open ?? null
    return this.#loopback?.muxer.isOpen ? this.#loopback : null
  }

  #loopbackConnection(): Connection {
    if (!this.#loopback?.muxer.isUsable) this.#loopback = this.#factory.createLoopback()
    return this.#loopback
  }

  #createConnection(isDialer: boolean, role?: ConnectionRole): Connection {
    return this.#factory.create(isDialer, role)
  }

  #peerOf(nodeId: NodeId): Peer {
    const known = this.#peers.get(nodeId)
    if (known !== undefined) return known
    const { clock, random, streams, addressOf } = this.#components
    const components = {
      clock,
      streams,
      addressOf,
      random: random.split(`peer ${nodeId}`),
      dialThrough: (relay: NodeId, target: NodeId, deadline: MonotonicMs) =>
        this.#relays.dialThrough(relay, target, deadline),
      counters: this.counters,
      createConnection: (isDialer: boolean, role?: ConnectionRole) => {
        const connection = this.#createConnection(isDialer, role)
        this.#owners.set(connection, peer)
        return connection
      }
    }
    const { config, sameIdentity = 'newest' } = this.#options
    const options = { self: this.#selfId, ...config, sameIdentity }
    const peer: Peer = new Peer(nodeId, components, options, this.#tells.handlersOfPeers)
    this.#peers.set(nodeId, peer)
    return peer
  }

  #accept(stream: ByteStream): void {
    const { peer } = stream
    const isSelf = peer.kind === 'node' && peer.nodeId === this.#selfId
    const isFull = this.#handshakes >= this.#options.config.handshakesMax
    const clientsFull =
      peer.kind === 'client' && this.#inbound.size >= this.#options.config.clientConnectionsMax
    if (this.#isStopped || isSelf || isFull || clientsFull) {
      if (isFull || clientsFull) this.counters.add('connection_errors')
      stream.destroy()
      return
    }
    this.#handshakes++
    const connection = this.#createConnection(false)
    this.#inbound.add(connection)
    if (peer.kind === 'client') {
      connection.attach(stream)
      return
    }
    const owner = this.#peerOf(peer.nodeId)
    this.#owners.set(connection, owner)
    owner.take(connection, stream)
  }

  readonly #handlersOfConnections: ConnectionHandlers = {
    onOpened: (connection, facts) => this.#handleOpened(connection, facts),
    onMessage: (connection, message) => this.#handleMessage(connection, message),
    onUndeliverable: (connection, tag, error) => {
      const from = senderOf(must(connection.peer, 'peer'))
      this.#delivery?.onUndeliverable({ from, epoch: epochOfConnection(connection), tag }, error)
    },
    onRequest: (connection, request) => this.#dispatcher.handleRequest(connection, request),
    onCancelled: (connection, id) => connection.serving.get(id)?.abort(),
    onRejected: (connection, error) => {
      const facts = { peer: connection.peer, code: error.code, reason: error.message }
      this.#components.logger.warn(facts, 'a peer did not accept a message')
    },
    onUnauthorized: (connection, { message, reason, isLast }) => {
      const { kind, ...identity } = must(connection.peer, 'peer')
      const peer = 'nodeId' in identity ? identity.nodeId : identity.name
      const audit = { peer, role: kind, message, reason, closed: isLast }
      this.#components.logger.warn(audit, 'a peer sent what it may not')
      this.#tells.tell({ type: 'MessageRefused', ...audit })
    },
    onGoAway: (connection, reason) =>
      this.#owners.get(connection)?.handleGoAway(connection, reason),
    onStreamOpened: (connection, stream) => this.channels.handleOpened(connection, stream),
    onStreamClosed: (connection) => {
      const pool = this.#owners.get(connection)?.channels
      if (pool !== undefined) pool.handleStreamClosed(connection)
      else if (connection === this.#loopback) {
        this.#loopbackChannels.handleStreamClosed(connection)
      }
    },
    onDone: (connection, error) => this.#handleDone(connection, error)
  }

  #handleMessage(connection: Connection, message: InboundMessage): void {
    const { delivery: tag, declaration, body, sizeBytes } = message
    if (tag === null) {
      this.#dispatcher.handleMessage(connection, message)
      return
    }
    const peer = must(connection.peer, 'peer')
    const epoch = epochOfConnection(connection)
    const arrival = { from: senderOf(peer), peer, epoch, tag, declaration, body, sizeBytes }
    this.#delivery?.onArrival(arrival)
  }

  #handleOpened(connection: Connection, facts: PeerFacts): void {
    if (connection === this.#loopback) this.#loopbackChannels.pump()
    if (!connection.isDialer && this.#inbound.has(connection)) this.#handshakes--
    const { clusterId, onPeerClusterId } = this.#options
    if (facts.clusterId !== null && clusterId() === null) onPeerClusterId(facts.clusterId)
    if (!this.#factory.isLocal(connection)) this.#renewals.watch(connection)
    this.#owners.get(connection)?.handleOpened(connection)
    const waiter = this.#dialWaiters.get(connection)
    this.#dialWaiters.delete(connection)
    const peer = must(connection.peer, 'peer')
    if (peer.kind !== 'node') return
    waiter?.resolve(peer.nodeId)
    const epoch = this.epochOf(peer.nodeId)
    if (epoch !== null) this.#delivery?.onOpened(peer.nodeId, epoch)
  }

  #handleDone(connection: Connection, error: SkeinError | null): void {
    const isInbound = this.#inbound.delete(connection)
    if (isInbound && connection.facts === null) this.#handshakes--
    this.#factory.live.delete(connection)
    this.#renewals.forget(connection)
    const refused = error?.code
    if (refused === 'ERR_SKEIN_HANDSHAKE_REFUSED' || refused === 'ERR_SKEIN_PEER_IDENTITY') {
      if (connection.peer !== null) this.#tells.tellRefused(connection.remoteAddress, error)
    }
    const waiter = this.#dialWaiters.get(connection)
    this.#dialWaiters.delete(connection)
    waiter?.reject(error ?? new ConnectionLostError('closed in the handshake'))
    const owner = this.#owners.get(connection)
    this.#owners.delete(connection)
    owner?.handleDone(connection, error)
    if (owner !== undefined) this.#maybeForget(owner)
    this.#tellLost(connection, error === null)
    if (this.#factory.live.size === 0) this.#onAllDone?.()
  }

  #renew(connection: Connection): void {
    const owner = this.#owners.get(connection)
    if (connection.isDialer && owner !== undefined) owner.renew(connection)
    else connection.retire('replaced')
  }

  /** What was on a connection that ended in peace has arrived, while there is another one. */
  #tellLost({ peer, facts }: Connection, inPeace: boolean): void {
    if (peer?.kind !== 'node' || facts === null || facts.lane > 0) return
    const isConnected = this.#openConnectionTo(peer.nodeId) !== null
    if (!isConnected || !inPeace) this.#delivery?.onLost(peer.nodeId, isConnected)
  }

  /** A peer that membership knows no more, and that is not connected, leaves the table. */
  #maybeForget(peer: Peer): void {
    const isKnown = this.#components.addressOf(peer.nodeId) !== undefined
    if (!isKnown && peer.connections.length === 0) this.#peers.delete(peer.nodeId)
  }

  #allDone(): Promise<void> {
    if (this.#factory.live.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = new DeadlineTimer(this.#components.clock, () => {
        for (const connection of this.#factory.live) {
          connection.abort(new ConnectionLostError('this node stopped'))
        }
      })
      this.#onAllDone = () => {
        timer.stop()
        resolve()
      }
      timer.arm(after(this.#components.clock.now(), stopTimeoutMs))
    })
  }

  #declarationOf(type: MessageType<unknown>): AnyDeclaration {
    const declaration = this.#components.catalogue.byNumber(type.number)
    assert(declaration !== undefined, `message ${type.name} is not in the catalogue`)
    return declaration
  }
}

const epochOfConnection = ({ facts }: Connection): number =>
  must(facts, 'facts of an open connection').epoch
