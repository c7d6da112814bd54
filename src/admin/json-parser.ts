import type { FastifyInstance } from 'fastify'
import { InvalidArgumentError } from '../core/index.js'
import { checkJsonShape } from './json-shape.js'

/**
 * JSON alone is taken: a form of a foreign page can post text, and only a program posts JSON. Bytes
 * that are no UTF-8 are refused, because they would be replaced without a word.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      const bytes = body as Buffer
      checkJsonShape(bytes)
      parse(request, decodeText(decoder, bytes), done)
    } catch (error) {
      done(error as Error)
    }
  })
}

/** @throws InvalidArgumentError */
function decodeText(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new InvalidArgumentError('body', 'is no UTF-8')
  }
}
