import type { Socket } from 'node:net'
import { type Address, InvalidArgumentError } from '../core/index.js'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `host:port` or `[v6]:port`. */
export function parseAddress(address: Address): HostPort {
  const colon = address.lastIndexOf(':')
  const port = Number(address.slice(colon + 1))
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  if (colon > 0 && host !== '' && /^\d{1,5}$/.test(address.slice(colon + 1)) && port <= 65_535) {
    return { host, port }
  }
  throw new InvalidArgumentError('address', `must be host:port, got ${JSON.stringify(address)}`)
}

export const formatAddress = (host: string, port: number): Address =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** Where an accepted socket comes from. */
export const remoteAddressOf = (socket: Socket): Address =>
  formatAddress(socket.remoteAddress ?? '', socket.remotePort ?? 0)
