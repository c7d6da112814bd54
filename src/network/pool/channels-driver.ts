import { InvariantError, must } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type {
  AcceptChannelOptions,
  ByteChannel,
  Channels,
  OpenChannelOptions
} from '../../core/ports/channels.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import { Priorities } from '../../core/ports/messenger.js'
import type { Address } from '../../core/ports/stream-network.js'
import { streamNameBytesMax } from '../mux/streams/messages.js'
import type { MuxStream } from '../mux/streams/mux-stream.js'
import { Channel } from './channel-driver.js'
import type { ChannelPool } from './channel-pool-driver.js'
import type { Connection } from './connection-driver.js'

const openTimeoutMs = 5_000
const namePattern = /^[\x21-\x7e]+$/

export interface ChannelsComponents {
  readonly clock: Clock
  readonly logger: Logger
  /** @throws NotSentError the node cannot be reached */
  readonly poolOf: (to: NodeId, hint: Address | undefined) => ChannelPool
}

interface Acceptor {
  readonly handle: (channel: ByteChannel) => void
  readonly fromClients: boolean
}

/** Channels by node and name: opens them through the node's pool, hands over what others open. */
export class ChannelsDriver implements Channels {
  readonly #components: ChannelsComponents
  readonly #acceptors = new Map<string, Acceptor>()

  constructor(components: ChannelsComponents) {
    this.#components = components
  }

  async open(to: NodeId, name: string, options: OpenChannelOptions = {}): Promise<ByteChannel> {
    checkName(name)
    const { priority = Priorities.Normal, timeoutMs = openTimeoutMs, signal, address } = options
    const deadline = after(this.#components.clock.now(), timeoutMs)
    const pool = this.#components.poolOf(to, address)
    return pool.open({ name, priority, deadline, signal, address })
  }

  accept(
    name: string,
    handle: (channel: ByteChannel) => void,
    options: AcceptChannelOptions = {}
  ): void {
    checkName(name)
    this.#acceptors.set(name, { handle, fromClients: options.fromClients ?? false })
  }

  handleOpened(connection: Connection, stream: MuxStream): void {
    const acceptor = this.#acceptors.get(stream.name)
    const { kind } = must(connection.peer, 'peer')
    if (acceptor === undefined) {
      connection.resetStream(stream, 'unknown', `nobody here accepts ${stream.name}`)
      return
    }
    if (kind === 'client' && !acceptor.fromClients) {
      connection.resetStream(stream, 'refused', `a client may not open ${stream.name}`)
      return
    }
    const channel = new Channel(connection, stream)
    try {
      acceptor.handle(channel)
    } catch (error) {
      channel.reset('its handler failed')
      if (error instanceof InvariantError) throw error
      this.#components.logger.error({ error, channel: stream.name }, 'a channel handler threw')
    }
  }
}

function checkName(name: string): void {
  if (name.length <= streamNameBytesMax && namePattern.test(name)) return
  const reason = `must be 1 to ${streamNameBytesMax} printable ASCII characters`
  throw new InvalidArgumentError('name', reason)
}
