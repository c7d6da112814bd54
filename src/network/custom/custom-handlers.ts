import type { ClusterMessages } from '../../core/cluster-message.js'
import type { MessageHandler } from '../../core/delivery.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { Inbound, MessageType, RequestType } from '../../core/ports/messenger.js'
import { type Catalogue, isCustom } from '../../wire/index.js'

/** Who hands received messages out: delivery, in a node. */
export type HandlerRegistry = ClusterMessages

/** Handlers of the embedder's types; those that came before the registry are kept for it. */
export class CustomHandlers implements ClusterMessages {
  readonly #catalogue: Catalogue
  readonly #waiting: ((messenger: HandlerRegistry) => void)[] = []
  #registry: HandlerRegistry | null = null

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  attach(registry: HandlerRegistry): void {
    this.#registry = registry
    for (const register of this.#waiting.splice(0)) register(registry)
  }

  onMessage<Body>(type: MessageType<Body>, handle: MessageHandler<Body>): void {
    this.#expectKnown(type)
    this.#register((registry) => registry.onMessage(type, handle))
  }

  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void {
    this.#expectKnown(type)
    this.#register((registry) => registry.onRequest(type, handle))
  }

  #register(register: (messenger: HandlerRegistry) => void): void {
    if (this.#registry === null) this.#waiting.push(register)
    else register(this.#registry)
  }

  #expectKnown({ number, name }: Pick<MessageType<unknown>, 'number' | 'name'>): void {
    const known = this.#catalogue.byNumber(number)
    if (isCustom({ number }) && known?.name === name) return
    throw new InvalidArgumentError('type', `${name} is not among the messages of create()`)
  }
}
