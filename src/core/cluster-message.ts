/** Messages of the embedder: what `sendMessage` and `request` take, and how they are received. */
import type { MessageHandler } from './delivery.js'
import type { Inbound, MessageType, RequestType } from './ports/messenger.js'

/** A message: what it is, by its declaration, and what it says. */
export interface ClusterMessage<Body> {
  readonly type: MessageType<Body>
  readonly body: Body
}

/** A request; its declaration names what it is answered with. */
export interface ClusterRequest<Body, Answer> {
  readonly type: RequestType<Body, Answer>
  readonly body: Body
}

/** The sub-facade `manager.messages`: handlers of own types, before or after the start. */
export interface ClusterMessages {
  /**
   * One handler for each type; a sender that waits is told when it is through, or what it threw.
   *
   * @throws InvalidArgumentError the type is not among `messages` of `create`, nor `Custom`
   */
  onMessage<Body>(type: MessageType<Body>, handle: MessageHandler<Body>): void
  /**
   * What the handler throws travels back: a SkeinError as it is, anything else as
   * ERR_SKEIN_INTERNAL.
   *
   * @throws InvalidArgumentError the type is not among `messages` of `create`
   */
  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void
}
