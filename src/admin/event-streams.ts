import type { ServerResponse } from 'node:http'
import {
  BackpressureError,
  type ClusterEvent,
  type ClusterManager,
  type EventSubscription,
  type Logger
} from '../core/index.js'

/** A comment is sent after so long without an event, so that dead connections are found. */
const heartbeatIntervalMs = 15_000

export interface EventStreamsOptions {
  /** At the bound further streams are refused with ERR_SKEIN_BACKPRESSURE. */
  readonly eventSubscribersMax: number
}

/**
 * Server-sent events: `id` is the event's sequence number, `event` its type, `data` the event as
 * JSON. A subscriber that is too slow loses events and is told how many by an event `Dropped`.
 */
export class EventStreams {
  readonly #manager: ClusterManager
  readonly #logger: Logger
  readonly #subscribersMax: number
  readonly #open = new Set<EventSubscription>()

  constructor(
    components: { readonly manager: ClusterManager; readonly logger: Logger },
    options: EventStreamsOptions
  ) {
    this.#manager = components.manager
    this.#logger = components.logger
    this.#subscribersMax = options.eventSubscribersMax
  }

  get count(): number {
    return this.#open.size
  }

  /** @throws BackpressureError before anything is written */
  subscribe(): EventSubscription {
    if (this.#open.size >= this.#subscribersMax) {
      throw new BackpressureError(`${this.#open.size} event streams are open`)
    }
    const subscription = this.#manager.subscribeToEvents()
    this.#open.add(subscription)
    return subscription
  }

  /** Writes until the client goes or the stream is closed. */
  async pump(subscription: EventSubscription, response: ServerResponse): Promise<void> {
    const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatIntervalMs)
    response.once('close', () => subscription.close())
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff'
    })
    response.write(': events of this node\n\n')
    try {
      await this.#write(subscription, response)
    } catch (error) {
      this.#logger.warn({ error }, 'an event stream broke')
    } finally {
      clearInterval(heartbeat)
      this.#open.delete(subscription)
      subscription.close()
      response.end()
    }
  }

  /** Ends every stream. */
  close(): void {
    for (const subscription of [...this.#open]) subscription.close()
  }

  async #write(subscription: EventSubscription, response: ServerResponse): Promise<void> {
    let dropped = 0
    for await (const event of subscription) {
      if (response.destroyed) return
      let text = ''
      if (subscription.dropped > dropped) {
        const missed = subscription.dropped - dropped
        dropped = subscription.dropped
        text = `event: Dropped\ndata: ${JSON.stringify({ type: 'Dropped', missed, dropped })}\n\n`
      }
      if (!response.write(text + formatEvent(event))) await drained(response)
    }
  }
}

const formatEvent = (event: ClusterEvent): string =>
  `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const end = () => {
      response.off('drain', end)
      response.off('close', end)
      resolve()
    }
    response.once('drain', end)
    response.once('close', end)
  })
}
