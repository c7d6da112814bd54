import {
  type AnyDeclaration,
  type AssembledMessage,
  ByteReader,
  type MessageDeclaration
} from '../../wire/index.js'

/** Decodes the bodies of one connection's messages; what is read may be a view on their bytes. */
export class BodyReader {
  readonly #reader = new ByteReader(new Uint8Array(0))

  /** @throws ProtocolError when the bytes are not exactly one body */
  read<Body>(message: AssembledMessage, declaration: MessageDeclaration<Body>): Body {
    return this.readAny(message, declaration as AnyDeclaration) as Body
  }

  readAny(message: AssembledMessage, declaration: AnyDeclaration): unknown {
    const reader = this.#reader.reset(message.bytes, message.start, message.end)
    const body = declaration.codec.read(reader)
    reader.expectEnd()
    return body
  }
}
