/**
 * First in, first out within a priority; the most important priority first. The bound is the
 * owner's.
 *
 * 1. Items come out by (priority, order); an order that was given before keeps its place.
 */
import { must } from '../../core/assert.js'
import { Priorities, type Priority } from '../../core/ports/messenger.js'

export interface Queued {
  readonly priority: Priority
  /** Rises with the time of arrival. */
  readonly order: number
}

export class PriorityQueue<Item extends Queued> {
  readonly #lanes: Readonly<Record<Priority, Item[]>> = {
    [Priorities.Critical]: [],
    [Priorities.High]: [],
    [Priorities.Normal]: [],
    [Priorities.Low]: []
  }

  get length(): number {
    return lanes.reduce<number>((sum, lane) => sum + this.#lanes[lane].length, 0)
  }

  /** Mostly at the end of its lane. */
  add(item: Item): void {
    const lane = this.#lanes[item.priority]
    let at = lane.length
    while (at > 0 && must(lane[at - 1], 'item').order > item.order) at--
    lane.splice(at, 0, item)
  }

  remove(item: Item): void {
    const lane = this.#lanes[item.priority]
    const at = lane.indexOf(item)
    if (at >= 0) lane.splice(at, 1)
  }

  /** The first that may come, without taking it out. */
  first(mayCome: (item: Item) => boolean): Item | null {
    for (const lane of lanes) {
      const found = this.#lanes[lane].find(mayCome)
      if (found !== undefined) return found
    }
    return null
  }

  firstOf(priority: Priority): Item | null {
    return this.#lanes[priority][0] ?? null
  }

  shift(): Item | null {
    for (const lane of lanes) {
      const item = this.#lanes[lane].shift()
      if (item !== undefined) return item
    }
    return null
  }

  *[Symbol.iterator](): Iterator<Item> {
    for (const lane of lanes) yield* this.#lanes[lane]
  }
}

const lanes: readonly Priority[] = [
  Priorities.Critical,
  Priorities.High,
  Priorities.Normal,
  Priorities.Low
]
