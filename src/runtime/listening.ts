import type { AddressInfo, Server } from 'node:net'
import {
  type Address,
  type DatagramNetwork,
  type DatagramSocket,
  hasCode,
  ListenFailedError,
  type StreamListener,
  type StreamNetwork
} from '../core/index.js'
import { formatAddress, parseAddress } from './addresses.js'
import type { HandshakeGate } from './handshake-gate.js'

/** Where the stream port is free and the datagram port of the same number is not. */
const portPairAttemptsMax = 16

/** @throws ListenFailedError */
export async function listenOn(server: Server, address: Address): Promise<Address> {
  const { host, port } = parseAddress(address)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const details = { systemCode: cause.code ?? 'unknown' }
      reject(
        new ListenFailedError(`cannot listen on ${address}: ${cause.message}`, { cause, details })
      )
    })
    server.listen({ host, port, exclusive: true }, resolve)
  })
  server.removeAllListeners('error')
  return formatAddress(host, (server.address() as AddressInfo).port)
}

/** Accepted streams belong to their owners: waiting for the server to empty would wait for them. */
export async function closeListener(server: Server, gate: HandshakeGate): Promise<void> {
  server.close()
  gate.closeAll()
  await new Promise<void>((resolve) => setImmediate(resolve))
}

export interface PortPair {
  readonly address: Address
  readonly listener: StreamListener
  readonly socket: DatagramSocket
}

/**
 * Binds streams and datagrams to one port number; port 0 picks a free pair.
 *
 * @throws ListenFailedError
 */
export async function bindPortPair(
  networks: { readonly streams: StreamNetwork; readonly datagrams: DatagramNetwork },
  address: Address,
  handlers: {
    readonly onStream: Parameters<StreamNetwork['listen']>[1]
    readonly onDatagram: Parameters<DatagramNetwork['bind']>[1]
  }
): Promise<PortPair> {
  const picksPort = parseAddress(address).port === 0
  for (let attempt = 1; ; attempt++) {
    const listener = await networks.streams.listen(address, handlers.onStream)
    try {
      const socket = await networks.datagrams.bind(listener.address, handlers.onDatagram)
      return { address: listener.address, listener, socket }
    } catch (error) {
      await listener.close()
      const mayRetry = picksPort && attempt < portPairAttemptsMax
      if (!mayRetry || !hasCode(error, 'ERR_SKEIN_LISTEN_FAILED')) throw error
    }
  }
}
