import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import {
  type Address,
  Counters,
  type DatagramNetwork,
  type DatagramSocket,
  datagramSizeBytesMax,
  ListenFailedError,
  type Logger
} from '../core/index.js'
import { formatAddress, parseAddress } from './addresses.js'

export const datagramCounterNames = ['datagrams_sent', 'datagrams_received', 'send_errors'] as const

/** What bursts of a large cluster need; the system may grant less. */
const receiveBufferBytes = 1024 * 1024

/** UDP. Sending never throws: what the system refuses is counted, as any other loss is not. */
export class UdpDatagramNetwork implements DatagramNetwork {
  readonly counters = new Counters(datagramCounterNames)
  readonly #logger: Logger

  constructor(components: { readonly logger: Logger }) {
    this.#logger = components.logger
  }

  async bind(
    address: Address,
    onDatagram: (bytes: Uint8Array, from: Address) => void
  ): Promise<DatagramSocket> {
    const { host, port } = parseAddress(address)
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (cause: NodeJS.ErrnoException) => {
        socket.close()
        const details = { systemCode: cause.code ?? 'unknown' }
        reject(
          new ListenFailedError(`cannot bind UDP ${address}: ${cause.message}`, { cause, details })
        )
      })
      socket.bind({ address: host, port, exclusive: true }, resolve)
    })
    socket.removeAllListeners('error')
    socket.on('error', (error) => this.#onError(error))
    this.#growReceiveBuffer(socket)
    socket.on('message', (bytes, from) => {
      this.counters.add('datagrams_received')
      onDatagram(bytes, formatAddress(from.address, from.port))
    })
    return new UdpSocket(socket, host, this.counters, (error) => this.#onError(error))
  }

  #growReceiveBuffer(socket: Socket): void {
    try {
      socket.setRecvBufferSize(receiveBufferBytes)
    } catch (error) {
      this.#logger.info({ error }, 'the UDP receive buffer keeps its size')
    }
  }

  #onError(error: Error): void {
    this.counters.add('send_errors')
    this.#logger.debug({ error }, 'datagram not sent')
  }
}

class UdpSocket implements DatagramSocket {
  readonly address: Address
  readonly #socket: Socket
  readonly #counters: Counters<(typeof datagramCounterNames)[number]>
  readonly #onSent: (error: Error | null) => void
  #closed: Promise<void> | null = null

  constructor(
    socket: Socket,
    host: string,
    counters: Counters<(typeof datagramCounterNames)[number]>,
    onError: (error: Error) => void
  ) {
    this.#socket = socket
    this.#counters = counters
    this.#onSent = (error) => {
      if (error !== null && error !== undefined) onError(error)
    }
    this.address = formatAddress(host, socket.address().port)
  }

  send(to: Address, bytes: Uint8Array): void {
    if (this.#closed !== null) return
    if (bytes.length > datagramSizeBytesMax) {
      this.#onSent(new RangeError(`datagram of ${bytes.length} bytes`))
      return
    }
    const { host, port } = parseAddress(to)
    this.#counters.add('datagrams_sent')
    // Copied, because the socket may send later than the caller may use its buffer again.
    this.#socket.send(Buffer.from(bytes), port, host, this.#onSent)
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#socket.close(resolve))
    return this.#closed
  }
}
