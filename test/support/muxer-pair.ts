import type { ClusterId, MonotonicMs, WallMs } from '../../src/core/ids.js'
import type { PeerIdentity } from '../../src/core/ports/stream-network.js'
import type { MuxEvent } from '../../src/network/mux/mux-events.js'
import { Muxer } from '../../src/network/mux/muxer.js'
import type { MuxerLimits, Packing } from '../../src/network/mux/muxer-options.js'
import {
  createTransportCounters,
  type TransportCounters
} from '../../src/network/mux/transport-counters.js'
import type { MessagePolicy } from '../../src/network/security/message-policy.js'
import { BufferPool, type Catalogue, HybridClock } from '../../src/wire/index.js'
import { catalogue, node } from './transport-world.js'

export const muxerLimits: MuxerLimits = {
  handshakeTimeoutMs: 1_000,
  keepAliveIntervalMs: 1_000,
  idleTimeoutMs: 5_000,
  sendQueueLengthMax: 10_000,
  sendQueueBytesMax: 16 * 1024 * 1024,
  requestsInFlightMax: 10_000,
  requestsServedMax: 100,
  reassemblyBytesMax: 4 * 1024 * 1024,
  streamsPerConnectionMax: 100,
  streamWindowBytes: 256 * 1024,
  streamConnectionWindowBytes: 4 * 1024 * 1024,
  streamStallTimeoutMs: 30_000
}

export const identityOf = (name: string): PeerIdentity => ({
  kind: 'node',
  nodeId: node(name),
  clusterName: 'test'
})

interface EndOptions {
  readonly local: PeerIdentity
  readonly isDialer: boolean
  readonly limits?: Partial<MuxerLimits>
  readonly catalogue?: Catalogue
  readonly clusterId?: ClusterId
  readonly packing?: Packing
  readonly policy?: MessagePolicy
}

/** A muxer with its events; time is an argument of the test. */
export class MuxerEnd {
  readonly muxer: Muxer<string>
  readonly counters: TransportCounters = createTransportCounters()
  readonly events: MuxEvent<string>[] = []
  #ids = 0

  constructor(options: EndOptions) {
    this.muxer = new Muxer(
      {
        catalogue: options.catalogue ?? catalogue,
        ...(options.policy === undefined ? {} : { policy: options.policy }),
        buffers: new BufferPool(),
        hybridClock: new HybridClock(500),
        counters: this.counters,
        nextMessageId: () => ++this.#ids,
        nextHelloSequence: () => 1,
        clusterId: () => options.clusterId ?? null,
        ...(options.packing === undefined ? {} : { packing: options.packing })
      },
      {
        local: options.local,
        isDialer: options.isDialer,
        lane: 0,
        connectionsPerPeerMax: 4,
        bootNonce: new Uint8Array(16).fill(options.isDialer ? 1 : 2),
        limits: { ...muxerLimits, ...options.limits }
      }
    )
  }

  receive(chunk: Uint8Array, now = 0): void {
    this.muxer.receive(chunk, at(now), wall(now))
    this.collect()
  }

  collect(): void {
    this.events.push(...this.muxer.drain())
  }

  /** Everything that waits to be sent. */
  pullAll(now = 0): Uint8Array {
    const chunks: Uint8Array[] = []
    for (;;) {
      const chunk = this.muxer.pull(64 * 1024, wall(now))
      if (chunk === null) break
      chunks.push(chunk)
    }
    this.collect()
    return Buffer.concat(chunks)
  }

  kinds(): string[] {
    return this.events.map((event) => event.kind)
  }

  /** The error of `done`; null in peace, undefined when it is not done. */
  get doneError() {
    const done = this.events.find((event) => event.kind === 'done')
    return done?.kind === 'done' ? done.error : undefined
  }
}

export class MuxerPair {
  readonly dialler: MuxerEnd
  readonly acceptor: MuxerEnd

  constructor(dialler: Partial<EndOptions> = {}, acceptor: Partial<EndOptions> = {}) {
    this.dialler = new MuxerEnd({ local: identityOf('a'), ...dialler, isDialer: true })
    this.acceptor = new MuxerEnd({ local: identityOf('b'), ...acceptor, isDialer: false })
    this.acceptor.muxer.attach(dialler.local ?? identityOf('a'), at(0), wall(0))
    this.dialler.muxer.attach(acceptor.local ?? identityOf('b'), at(0), wall(0))
  }

  /** Carries bytes to and fro until there are none. */
  pump(now = 0): this {
    for (let moved = true; moved; ) {
      moved = false
      for (const [from, to] of [
        [this.dialler, this.acceptor],
        [this.acceptor, this.dialler]
      ] as const) {
        const bytes = from.pullAll(now)
        if (bytes.length === 0) continue
        moved = true
        to.receive(bytes, now)
      }
    }
    return this
  }
}

export const at = (ms: number) => ms as MonotonicMs
export const wall = (ms: number) => (1_700_000_000_000 + ms) as WallMs
