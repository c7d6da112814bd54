/**
 * Passing on the bytes of two nodes that do not reach one another. Whoever looks for a way opens a
 * channel to the relay, names the target, and does its handshake with the target itself: the relay
 * carries what it cannot read, and vouches for nobody.
 *
 *   channel `skein.relay`: target id, newline →      ← newline when the target took the connection
 *
 * At most one relay: it reaches the target by itself or not at all. Only members may ask, only for
 * other members, and for `transport.relaysServedMax` at a time. What one side does not take in time
 * is kept up to `relayedBytesMax`; beyond it the relay ends, as a connection that breaks.
 */
import { after } from '../../core/deadlines.js'
import { NotSentError } from '../../core/errors.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { ByteChannel, Channels } from '../../core/ports/channels.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import { Priorities } from '../../core/ports/messenger.js'
import type {
  Address,
  BytePipe,
  ByteStream,
  StreamNetwork
} from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import type { TransportCounters } from '../mux/transport-counters.js'
import { pipeOf } from './channel-pipe-driver.js'

const channelName = 'skein.relay'
const newline = 0x0a
const targetBytesMax = 64
/** Bytes of the target that the asking node has not taken yet. */
export const relayedBytesMax = 4 * 1024 * 1024

export interface RelayComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly channels: Channels
  readonly streams: StreamNetwork
  readonly counters: TransportCounters
  /** Where a member is; undefined: it is none, or it is gone. */
  readonly addressOf: (nodeId: NodeId) => Address | undefined
}

export interface RelayOptions {
  readonly self: NodeId
  readonly relaysServedMax: number
  readonly dialTimeoutMs: number
}

export class Relays {
  readonly #components: RelayComponents
  readonly #options: RelayOptions
  #served = 0

  constructor(components: RelayComponents, options: RelayOptions) {
    this.#components = components
    this.#options = options
    components.channels.accept(channelName, (channel) => void this.#serve(channel))
  }

  /** Others' connections that pass here now. */
  get served(): number {
    return this.#served
  }

  /**
   * A connection to `target` whose bytes `relay` carries.
   * @throws NotSentError, ConnectionLostError, StreamResetError, DialFailedError, PeerIdentityError
   */
  async dialThrough(relay: NodeId, target: NodeId, deadline: MonotonicMs): Promise<ByteStream> {
    const { clock, channels, streams, addressOf } = this.#components
    const address = addressOf(target)
    if (address === undefined) throw new NotSentError(`the address of ${target} is unknown`)
    const timeoutMs = Math.max(1, deadline - clock.now())
    const channel = await channels.open(relay, channelName, {
      priority: Priorities.High,
      timeoutMs
    })
    const timer = clock.schedule(deadline, () => channel.reset('no answer in time'))
    try {
      await channel.write(lineOf(target))
      await readLine(channel, 0)
    } catch (error) {
      channel.reset('given up')
      throw error
    } finally {
      timer.cancel()
    }
    return streams.dial(address, { expectedNodeId: target, deadline, through: pipeOf(channel) })
  }

  async #serve(channel: ByteChannel): Promise<void> {
    const { counters, logger } = this.#components
    if (this.#served >= this.#options.relaysServedMax) {
      counters.add('relays_refused')
      channel.reset(`${this.#served} relays are served`)
      return
    }
    this.#served++
    try {
      const pipe = await this.#reach(channel)
      if (pipe !== null) await this.#carry(channel, pipe)
    } catch (error) {
      counters.add('relays_refused')
      channel.reset('the target was not reached')
      logger.debug({ peer: channel.peer, cause: factsOf(error) }, 'a relay came to nothing')
    } finally {
      this.#served--
    }
  }

  async #reach(channel: ByteChannel): Promise<BytePipe | null> {
    const { clock, counters, streams, addressOf } = this.#components
    const { self, dialTimeoutMs } = this.#options
    const target = await readLine(channel, targetBytesMax)
    const { peer } = channel
    const isAsker = peer.kind === 'node' && peer.nodeId === target
    const address = target === self || isAsker ? undefined : addressOf(target as NodeId)
    if (address === undefined) {
      counters.add('relays_refused')
      channel.reset(`${target} is no other member`)
      return null
    }
    const pipe = await streams.pipe(address, after(clock.now(), dialTimeoutMs))
    counters.add('relays_served')
    return pipe
  }

  async #carry(channel: ByteChannel, pipe: BytePipe): Promise<void> {
    const { counters } = this.#components
    let backlog = 0
    // One write waits at a time: a channel takes few that wait, however small.
    let turn = Promise.resolve()
    let onDrain = () => {}
    let isOver = false
    const over = () => {
      isOver = true
      onDrain()
    }
    pipe.attach({
      onData(chunk) {
        backlog += chunk.length
        counters.add('relayed_bytes', chunk.length)
        if (backlog > relayedBytesMax) {
          channel.reset('more is on its way than is taken')
          pipe.destroy()
          return
        }
        turn = turn
          .then(() => channel.write(chunk))
          .then(
            () => {
              backlog -= chunk.length
            },
            () => pipe.destroy()
          )
      },
      onDrain: () => onDrain(),
      onClose() {
        over()
        void turn.then(() => channel.end())
      }
    })
    await channel.write(Uint8Array.of(newline))
    for await (const bytes of channel) {
      if (isOver) return
      counters.add('relayed_bytes', bytes.length)
      const isBelow = pipe.write(new Uint8Array(bytes))
      if (isBelow) continue
      await new Promise<void>((resolve) => {
        onDrain = resolve
        if (isOver) resolve()
      })
    }
    pipe.end()
  }
}

const lineOf = (text: string): Uint8Array =>
  Uint8Array.from(`${text}\n`, (char) => char.charCodeAt(0))

/** Reads byte by byte as it comes: nothing behind the line is sent before it is answered. */
async function readLine(channel: ByteChannel, bytesMax: number): Promise<string> {
  let line = ''
  for (;;) {
    const bytes = await channel.read()
    if (bytes === null) throw new NotSentError('the channel ended within its first line')
    for (const byte of bytes) {
      if (byte === newline) return line
      line += String.fromCharCode(byte)
    }
    if (line.length > bytesMax) throw new NotSentError('the first line is too long')
  }
}
