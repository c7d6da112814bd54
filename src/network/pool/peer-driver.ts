import { must } from '../../core/assert.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  ConnectionLostError,
  DialFailedError,
  HandshakeRefusedError,
  NotSentError,
  SkeinError
} from '../../core/errors.js'
import { compareText, type NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Random } from '../../core/ports/random.js'
import type { Address, ByteStream, StreamNetwork } from '../../core/ports/stream-network.js'
import { Lanes } from '../mux/lanes.js'
import type { GoAwayReason } from '../mux/messages.js'
import type { TransportCounters } from '../mux/transport-counters.js'
import { Backoff } from './backoff.js'
import { ChannelPool, type ChannelPoolOptions } from './channel-pool-driver.js'
import { Choices, chooseConnection } from './choose-connection.js'
import type { Connection } from './connection-driver.js'
import {
  RelayedLinks,
  type RelayedLinksComponents,
  type RelayedLinksOptions
} from './relayed-links-driver.js'

/** A peer that was heard within so many keep-alive intervals lives. */
const duplicateSilenceFactor = 2

export interface ConnectionRole {
  /** The number of the Hello whose connection this one replaces. */
  readonly renews?: number
  /** One of `Lanes`. */
  readonly lane?: number
}

export interface PeerComponents {
  readonly clock: Clock
  readonly random: Random
  readonly streams: StreamNetwork
  readonly counters: TransportCounters
  readonly addressOf: (nodeId: NodeId) => Address | undefined
  readonly createConnection: (isDialer: boolean, role?: ConnectionRole) => Connection
  readonly dialThrough: RelayedLinksComponents['dialThrough']
}

export interface PeerOptions extends ChannelPoolOptions, Omit<RelayedLinksOptions, 'target'> {
  readonly self: NodeId
  readonly dialTimeoutMs: number
  readonly keepAliveIntervalMs: number
  /** Which of two processes of one name is kept. */
  readonly sameIdentity: 'newest' | 'oldest'
}

export interface PeerHandlers {
  onConnected(peer: Peer, connection: Connection): void
  onDisconnected(peer: Peer, reason: string): void
  onDialFailed(peer: Peer, address: Address, error: SkeinError): void
  /** Both are alive, and of different processes. */
  onDuplicate(peer: Peer, older: Connection, newer: Connection): void
}

/**
 * Everything between this node and one other: at most one connection that takes new work, those
 * that still finish theirs, one dial at a time, and the pause between dials.
 *
 * While the first dial is under way messages queue on its connection; when it fails they fail,
 * and until the pause is over nothing is queued. A connection that was lost is dialled again
 * once by itself, later ones only if somebody asked for the peer meanwhile.
 */
export class Peer {
  readonly nodeId: NodeId
  readonly channels: ChannelPool
  readonly relayed: RelayedLinks
  readonly #components: PeerComponents
  readonly #options: PeerOptions
  readonly #handlers: PeerHandlers
  readonly #backoff: Backoff
  readonly #redial: DeadlineTimer
  readonly #connections = new Set<Connection>()
  /** Connections under way → the open ones whose place they take. */
  readonly #renewals = new Map<Connection, Connection>()
  #active: Connection | null = null
  #isConnected = false
  /** Where it was dialled last. */
  #address: Address | undefined
  #wasWanted = false
  #isStopped = false

  constructor(
    nodeId: NodeId,
    components: PeerComponents,
    options: PeerOptions,
    handlers: PeerHandlers
  ) {
    this.nodeId = nodeId
    this.#components = components
    this.#options = options
    this.#handlers = handlers
    this.#backoff = new Backoff(components.random, options)
    this.#redial = new DeadlineTimer(components.clock, () => this.#maybeRedial())
    const parts = {
      clock: components.clock,
      random: components.random.split('channels'),
      main: (hint: Address | undefined) => this.usable(hint),
      dial: () => this.#dialExtra()
    }
    this.channels = new ChannelPool(parts, options)
    const { clock, random, counters, createConnection, dialThrough } = components
    this.relayed = new RelayedLinks(
      {
        clock,
        counters,
        dialThrough,
        random: random.split('relayed'),
        createConnection: () => createConnection(true, { lane: Lanes.Relayed })
      },
      { ...options, target: nodeId }
    )
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Whether the peer has been greeted on a connection that still stands. */
  get isGreeted(): boolean {
    return this.#findGreeted(null) !== null
  }

  /** A connection on which messages travel now. */
  get open(): Connection | null {
    return this.#active?.muxer.isOpen ? this.#active : this.#findOpen()
  }

  get connections(): readonly Connection[] {
    return [...this.#connections, ...this.channels.connections, ...this.relayed.connections]
  }

  /** A connection that takes new work, dialling if need be; null: not now. */
  usable(hint?: Address): Connection | null {
    const known = this.#findUsable()
    if (known !== null) return known
    this.#wasWanted = true
    if (this.#isStopped || this.#components.clock.now() < this.#backoff.notBefore) return null
    const address = this.#components.addressOf(this.nodeId) ?? hint
    if (address === undefined) return null
    return this.#dial(address)
  }

  /** Takes over a stream that the peer dialled, or that was dialled before its name was known. */
  take(connection: Connection, stream: ByteStream): void {
    this.#connections.add(connection)
    connection.attach(stream)
  }

  /**
   * Opens another connection in the place of this one, which is retired when the other is open:
   * what is under way is finished there, what is new begins here. False: not now.
   */
  renew(older: Connection): boolean {
    if (this.channels.owns(older) || this.relayed.owns(older)) {
      // The next channel dials another one.
      older.retire('replaced')
      return true
    }
    const sequence = older.muxer.helloSequence
    const isUnderWay = [...this.#renewals.values()].includes(older)
    if (this.#isStopped || isUnderWay || sequence === null || !older.muxer.isOpen) return false
    const connection = this.#components.createConnection(true, { renews: sequence })
    this.#connections.add(connection)
    this.#renewals.set(connection, older)
    this.#components.counters.add('dials')
    const address = this.#components.addressOf(this.nodeId) ?? older.remoteAddress
    void this.#connect(connection, address)
    return true
  }

  handleOpened(connection: Connection): void {
    const { lane } = must(connection.facts, 'peer facts')
    if (lane !== Lanes.Main) {
      this.#connections.delete(connection)
      if (this.#active === connection) this.#active = null
      if (lane === Lanes.Relayed) this.relayed.handleOpened(connection)
      else this.channels.handleOpened(connection)
      return
    }
    this.#backoff.handleSuccess(this.#components.clock.now())
    const renewed = this.#renewedBy(connection)
    if (this.#renews(connection)) this.#components.counters.add('connections_renewed')
    this.#renewals.delete(connection)
    if (renewed !== null) {
      this.#replace(renewed, connection)
      renewed.retire('replaced')
      this.channels.pump()
      return
    }
    const other = this.#active
    if (other !== null && this.#isDuplicate(other, connection)) {
      this.#handlers.onDuplicate(this, other, connection)
      if (this.#options.sameIdentity === 'oldest') {
        connection.abort(new HandshakeRefusedError('another process of this name is connected'))
        return
      }
    }
    if (other === null || other === connection || !other.muxer.isUsable) {
      this.#active = connection
    } else if (!other.muxer.isOpen) {
      this.#replace(other, connection)
      if (!other.muxer.hasGreeted) other.abort(new NotSentError('another connection was faster'))
    } else this.#choose(other, connection)
    if (!this.#isConnected) {
      this.#isConnected = true
      this.#handlers.onConnected(this, this.#active ?? connection)
    }
    this.channels.pump()
  }

  handleGoAway(connection: Connection, reason: GoAwayReason): void {
    if (this.channels.owns(connection) || this.relayed.owns(connection)) return
    if (this.#active === connection) this.#active = null
    const wanted = connection.muxer.requestsPending > 0
    const next = reason === 'stopping' || !wanted ? this.#findUsable() : this.usable()
    const heir = next ?? connection
    heir.adoptUnsent(connection)
    if (this.#findOpen() === null && reason === 'stopping') this.#disconnect('the peer stops')
  }

  handleDone(connection: Connection, error: SkeinError | null): void {
    if (this.channels.owns(connection)) {
      this.channels.handleDone(connection)
      return
    }
    if (this.relayed.owns(connection)) {
      this.relayed.handleDone(connection)
      return
    }
    this.#handleDone(connection, error)
    this.channels.pump()
  }

  #handleDone(connection: Connection, error: SkeinError | null): void {
    this.#connections.delete(connection)
    this.#renewals.delete(connection)
    if (this.#active === connection) this.#active = this.#findUsable()
    if (this.#findOpen() !== null) return
    // The one that it made way for is still being opened, and tells if it fails.
    if (error === null && this.#findUsable() !== null) return
    const wasRefused = error !== null && connection.facts === null && connection.muxer.hasGreeted
    if (wasRefused && connection.isDialer) {
      this.#backoff.handleFailure(this.#components.clock.now())
    }
    if (!this.#isConnected) return
    this.#disconnect(error?.message ?? 'closed')
    if (error !== null) this.#scheduleFirstRedial()
  }

  /** Nothing new; what is under way is finished. */
  retire(): void {
    this.#isStopped = true
    this.#redial.stop()
    this.channels.retire()
    this.relayed.retire()
    for (const connection of this.#connections) connection.retire('stopping')
  }

  abort(): void {
    for (const connection of this.connections) {
      connection.abort(new ConnectionLostError('this node stopped'))
    }
  }

  #findUsable(): Connection | null {
    if (this.#active?.muxer.isUsable) return this.#active
    let found: Connection | null = null
    for (const connection of this.#connections) {
      if (!connection.muxer.isUsable || connection.muxer.lane !== Lanes.Main) continue
      if (found === null || (connection.muxer.isOpen && !found.muxer.isOpen)) found = connection
    }
    this.#active = found
    return found
  }

  #findOpen(): Connection | null {
    for (const connection of this.#connections) if (connection.muxer.isOpen) return connection
    return null
  }

  #dial(address: Address): Connection {
    const connection = this.#components.createConnection(true)
    this.#connections.add(connection)
    this.#active = connection
    this.#address = address
    this.#wasWanted = false
    this.#components.counters.add('dials')
    void this.#connect(connection, address)
    return connection
  }

  async #connect(connection: Connection, address: Address): Promise<void> {
    const { clock, streams } = this.#components
    const deadline = after(clock.now(), this.#options.dialTimeoutMs)
    let stream: ByteStream
    try {
      stream = await streams.dial(address, { expectedNodeId: this.nodeId, deadline })
    } catch (error) {
      this.#handleDialFailed(connection, address, toSkeinError(error))
      return
    }
    const other = this.#renewals.has(connection) ? null : this.#findGreeted(connection)
    if (connection.muxer.isDone) stream.destroy()
    else if (other !== null) {
      // The peer was faster: its Hello is answered already, so ours must not be said.
      stream.destroy()
      this.#replace(connection, other)
      connection.abort(new NotSentError('the peer dialled first'))
    } else connection.attach(stream)
  }

  #dialExtra(): { connection: Connection; stream: Promise<ByteStream> } {
    const { clock, streams, counters, addressOf, createConnection } = this.#components
    counters.add('dials')
    const deadline = after(clock.now(), this.#options.dialTimeoutMs)
    const known = addressOf(this.nodeId) ?? this.#address ?? this.#dialledAddress()
    const stream =
      known === undefined
        ? Promise.reject(new NotSentError('its address is unknown', { nodeId: this.nodeId }))
        : streams.dial(known, { expectedNodeId: this.nodeId, deadline })
    return { connection: createConnection(true, { lane: Lanes.Streams }), stream }
  }

  /** Where a connection leads that was dialled before the peer's name was known. */
  #dialledAddress(): Address | undefined {
    const dialled = [...this.#connections].find(({ isDialer, facts }) => isDialer && facts !== null)
    return dialled?.remoteAddress
  }

  #findGreeted(except: Connection | null): Connection | null {
    for (const connection of this.#connections) {
      const { isUsable, hasGreeted, lane } = connection.muxer
      if (connection !== except && isUsable && hasGreeted && lane === Lanes.Main) return connection
    }
    return null
  }

  #handleDialFailed(connection: Connection, address: Address, error: SkeinError): void {
    const now = this.#components.clock.now()
    this.#components.counters.add('dial_failures')
    if (!this.#renewals.has(connection)) this.#backoff.handleFailure(now)
    this.#handlers.onDialFailed(this, address, error)
    if (!connection.muxer.isDone) connection.abort(error)
    if (!this.#isStopped) this.#redial.arm(this.#backoff.notBefore)
  }

  #scheduleFirstRedial(): void {
    if (this.#isStopped) return
    this.#backoff.handleFailure(this.#components.clock.now())
    this.#wasWanted = true
    this.#redial.arm(this.#backoff.notBefore)
  }

  #maybeRedial(): void {
    if (!this.#wasWanted || this.#findUsable() !== null) return
    this.usable()
  }

  /**
   * Whether it was opened in another one's place. At the acceptor that may be gone by now: its
   * farewell and what opens this one travel on two streams.
   */
  #renews(connection: Connection): boolean {
    if (connection.isDialer) return this.#renewals.has(connection)
    return must(connection.facts, 'peer facts').renews !== null
  }

  /** The open connection whose place this one takes; null: none. */
  #renewedBy(connection: Connection): Connection | null {
    const own = this.#renewals.get(connection)
    if (own !== undefined) return own.muxer.isOpen ? own : null
    const { bootNonce, renews } = must(connection.facts, 'peer facts')
    if (renews === null || connection.isDialer) return null
    for (const older of this.#connections) {
      const { facts, muxer } = older
      const isMeant = facts?.sequence === renews && facts.bootNonce === bootNonce
      if (older !== connection && !older.isDialer && isMeant && muxer.isOpen) return older
    }
    return null
  }

  #isDuplicate(older: Connection, newer: Connection): boolean {
    if (older === newer || !older.muxer.isOpen) return false
    const { clock } = this.#components
    const silentMs = clock.now() - older.lastHeardAt
    const isAlive = silentMs < duplicateSilenceFactor * this.#options.keepAliveIntervalMs
    return isAlive && older.facts?.bootNonce !== newer.facts?.bootNonce
  }

  #choose(older: Connection, newer: Connection): void {
    const { CloseOlder, RetireOlder } = Choices
    const choice = chooseConnection(openOf(older), openOf(newer), this.#options.self, this.nodeId)
    this.#components.counters.add('connections_replaced')
    if (choice === CloseOlder) {
      this.#replace(older, newer)
      older.abort(new ConnectionLostError('the peer connected anew'))
    } else if (choice === RetireOlder) {
      this.#replace(older, newer)
      older.retire('replaced')
    } else newer.retire('replaced')
  }

  #replace(older: Connection, newer: Connection): void {
    this.#active = newer
    newer.adoptUnsent(older)
  }

  #disconnect(reason: string): void {
    if (!this.#isConnected) return
    this.#isConnected = false
    this.#handlers.onDisconnected(this, reason)
  }
}

/** In the order of their ids, wherever order shows. */
export const sortedPeers = (peers: ReadonlyMap<NodeId, Peer>): Peer[] =>
  [...peers.values()].sort((a, b) => compareText(a.nodeId, b.nodeId))

function openOf(connection: Connection) {
  return {
    isDialer: connection.isDialer,
    peerBootNonce: connection.facts?.bootNonce ?? '',
    peerSequence: connection.facts?.sequence ?? 0
  }
}

function toSkeinError(error: unknown): SkeinError {
  if (error instanceof SkeinError) return error
  return new DialFailedError(error instanceof Error ? error.message : String(error), {
    cause: error
  })
}
