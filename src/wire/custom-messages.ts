/** Messages that an embedder declares: numbers 0xF001 to 0xFFFF, bodies as it likes. */
import { InvalidArgumentError, MessageTooLargeError, ProtocolError } from '../core/errors.js'
import { messageSizeBytesMax } from '../core/limits.js'
import { Priorities, type Priority } from '../core/ports/messenger.js'
import type { Codec } from './codec.js'
import {
  type AnyDeclaration,
  declareMessage,
  declareRequest,
  firstCustomNumber,
  type MessageDeclaration,
  type RequestDeclaration,
  type SenderRole
} from './declaration.js'

/** The whole body as bytes, by functions of the embedder's. */
export interface BodyCodec<Body> {
  encode(body: Body): Uint8Array
  /** The bytes are a view on what was received; whatever it throws, the message is refused. */
  decode(bytes: Uint8Array): Body
}

export interface CustomMessage<Body> {
  /** 0xF001 to 0xFFFF; a response takes the number behind its request's. */
  readonly number: number
  readonly name: string
  /** Default: normal. */
  readonly priority?: Priority
  /** Who may send it. Default: nodes. */
  readonly senders?: readonly SenderRole[]
  /** At whom it may arrive. Default: nodes. */
  readonly receivers?: readonly SenderRole[]
  readonly about?: string
  /** Whether large bodies are compressed; never for secrets. Default: false. */
  readonly compress?: boolean
  /** Whether bodies hold keys or the like, of which `inspect` shows nothing. Default: false. */
  readonly secret?: boolean
  /** In the schema language, which older and newer versions can read, or a pair of functions. */
  readonly body: Codec<Body> | BodyCodec<Body>
}

export interface CustomRequest<Body, Answer> extends CustomMessage<Body> {
  readonly answer: Codec<Answer> | BodyCodec<Answer>
  /** Default: the request's name with `Response` behind it. */
  readonly answerName?: string
}

/** @throws InvalidArgumentError number or name cannot be a message's */
export function defineMessage<Body>(init: CustomMessage<Body>): MessageDeclaration<Body> {
  check(init, 1)
  return declareMessage({ ...common(init), body: customCodec(init.body) })
}

/** @throws InvalidArgumentError number or name cannot be a message's */
export function defineRequest<Body, Answer>(
  init: CustomRequest<Body, Answer>
): RequestDeclaration<Body, Answer> {
  check(init, 2)
  return declareRequest({
    ...common(init),
    ...(init.answerName === undefined ? {} : { answerName: init.answerName }),
    body: customCodec(init.body),
    answer: customCodec(init.answer)
  })
}

/** What `defineMessage` and `defineRequest` answer, whatever its body. */
export type CustomDeclaration = Pick<AnyDeclaration, 'number' | 'name' | 'kind'>

/** Whether an embedder declared it, and its codec is not ours to trust. */
export const isCustom = ({ number }: Pick<AnyDeclaration, 'number'>): boolean =>
  number >= firstCustomNumber

const common = ({
  number,
  name,
  priority,
  senders,
  receivers,
  about,
  compress,
  secret
}: Omit<CustomMessage<unknown>, 'body'>) => ({
  number,
  name,
  compress: compress ?? false,
  secret: secret ?? false,
  priority: priority ?? Priorities.Normal,
  about: about ?? '',
  ...(senders === undefined ? {} : { senders }),
  ...(receivers === undefined ? {} : { receivers })
})

function check(
  { number, name, compress, secret }: Omit<CustomMessage<unknown>, 'body'>,
  numbers: number
): void {
  if (!/^[A-Za-z][A-Za-z0-9]{0,62}$/.test(name)) {
    throw new InvalidArgumentError('name', 'a letter, then letters and digits, 63 at most')
  }
  if (secret && compress) {
    throw new InvalidArgumentError(
      'secret',
      `${name}: the size of compressed secrets tells of them`
    )
  }
  const last = number + numbers - 1
  if (!Number.isInteger(number) || number <= firstCustomNumber || last > 0xffff) {
    throw new InvalidArgumentError(
      'number',
      `${name} has ${number}; embedders' are 0xF001 to 0xFFFF`
    )
  }
}

/** Written from an embedder's value: what does not fit is its argument's fault, not ours. */
export function customCodec<Body>(body: Codec<Body> | BodyCodec<Body>): Codec<Body> {
  const codec = 'encode' in body ? ownCodec(body) : body
  return {
    ...codec,
    write(writer, value) {
      try {
        codec.write(writer, value)
      } catch (error) {
        if (error instanceof MessageTooLargeError) throw error
        const reason = error instanceof Error ? error.message : String(error)
        throw new InvalidArgumentError('body', reason)
      }
    }
  }
}

/** The bytes up to the end of the body. */
function ownCodec<Body>({ encode, decode }: BodyCodec<Body>): Codec<Body> {
  return {
    spec: { kind: 'opaque' },
    write: (writer, value) => writer.raw(encode(value)),
    read(reader) {
      const bytes = reader.raw(Math.min(reader.remaining, messageSizeBytesMax))
      try {
        return decode(bytes)
      } catch (cause) {
        throw new ProtocolError('the body cannot be decoded', { cause })
      }
    }
  }
}
