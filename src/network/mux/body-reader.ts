import { ProtocolError } from '../../core/errors.js'
import {
  type AnyDeclaration,
  type AssembledMessage,
  ByteReader,
  isCustom,
  type MessageDeclaration
} from '../../wire/index.js'

/** A body in a language of the embedder's: one message is refused for it, not the connection. */
export class UnreadableBodyError extends ProtocolError {}

/** Decodes the bodies of one connection's messages; what is read may be a view on their bytes. */
export class BodyReader {
  readonly #reader = new ByteReader(new Uint8Array(0))

  /** @throws ProtocolError when the bytes are not exactly one body */
  read<Body>(message: AssembledMessage, declaration: MessageDeclaration<Body>): Body {
    return this.readAny(message, declaration as AnyDeclaration) as Body
  }

  readAny(message: AssembledMessage, declaration: AnyDeclaration): unknown {
    if (isCustom(declaration)) return this.#readCustom(message, declaration)
    return this.#read(message, declaration)
  }

  #readCustom(message: AssembledMessage, declaration: AnyDeclaration): unknown {
    try {
      return this.#read(message, declaration)
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause
      throw new UnreadableBodyError(`${declaration.name}: ${cause.message}`, { cause })
    }
  }

  #read(message: AssembledMessage, declaration: AnyDeclaration): unknown {
    const reader = this.#reader.reset(message.bytes, message.start, message.end)
    const body = declaration.codec.read(reader)
    reader.expectEnd()
    return body
  }
}
