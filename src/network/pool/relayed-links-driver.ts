/**
 * The connections to one peer that lead through a third node: urgent messages take them while the
 * direct path is out. They are never counted as "connected", and what is not urgent waits for the
 * direct path.
 *
 * Whoever looks for a way dials; the other end answers on the same connection, and uses it for
 * its own urgent messages as long as it has no direct connection either.
 */
import { after } from '../../core/deadlines.js'
import { ConnectionLostError, NotSentError, SkeinError } from '../../core/errors.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Random } from '../../core/ports/random.js'
import type { ByteStream } from '../../core/ports/stream-network.js'
import type { TransportCounters } from '../mux/transport-counters.js'
import { Backoff } from './backoff.js'
import type { Connection } from './connection-driver.js'

export interface RelayedLinksComponents {
  readonly clock: Clock
  readonly random: Random
  readonly counters: TransportCounters
  readonly createConnection: () => Connection
  readonly dialThrough: (
    relay: NodeId,
    target: NodeId,
    deadline: MonotonicMs
  ) => Promise<ByteStream>
}

export interface RelayedLinksOptions {
  readonly target: NodeId
  readonly dialTimeoutMs: number
  readonly reconnectBackoffMinMs: number
  readonly reconnectBackoffMaxMs: number
}

export class RelayedLinks {
  readonly #components: RelayedLinksComponents
  readonly #options: RelayedLinksOptions
  readonly #backoff: Backoff
  readonly #connections = new Set<Connection>()
  /** What this node dialled last, and by way of whom. */
  #dialled: { readonly connection: Connection; readonly relay: NodeId } | null = null
  #isStopped = false

  constructor(components: RelayedLinksComponents, options: RelayedLinksOptions) {
    this.#components = components
    this.#options = options
    this.#backoff = new Backoff(components.random, options)
  }

  get connections(): Iterable<Connection> {
    return this.#connections
  }

  owns(connection: Connection): boolean {
    return this.#connections.has(connection)
  }

  /** By way of `relay`, dialling if need be; null: not now. */
  usable(relay: NodeId): Connection | null {
    const dialled = this.#dialled
    if (dialled?.relay === relay && dialled.connection.muxer.isUsable) return dialled.connection
    if (this.#isStopped || this.#components.clock.now() < this.#backoff.notBefore) {
      return this.open()
    }
    const connection = this.#components.createConnection()
    this.#connections.add(connection)
    this.#dialled = { connection, relay }
    this.#components.counters.add('relays_dialled')
    void this.#connect(connection, relay)
    return connection
  }

  /** One that stands, whoever dialled it. */
  open(): Connection | null {
    for (const connection of this.#connections) {
      if (connection.muxer.isOpen && connection.muxer.isUsable) return connection
    }
    return null
  }

  handleOpened(connection: Connection): void {
    this.#connections.add(connection)
    if (connection.isDialer) this.#backoff.handleSuccess(this.#components.clock.now())
    if (this.#isStopped) connection.retire('stopping')
  }

  handleDone(connection: Connection): void {
    this.#connections.delete(connection)
    if (this.#dialled?.connection === connection) this.#dialled = null
  }

  /** The direct path is taken again: what is under way here is finished. */
  end(): void {
    this.#dialled = null
    for (const connection of this.#connections) {
      if (connection.isDialer) connection.retire('replaced')
    }
  }

  retire(): void {
    this.#isStopped = true
    for (const connection of this.#connections) connection.retire('stopping')
  }

  async #connect(connection: Connection, relay: NodeId): Promise<void> {
    const { clock, dialThrough, counters } = this.#components
    const { target, dialTimeoutMs } = this.#options
    let stream: ByteStream
    try {
      stream = await dialThrough(relay, target, after(clock.now(), dialTimeoutMs))
    } catch (error) {
      counters.add('dial_failures')
      this.#backoff.handleFailure(clock.now())
      if (!connection.muxer.isDone) connection.abort(toSkeinError(error, target, relay))
      return
    }
    if (!connection.muxer.isDone) connection.attach(stream)
    else stream.destroy()
  }
}

function toSkeinError(error: unknown, target: NodeId, relay: NodeId): SkeinError {
  if (error instanceof SkeinError && !(error instanceof ConnectionLostError)) return error
  return new NotSentError(`${target} is not reachable by way of ${relay}`, {
    cause: error,
    nodeId: target
  })
}
