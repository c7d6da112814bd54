import type { Address } from './stream-network.js'

export interface DatagramSocket {
  readonly address: Address
  /** Best effort; the bytes are copied or sent before it returns. */
  send(to: Address, bytes: Uint8Array): void
  close(): Promise<void>
}

/** Unreliable, unordered, unauthenticated packets of at most `datagramSizeBytesMax` bytes. */
export interface DatagramNetwork {
  bind(
    address: Address,
    onDatagram: (bytes: Uint8Array, from: Address) => void
  ): Promise<DatagramSocket>
}
