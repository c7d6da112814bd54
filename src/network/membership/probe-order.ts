/**
 * Who is probed next: the member that went unchecked longest.
 *
 * 1. Every member has one place; one that joins gets a random one.
 * 2. A place moves by up to an eighth of a round at random, so that nodes whose checks of a member
 *    fell together drift apart again.
 * 3. `inRounds`, where only this node's own probes count: each is probed once before any is probed
 *    twice, in another order each round, so that a death is noticed within 2n − 1 intervals (Das et
 *    al. 2002, section 4.3).
 */
import { after } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'

const jitterShare = 1 / 8
const unplaced = Number.NEGATIVE_INFINITY as MonotonicMs

interface Place {
  readonly nodeId: NodeId
  /** Where the heap holds it; it may have moved back since. */
  heldAt: MonotonicMs
  checkedAt: MonotonicMs
  isGone: boolean
}

export class ProbeOrder {
  readonly #random: Random
  readonly #places = new Map<NodeId, Place>()
  /** Without a place yet: how long a round is shows when all that came together are known. */
  #newcomers: Place[] = []
  readonly #inRounds: boolean
  /** The round, where rounds count. */
  #round = 0
  /** A binary heap by `heldAt`; may hold places that are gone, skipped when met. */
  readonly #heap: Place[] = []

  constructor(random: Random, options: { readonly inRounds: boolean }) {
    this.#random = random
    this.#inRounds = options.inRounds
  }

  get size(): number {
    return this.#places.size
  }

  add(nodeId: NodeId): void {
    this.remove(nodeId)
    const place: Place = { nodeId, heldAt: unplaced, checkedAt: unplaced, isGone: false }
    this.#places.set(nodeId, place)
    this.#newcomers.push(place)
  }

  remove(nodeId: NodeId): void {
    const place = this.#places.get(nodeId)
    if (place === undefined) return
    place.isGone = true
    this.#places.delete(nodeId)
  }

  /** It was heard, and hears this node: its turn comes a round later. */
  onChecked(nodeId: NodeId, now: MonotonicMs, roundMs: number): void {
    const place = this.#places.get(nodeId)
    if (place === undefined) return
    place.checkedAt = after(now, (this.#random.nextFloat() - 0.5) * 2 * jitterShare * roundMs)
  }

  /** The one unchecked longest, which counts as checked from now on. */
  next(now: MonotonicMs, roundMs: number): NodeId | null {
    this.#placeNewcomers(now, roundMs)
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return null
      if (first.isGone) this.#pop()
      else if (first.checkedAt > first.heldAt) this.#moveBack(first)
      else {
        if (this.#inRounds) this.#toNextRound(first)
        else this.onChecked(first.nodeId, now, roundMs)
        this.#moveBack(first)
        return first.nodeId
      }
    }
  }

  /** As if each had been checked at some time in the round that ends now. */
  #placeNewcomers(now: MonotonicMs, roundMs: number): void {
    const from = this.#inRounds ? (this.#round as MonotonicMs) : after(now, -roundMs)
    const lengthMs = this.#inRounds ? 1 : roundMs
    for (const place of this.#newcomers) {
      if (place.isGone) continue
      place.heldAt = after(from, this.#random.nextFloat() * lengthMs)
      if (place.checkedAt < place.heldAt) place.checkedAt = place.heldAt
      this.#push(place)
    }
    this.#newcomers = []
  }

  /** Times are rounds here: one is over when each had its turn. */
  #toNextRound(first: Place): void {
    this.#round = Math.floor(first.heldAt)
    first.checkedAt = (this.#round + 1 + this.#random.nextFloat()) as MonotonicMs
  }

  /** Of the first in the heap. */
  #moveBack(first: Place): void {
    first.heldAt = first.checkedAt
    this.#sink(first)
  }

  #push(added: Place): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(added)
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent] as Place
      if (above.heldAt <= added.heldAt) break
      heap[i] = above
      i = parent
    }
    heap[i] = added
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (last !== undefined && this.#heap.length > 0) this.#sink(last)
  }

  #sink(moved: Place): void {
    const heap = this.#heap
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && right.heldAt < (heap[child] as Place).heldAt) child++
      const below = heap[child] as Place
      if (below.heldAt >= moved.heldAt) break
      heap[i] = below
      i = child
    }
    heap[i] = moved
  }
}
