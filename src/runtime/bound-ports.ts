import type {
  Address,
  ByteStream,
  DatagramNetwork,
  DatagramSocket,
  DialOptions,
  StreamListener,
  StreamNetwork
} from '../core/index.js'
import { bindPortPair, type PortPair } from './listening.js'

/**
 * One port number bound for streams and datagrams before the rooms that use it exist, because what
 * they tell others is the port that was given. Until a room listens, streams are closed and
 * datagrams dropped, as they would be before the port was bound.
 */
export class BoundPorts {
  readonly address: Address
  readonly streams: StreamNetwork
  readonly datagrams: DatagramNetwork
  readonly #pair: PortPair
  #isListening = false
  #isBound = false

  /** @throws ListenFailedError the port is taken, or not ours to take */
  static async bind(
    networks: { readonly streams: StreamNetwork; readonly datagrams: DatagramNetwork },
    address: Address
  ): Promise<BoundPorts> {
    const handlers = new Handlers()
    const pair = await bindPortPair(networks, address, {
      onStream: (stream) => handlers.onStream(stream),
      onDatagram: (bytes, from) => handlers.onDatagram(bytes, from)
    })
    return new BoundPorts(networks.streams, pair, handlers)
  }

  private constructor(dialler: StreamNetwork, pair: PortPair, handlers: Handlers) {
    this.#pair = pair
    this.address = pair.address
    this.streams = {
      dial: (to: Address, options: DialOptions) => dialler.dial(to, options),
      pipe: (to, deadline) => dialler.pipe(to, deadline),
      listen: (_address, onStream): Promise<StreamListener> => {
        handlers.onStream = onStream
        this.#isListening = true
        return Promise.resolve(pair.listener)
      }
    }
    this.datagrams = {
      bind: (_address, onDatagram): Promise<DatagramSocket> => {
        handlers.onDatagram = onDatagram
        this.#isBound = true
        return Promise.resolve(pair.socket)
      }
    }
  }

  /** Closes what no room has taken over, after a start that failed half-way. */
  async release(): Promise<void> {
    if (!this.#isListening) await this.#pair.listener.close()
    if (!this.#isBound) await this.#pair.socket.close()
  }
}

class Handlers {
  onStream: (stream: ByteStream) => void = (stream) => stream.destroy()
  onDatagram: (bytes: Uint8Array, from: Address) => void = () => {}
}
