import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  ConnectionLostError,
  NotSentError,
  type SkeinError
} from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { ByteChannel } from '../../core/ports/channels.js'
import type { Clock } from '../../core/ports/clock.js'
import { Priorities, type Priority } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type { Address, ByteStream } from '../../core/ports/stream-network.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { Backoff, type BackoffLimits } from './backoff.js'
import { Channel } from './channel-driver.js'
import type { Connection } from './connection-driver.js'
import { type WaitingOpen, WaitingOpens } from './waiting-opens.js'

/** Where streams were reset so often that the peer would take another for a flood. */
const retryMs = 50
/** How long bulk waits for a connection that is being dialled, when there is another one. */
const dialPatienceMs = 500

export interface ChannelPoolComponents {
  readonly clock: Clock
  readonly random: Random
  /** The connection that carries messages, dialling if need be; null: not now. */
  readonly main: (hint: Address | undefined) => Connection | null
  /** A connection for streams alone; null where there is none to be had. */
  readonly dial: (() => { connection: Connection; stream: Promise<ByteStream> }) | null
}

export interface ChannelPoolOptions extends BackoffLimits {
  readonly connectionsPerPeerMax: number
  readonly streamOpensWaitingMax: number
  readonly streamConnectionIdleMs: number
}

export interface OpenRequest {
  readonly name: string
  readonly priority: Priority
  readonly deadline: MonotonicMs
  readonly signal: AbortSignal | undefined
  readonly address: Address | undefined
}

interface Opening {
  readonly name: string
  resolve(channel: ByteChannel): void
  reject(error: SkeinError): void
}

/**
 * The channels of this node to one other. The urgent ones (critical, high) are opened on the
 * connection that carries messages as long as it has room. Bulk has connections for streams alone,
 * of which one at a time is dialled: what the system has taken of it cannot be overtaken, so
 * it must not stand in the way of messages. Where no other connection is to be had each takes what
 * there is; what finds no room waits. A further connection that was unused for a while is closed by
 * who dialled it.
 */
export class ChannelPool {
  readonly #components: ChannelPoolComponents
  readonly #options: ChannelPoolOptions
  readonly #waiting: WaitingOpens<Opening>
  readonly #backoff: Backoff
  readonly #timer: DeadlineTimer
  /** Connections for streams alone, whoever dialled them, in the order in which they opened. */
  readonly #extras = new Map<Connection, { idleSince: MonotonicMs }>()
  #dialling: Connection | null = null
  #patienceAt: MonotonicMs = NEVER

  constructor(components: ChannelPoolComponents, options: ChannelPoolOptions) {
    this.#components = components
    this.#options = options
    this.#waiting = new WaitingOpens(options.streamOpensWaitingMax)
    this.#backoff = new Backoff(components.random, options)
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  get connections(): readonly Connection[] {
    const extras = [...this.#extras.keys()]
    return this.#dialling === null ? extras : [...extras, this.#dialling]
  }

  open(request: OpenRequest): Promise<ByteChannel> {
    const { signal, priority, deadline, name, address } = request
    if (signal?.aborted) return Promise.reject(cancelled())
    if (this.#components.main(address) === null && this.#extras.size === 0) {
      return Promise.reject(new NotSentError('the node is not reachable now'))
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        if (this.#waiting.remove(entry)) entry.ticket.reject(cancelled())
      }
      const settled = <Args extends unknown[]>(settle: (...args: Args) => void) => {
        return (...args: Args) => {
          signal?.removeEventListener('abort', onAbort)
          settle(...args)
        }
      }
      const ticket = { name, resolve: settled(resolve), reject: settled(reject) }
      const entry: WaitingOpen<Opening> = { priority, deadline, ticket }
      if (!this.#waiting.offer(entry)) {
        reject(new BackpressureError(`${this.#waiting.lengthMax} channels wait to be opened`))
        return
      }
      signal?.addEventListener('abort', onAbort)
      this.pump()
    })
  }

  owns(connection: Connection): boolean {
    return connection === this.#dialling || this.#extras.has(connection)
  }

  /** A connection for streams alone has opened. */
  handleOpened(connection: Connection): void {
    if (connection === this.#dialling) this.#dialling = null
    this.#backoff.handleSuccess(this.#components.clock.now())
    if (this.#extras.size >= this.#options.connectionsPerPeerMax - 1) {
      connection.retire('replaced')
      return
    }
    this.#extras.set(connection, { idleSince: this.#components.clock.now() })
    this.pump()
  }

  handleDone(connection: Connection): void {
    this.#extras.delete(connection)
    if (connection === this.#dialling) {
      this.#dialling = null
      this.#backoff.handleFailure(this.#components.clock.now())
    }
    this.pump()
  }

  handleStreamClosed(connection: Connection): void {
    const extra = this.#extras.get(connection)
    if (extra !== undefined) extra.idleSince = this.#components.clock.now()
    if (this.#waiting.length > 0 || extra !== undefined) this.pump()
  }

  /** Something changed: opens what can be opened. */
  pump(): void {
    const { clock } = this.#components
    const now = clock.now()
    let retryAt: MonotonicMs = NEVER
    for (let next = this.#waiting.first; next !== undefined; next = this.#waiting.first) {
      const { ticket, priority } = next
      const connection = this.#findRoom(priority, now)
      if (connection === null) {
        retryAt = this.#maybeDial(now)
        break
      }
      this.#waiting.shift()
      ticket.resolve(new Channel(connection, connection.openStream(ticket.name, priority)))
    }
    this.#timer.arm(
      Math.min(retryAt, this.#waiting.nextDeadline(), this.#nextIdleAt()) as MonotonicMs
    )
  }

  tellQueues(tell: TellQueue): void {
    const { streamOpensWaitingMax, connectionsPerPeerMax } = this.#options
    tell('transport.streamOpensWaitingMax', this.#waiting.length, streamOpensWaitingMax)
    tell('transport.connectionsPerPeerMax', 1 + this.#extras.size, connectionsPerPeerMax)
  }

  /** The peer cannot be reached: nobody goes on waiting. */
  fail(error: SkeinError): void {
    for (const { ticket } of this.#waiting.takeAll()) {
      ticket.reject(
        new NotSentError(`the channel was not opened: ${error.message}`, { cause: error })
      )
    }
  }

  retire(): void {
    this.#timer.stop()
    this.fail(new NotSentError('the transport has stopped'))
    for (const connection of this.connections) connection.retire('stopping')
  }

  #findRoom(priority: Priority, now: MonotonicMs): Connection | null {
    const hasRoom = ({ muxer }: Connection) => muxer.isOpen && muxer.streams.hasRoom(now)
    const main = this.#components.main(undefined)
    const onMain = main !== null && hasRoom(main) ? main : null
    const extra = [...this.#extras.keys()].find(hasRoom) ?? null
    if (priority <= Priorities.High) return onMain ?? extra
    if (extra !== null) return extra
    const isComing = this.#dialling !== null && now < this.#patienceAt
    return isComing || this.#mayDial(main, now) ? null : onMain
  }

  #mayDial(main: Connection | null, now: MonotonicMs): boolean {
    return this.#canGrow(main) && now >= this.#backoff.notBefore
  }

  /** Whether the peer takes another connection, and none is being dialled. */
  #canGrow(main: Connection | null): boolean {
    const facts = main?.muxer.isOpen ? main.facts : null
    const most = Math.min(this.#options.connectionsPerPeerMax, facts?.connectionsMax ?? 1)
    const { dial } = this.#components
    return dial !== null && this.#dialling === null && 1 + this.connections.length < most
  }

  /** Answers when to look again, if nothing happens meanwhile. */
  #maybeDial(now: MonotonicMs): MonotonicMs {
    const { main, dial } = this.#components
    const active = main(undefined)
    if (active === null && this.#extras.size === 0 && this.#dialling === null) {
      this.fail(new NotSentError('the node is not reachable now'))
      return NEVER
    }
    if (this.#dialling !== null && now < this.#patienceAt) return this.#patienceAt
    if (!active?.muxer.isOpen) return NEVER
    if (dial === null || !this.#canGrow(active)) {
      return this.#isFull(active) ? NEVER : after(now, retryMs)
    }
    if (now < this.#backoff.notBefore) return this.#backoff.notBefore
    const { connection, stream } = dial()
    this.#dialling = connection
    this.#patienceAt = after(now, dialPatienceMs)
    void this.#connect(connection, stream)
    return this.#patienceAt
  }

  #isFull(main: Connection | null): boolean {
    const open = [main, ...this.#extras.keys()].filter((one) => one?.muxer.isOpen)
    return open.every((one) => one?.muxer.streams.isFull)
  }

  async #connect(connection: Connection, dialled: Promise<ByteStream>): Promise<void> {
    try {
      const stream = await dialled
      if (connection.muxer.isDone) stream.destroy()
      else connection.attach(stream)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (!connection.muxer.isDone)
        connection.abort(new ConnectionLostError(reason, { cause: error }))
    }
  }

  #handleTimeout(now: MonotonicMs): void {
    for (const { ticket } of this.#waiting.takeDue(now)) {
      ticket.reject(new NotSentError('no turn to open a channel before the deadline'))
    }
    for (const [connection, { idleSince }] of this.#extras) {
      const isIdle = connection.isDialer && connection.muxer.streams.size === 0
      const idleAt = after(idleSince, this.#options.streamConnectionIdleMs)
      if (isIdle && now >= idleAt) connection.retire('idle')
    }
    this.pump()
  }

  #nextIdleAt(): MonotonicMs {
    let next: MonotonicMs = NEVER
    for (const [connection, { idleSince }] of this.#extras) {
      const { streams, isUsable } = connection.muxer
      if (!connection.isDialer || !isUsable || streams.size > 0) continue
      const idleAt = after(idleSince, this.#options.streamConnectionIdleMs)
      if (idleAt < next) next = idleAt
    }
    return next
  }
}

const cancelled = () => new CancelledError('the caller cancelled the opening')
