/**
 * Numbers, dates and hands out events to subscribers. Each subscriber has its own bounded queue;
 * a slow one loses its oldest events and can see how many. Publishing never waits for a subscriber.
 */
import { assert } from './assert.js'
import type { EventSubscription } from './cluster-manager.js'
import { BackpressureError } from './errors.js'
import type { ClusterEventBody, Numbered } from './events.js'
import type { WallMs } from './ids.js'

export interface EventHubOptions {
  /** Per subscriber; at the bound its oldest event is dropped and counted. */
  readonly eventQueueLengthMax: number
  /** At the bound `subscribe` throws BackpressureError. */
  readonly eventSubscribersMax: number
}

export class EventHub<Body extends object = ClusterEventBody> {
  readonly #options: EventHubOptions
  readonly #subscriptions = new Set<Subscription<Numbered<Body>>>()
  #sequence = 0

  constructor(options: EventHubOptions) {
    this.#options = options
  }

  get subscriberCount(): number {
    return this.#subscriptions.size
  }

  publish(body: Body, wallTime: WallMs): Numbered<Body> {
    this.#sequence++
    const event: Numbered<Body> = { ...body, sequence: this.#sequence, wallTime }
    for (const subscription of this.#subscriptions) subscription.offer(event)
    return event
  }

  subscribe(): EventSubscription<Numbered<Body>> {
    if (this.#subscriptions.size >= this.#options.eventSubscribersMax) {
      throw new BackpressureError(`${this.#subscriptions.size} event subscribers already`)
    }
    const subscription = new Subscription<Numbered<Body>>(
      this.#options.eventQueueLengthMax,
      (closed) => this.#subscriptions.delete(closed)
    )
    this.#subscriptions.add(subscription)
    return subscription
  }

  /** Ends every subscription after its queued events. */
  close(): void {
    for (const subscription of [...this.#subscriptions]) subscription.close()
  }
}

class Subscription<Event> implements EventSubscription<Event> {
  readonly #queueLengthMax: number
  readonly #onClose: (subscription: Subscription<Event>) => void
  #queue: Event[] = []
  #waiting: ((result: IteratorResult<Event>) => void) | null = null
  #closed = false
  #dropped = 0

  constructor(queueLengthMax: number, onClose: (subscription: Subscription<Event>) => void) {
    this.#queueLengthMax = queueLengthMax
    this.#onClose = onClose
  }

  get dropped(): number {
    return this.#dropped
  }

  offer(event: Event): void {
    const waiting = this.#waiting
    if (waiting !== null) {
      this.#waiting = null
      waiting({ done: false, value: event })
      return
    }
    if (this.#queue.length >= this.#queueLengthMax) {
      this.#queue.shift()
      this.#dropped++
    }
    this.#queue.push(event)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose(this)
    this.#waiting?.({ done: true, value: undefined })
    this.#waiting = null
  }

  [Symbol.asyncIterator](): AsyncIterator<Event> {
    return {
      next: () => this.#next(),
      return: () => {
        this.close()
        return Promise.resolve({ done: true, value: undefined })
      }
    }
  }

  #next(): Promise<IteratorResult<Event>> {
    const event = this.#queue.shift()
    if (event !== undefined) return Promise.resolve({ done: false, value: event })
    if (this.#closed) return Promise.resolve({ done: true, value: undefined })
    assert(this.#waiting === null, 'one event at a time is awaited')
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }
}
