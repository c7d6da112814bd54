import type { ClusterMessages } from '../../core/cluster-message.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { Inbound, MessageType, Messenger, RequestType } from '../../core/ports/messenger.js'
import { type Catalogue, isCustom } from '../../wire/index.js'

/** Handlers of the embedder's types; those that came before the messenger are kept for it. */
export class CustomHandlers implements ClusterMessages {
  readonly #catalogue: Catalogue
  readonly #waiting: ((messenger: Messenger) => void)[] = []
  #messenger: Messenger | null = null

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  attach(messenger: Messenger): void {
    this.#messenger = messenger
    for (const register of this.#waiting.splice(0)) register(messenger)
  }

  onMessage<Body>(type: MessageType<Body>, handle: (inbound: Inbound<Body>) => void): void {
    this.#expectKnown(type)
    this.#register((messenger) => messenger.onMessage(type, handle))
  }

  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void {
    this.#expectKnown(type)
    this.#register((messenger) => messenger.onRequest(type, handle))
  }

  #register(register: (messenger: Messenger) => void): void {
    if (this.#messenger === null) this.#waiting.push(register)
    else register(this.#messenger)
  }

  #expectKnown({ number, name }: Pick<MessageType<unknown>, 'number' | 'name'>): void {
    const known = this.#catalogue.byNumber(number)
    if (isCustom({ number }) && known?.name === name) return
    throw new InvalidArgumentError('type', `${name} is not among the messages of create()`)
  }
}
