/**
 * A message is declared once; codec, authorisation, inspection and documentation derive from the
 * declaration. Numbers are append-only: a number that was ever used keeps its meaning.
 *
 * Ranges: 0x0000 control, 0x0100 membership, 0x0200 consensus, 0x0300 queries and routing,
 * 0x0400 health, 0x0500 transactions, 0x0600 sessions, 0x0640 drains and restarts, 0x0700
 * services, 0x0800 state transfer, 0x0900 streams, 0x0A00 the control group, 0xF000 the
 * embedder's own.
 *
 * Who may send and who may receive is denied unless a declaration allows it.
 */
import { assert } from '../core/assert.js'
import type { MessageType, Priority, RequestType } from '../core/ports/messenger.js'
import type { Codec } from './codec.js'

/** From here on numbers are the embedder's; the first is `Custom`. */
export const firstCustomNumber = 0xf000

/** Who may send a message: cluster members, or clients with a client certificate too. */
export type SenderRole = 'node' | 'client'

export interface MessageDeclaration<Body> extends MessageType<Body> {
  readonly kind: 'oneWay' | 'request' | 'response'
  readonly senders: readonly SenderRole[]
  /** At whom it may arrive: nodes, or clients too. A response goes to who may ask. */
  readonly receivers: readonly SenderRole[]
  /** The first protocol version that knows it. */
  readonly since: number
  readonly codec: Codec<Body>
  /** Large bodies may be compressed. Never for secrets: their size would tell of them. */
  readonly compress: boolean
  /** Bodies hold keys or the like: inspection shows nothing of them. */
  readonly secret: boolean
  /** One sentence for the documentation. */
  readonly about: string
}

export interface RequestDeclaration<Body, Answer>
  extends MessageDeclaration<Body>,
    RequestType<Body, Answer> {
  readonly kind: 'request'
  readonly response: MessageDeclaration<Answer>
}

export type AnyDeclaration = MessageDeclaration<unknown>

interface MessageInit<Body> {
  readonly number: number
  readonly name: string
  readonly priority: Priority
  /** Default: nodes. */
  readonly senders?: readonly SenderRole[]
  /** Default: nodes. */
  readonly receivers?: readonly SenderRole[]
  readonly since?: number
  /** Default: never compressed. Holds for a response as for its request. */
  readonly compress?: boolean
  /** Default: no. Holds for a response as for its request. */
  readonly secret?: boolean
  readonly body: Codec<Body>
  readonly about: string
}

export function declareMessage<Body>(init: MessageInit<Body>): MessageDeclaration<Body> {
  return declare('oneWay', init)
}

/** Declares a request and its response; the response has the number behind the request's. */
export function declareRequest<Body, Answer>(
  init: MessageInit<Body> & {
    readonly answer: Codec<Answer>
    /** Default: the request's name with `Response` behind it. */
    readonly answerName?: string
  }
): RequestDeclaration<Body, Answer> {
  const response = declare('response', {
    ...init,
    number: init.number + 1,
    name: init.answerName ?? `${init.name}Response`,
    senders: init.receivers ?? ['node'],
    receivers: init.senders ?? ['node'],
    body: init.answer,
    about: `Answers ${init.name}.`
  })
  return { ...declare('request', init), kind: 'request', response }
}

/** For documentation: `node → node`, `node, client → node`, … */
export const directionOf = ({ senders, receivers }: AnyDeclaration): string =>
  `${senders.join(', ')} → ${receivers.join(', ')}`

function declare<Body>(
  kind: MessageDeclaration<Body>['kind'],
  init: MessageInit<Body>
): MessageDeclaration<Body> {
  assert(
    Number.isInteger(init.number) && init.number >= 0 && init.number <= 0xffff,
    `message number ${init.number}`
  )
  assert(!(init.secret && init.compress), `${init.name}: secrets are not compressed`)
  return {
    number: init.number,
    name: init.name,
    priority: init.priority,
    kind,
    senders: init.senders ?? ['node'],
    receivers: init.receivers ?? ['node'],
    since: init.since ?? 1,
    codec: init.body,
    compress: init.compress ?? false,
    secret: init.secret ?? false,
    about: init.about
  }
}
