import type { TlsFiles } from '../../src/runtime/index.js'

/** What every subject of the transport bench is made of: a server process and a client process. */

export interface Material {
  readonly certificate: string
  readonly key: string
  readonly authority: string
  readonly files: TlsFiles
}

export interface BenchServer {
  readonly port: number
}

/** `done` is called once, when the answer has come. */
export interface BenchClient {
  /** Asks for an echo. */
  request(payload: Uint8Array, done: () => void): void
  /** Sends one way; false: not taken, `onRoom` comes later. */
  send?(payload: Uint8Array, onRoom: () => void): boolean
  /** Sends bytes until the time is over; answers how many the other end has read. */
  bulk?(chunk: Uint8Array, ms: number): Promise<number>
  /** A request that must not wait for anything else. */
  urgent?(payload: Uint8Array, done: () => void): void
}

export interface BenchPeer {
  serve(material: Material): Promise<BenchServer>
  connect(material: Material, port: number): Promise<BenchClient>
}

export const host = '127.0.0.1'
