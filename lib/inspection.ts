import { nodeCompression } from '../src/runtime/index.js'
import type { CustomDeclaration } from '../src/wire/index.js'
import { type Frame, type Inspection, inspect as inspectBytes } from '../src/wire/index.js'
import { declaredCatalogue } from './catalogue.js'

/**
 * Takes frames of the stream apart: header fields by name, extension block, body by its
 * declaration, with chunks put together and what is compressed inflated. Never throws for what the
 * bytes are: what is unknown or damaged is shown as such.
 *
 * @param options.messages the embedder's own, as given to `create`
 * @throws InvalidArgumentError one of `messages` has a number or a name that is taken
 */
export const inspect = (
  given: Uint8Array | Frame,
  options: { readonly messages?: readonly CustomDeclaration[] } = {}
): Inspection => inspectBytes(given, declaredCatalogue(options.messages), nodeCompression())
