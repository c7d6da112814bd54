/**
 * Datagrams between simulated hosts: late, lost, doubled, out of order, cut off; never corrupted.
 */
import {
  type Address,
  assert,
  type DatagramNetwork,
  type DatagramSocket,
  datagramSizeBytesMax,
  ListenFailedError
} from '../core/index.js'
import type { Links } from './links.js'
import type { SimulatedProcess, VirtualTime } from './virtual-clock.js'

interface Bound {
  readonly process: SimulatedProcess
  readonly onDatagram: (bytes: Uint8Array, from: Address) => void
}

/** What a paused process finds in its socket's buffer; the rest was dropped by its system. */
const waitingDatagramsMax = 256

export class SimulatedDatagramWorld {
  readonly #time: VirtualTime
  readonly #links: Links
  readonly #bound = new Map<Address, Bound>()

  constructor(time: VirtualTime, links: Links) {
    this.#time = time
    this.#links = links
  }

  /** The port as one process sees it. */
  networkOf(process: SimulatedProcess): DatagramNetwork {
    return {
      bind: async (address, onDatagram) => {
        if (this.#bound.has(address)) throw new ListenFailedError(`${address} is taken`)
        const bound: Bound = { process, onDatagram }
        this.#bound.set(address, bound)
        const release = () => {
          if (this.#bound.get(address) === bound) this.#bound.delete(address)
        }
        process.onExit(release)
        return this.#socketOf(process, address, release)
      }
    }
  }

  #socketOf(process: SimulatedProcess, address: Address, release: () => void): DatagramSocket {
    let closed = false
    return {
      address,
      send: (to, bytes) => {
        assert(bytes.length <= datagramSizeBytesMax, `datagram of ${bytes.length} bytes`)
        if (closed || !process.alive) return
        this.#time.trace.bytes(bytes)
        this.#transmit(process, address, to, bytes.slice())
      },
      close: async () => {
        closed = true
        release()
      }
    }
  }

  #transmit(process: SimulatedProcess, from: Address, to: Address, bytes: Uint8Array): void {
    const target = this.#bound.get(to)?.process.host
    if (target === undefined) return
    if (this.#links.meetCut(process.host, target) || this.#links.losesDatagram()) return
    const copies = this.#links.duplicatesDatagram() ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      let latency = this.#links.latencyMs() + this.#links.addedMs(process.host, target)
      if (this.#links.reordersDatagram()) latency += latency * 4 + 1
      this.#deliverAfter(latency, from, to, copy === 0 ? bytes : bytes.slice())
    }
  }

  #deliverAfter(latency: number, from: Address, to: Address, bytes: Uint8Array): void {
    this.#time.post(this.#time.now + latency, 'datagram.arrives', null, () => {
      const target = this.#bound.get(to)
      if (target === undefined) return
      const { process } = target
      if (process.paused && process.waiting.length >= waitingDatagramsMax) return
      this.#time.post(this.#time.now, 'datagram', process, () => {
        if (this.#bound.get(to) === target) target.onDatagram(bytes, from)
      })
    })
  }
}
