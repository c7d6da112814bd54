import type { Socket } from 'node:net'
import { Counters, type Logger } from '../core/index.js'

export const handshakeCounterNames = [
  'handshakes_accepted',
  'dials_succeeded',
  'dials_failed',
  'dials_refused_identity',
  'refused_too_many',
  'refused_timeout',
  'refused_no_certificate',
  'refused_untrusted',
  'refused_expired',
  'refused_identity',
  'refused_revoked',
  'refused_key_updates',
  'refused_version',
  'refused_protocol'
] as const
export type HandshakeCounterName = (typeof handshakeCounterNames)[number]
export type HandshakeRefusal = Extract<HandshakeCounterName, `refused_${string}`>
export type HandshakeCounters = Counters<HandshakeCounterName>

export const handshakeCounters = (): HandshakeCounters => new Counters(handshakeCounterNames)

/** Half-open inbound connections from one address; one machine may run many nodes. */
export const handshakesPerAddressMax = 64

/** Inbound connections that have not proved who they are, bounded in all and per address. */
export class HandshakeGate {
  readonly #counters: HandshakeCounters
  readonly #logger: Logger
  readonly #handshakesMax: number
  readonly #open = new Map<string, Socket>()
  readonly #perAddress = new Map<string, number>()

  constructor(
    components: { readonly counters: HandshakeCounters; readonly logger: Logger },
    options: { readonly handshakesMax: number }
  ) {
    this.#counters = components.counters
    this.#logger = components.logger
    this.#handshakesMax = options.handshakesMax
  }

  /** False: refused and destroyed. */
  enter(socket: Socket): boolean {
    socket.on('error', () => socket.destroy())
    const address = socket.remoteAddress
    if (address === undefined) return false
    const fromAddress = this.#perAddress.get(address) ?? 0
    if (this.#open.size >= this.#handshakesMax || fromAddress >= handshakesPerAddressMax) {
      this.refused('refused_too_many', address)
      socket.destroy()
      return false
    }
    const key = keyOf(socket)
    this.#open.set(key, socket)
    this.#perAddress.set(address, fromAddress + 1)
    socket.once('close', () => this.#leave(key, address))
    return true
  }

  /** The peer is known. */
  accepted(socket: Socket): void {
    this.#counters.add('handshakes_accepted')
    this.#leave(keyOf(socket), socket.remoteAddress ?? '')
  }

  refused(reason: HandshakeRefusal, address: string, cause?: Error): void {
    this.#counters.add(reason)
    this.#logger.warn({ address, reason, cause: cause?.message }, 'inbound connection refused')
  }

  /** The listener closes: nobody who is still unknown comes in. */
  closeAll(): void {
    for (const socket of this.#open.values()) socket.destroy()
  }

  #leave(key: string, address: string): void {
    if (!this.#open.delete(key)) return
    const left = (this.#perAddress.get(address) ?? 0) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
  }
}

const keyOf = (socket: Socket): string => `${socket.remoteAddress}|${socket.remotePort}`
