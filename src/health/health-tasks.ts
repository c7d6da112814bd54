import type { Distribution } from '../core/health-views.js'
/**
 * What the health room does off the main loop: distributions per peer from the shared ring, and
 * the search for relays. One ring per runner; a lost worker loses the distributions and nothing
 * else, the next one reads on where it stopped.
 */
import type { NodeId } from '../core/ids.js'
import { type CostTable, type RelayProposal, searchRelays } from './route-search.js'
import { SampleReader } from './sample-ring.js'
import { type Histogram, WindowedHistogram } from './windowed-histogram.js'

export interface CollectRequest {
  readonly ring: SharedArrayBuffer
  readonly nowMs: number
  readonly windowMs: number
}

export interface Collected {
  readonly samples: number
  /** Since the ring was made. */
  readonly lost: number
}

/** A window is kept in so many slots: its age is right to a fifth. */
const windowSlots = 5

export class HealthTasks {
  readonly #create: () => Histogram
  readonly #scratch: Histogram
  readonly #peers = new Map<number, WindowedHistogram>()
  #reader: SampleReader | null = null

  constructor(create: () => Histogram) {
    this.#create = create
    this.#scratch = create()
  }

  /** Takes what stands in the ring: round trips in milliseconds, tagged by peer. */
  collect({ ring, nowMs, windowMs }: CollectRequest): Collected {
    this.#reader ??= new SampleReader(ring)
    const samples = this.#reader.take((tag, ms) => this.#peer(tag, windowMs).record(ms, nowMs))
    return { samples, lost: this.#reader.lost }
  }

  /** By tag, of those that were seen in the window. */
  distributions({ nowMs }: { readonly nowMs: number }): ReadonlyMap<number, Distribution> {
    const distributions = new Map<number, Distribution>()
    for (const [tag, peer] of this.#peers) {
      const distribution = peer.distribution(nowMs, this.#scratch)
      if (distribution !== null) distributions.set(tag, distribution)
    }
    return distributions
  }

  forget({ tags }: { readonly tags: readonly number[] }): void {
    for (const tag of tags) {
      this.#peers.get(tag)?.destroy()
      this.#peers.delete(tag)
    }
  }

  searchRoutes(request: { readonly table: CostTable; readonly self: NodeId }): RelayProposal[] {
    return searchRelays(request.table, request.self)
  }

  #peer(tag: number, windowMs: number): WindowedHistogram {
    let peer = this.#peers.get(tag)
    if (peer === undefined) {
      const slotMs = windowMs / windowSlots
      peer = new WindowedHistogram({ slots: windowSlots, slotMs, create: this.#create })
      this.#peers.set(tag, peer)
    }
    return peer
  }
}
