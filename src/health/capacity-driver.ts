import type { Config } from '../core/config/schema.js'
import { after } from '../core/deadlines.js'
import { BackpressureError } from '../core/errors.js'
import type { Capacity } from '../core/health-views.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import { type Messenger, Priorities } from '../core/ports/messenger.js'
import { CapacityProbe } from './capacity-probe.js'
import { capacityChunk } from './messages.js'

/** Chunks are one frame long, so that urgent messages come between them. */
const chunkBytes = 32 * 1024
const chunksInFlight = 8
/** `health.capacityServedBytesMax` is of so much time. */
const servedWindowMs = 10_000

/** Capacity on demand: asks at low priority, serves within a cap. */
export class CapacityProbes {
  readonly #clock: Clock
  readonly #messenger: Messenger
  readonly #config: Config['health']
  #probing = false
  #servedBytes = 0
  #servedSince: MonotonicMs

  constructor(
    components: { readonly clock: Clock; readonly messenger: Messenger },
    config: Config['health']
  ) {
    this.#clock = components.clock
    this.#messenger = components.messenger
    this.#config = config
    this.#servedSince = components.clock.now()
    components.messenger.onRequest(capacityChunk, async ({ body }) => this.#serve(body.payload))
  }

  /**
   * Sends up to `bytesMax` bytes and measures how fast they are taken.
   * @throws BackpressureError a probe of this node is running, or the peer serves no more now
   * @throws what the messenger throws
   */
  async probe(
    nodeId: NodeId,
    options: { readonly bytesMax: number; readonly deadline: MonotonicMs }
  ): Promise<Capacity> {
    if (this.#probing) throw new BackpressureError('a capacity probe is running')
    const bytesMax = Math.min(options.bytesMax, this.#config.capacityProbeBytesMax)
    const probe = new CapacityProbe(
      { bytesMax: Math.max(bytesMax, chunkBytes), chunkBytes, chunksInFlight },
      this.#clock.now()
    )
    this.#probing = true
    try {
      const lanes = Array.from({ length: chunksInFlight }, () =>
        this.#lane(nodeId, probe, options.deadline)
      )
      const [failed] = (await Promise.allSettled(lanes)).filter(isRejected)
      if (failed !== undefined) throw failed.reason
    } finally {
      this.#probing = false
    }
    return probe.result()
  }

  /** One chunk after the other, until there is none to send. */
  async #lane(nodeId: NodeId, probe: CapacityProbe, deadline: MonotonicMs): Promise<void> {
    const payload = new Uint8Array(chunkBytes)
    const options = { deadline, priority: Priorities.Low }
    while (this.#clock.now() < deadline && probe.takeChunk() > 0) {
      const answer = await this.#messenger.request(nodeId, capacityChunk, { payload }, options)
      probe.handleAnswer(answer.received, this.#clock.now())
    }
  }

  #serve(payload: Uint8Array): { received: number } {
    const now = this.#clock.now()
    if (now >= after(this.#servedSince, servedWindowMs)) {
      this.#servedSince = now
      this.#servedBytes = 0
    }
    this.#servedBytes += payload.length
    if (this.#servedBytes > this.#config.capacityServedBytesMax) {
      throw new BackpressureError('too many bytes of capacity probes')
    }
    return { received: payload.length }
  }
}

const isRejected = (outcome: PromiseSettledResult<void>): outcome is PromiseRejectedResult =>
  outcome.status === 'rejected'
