/** What simulated nodes write to one another. */
import { type CustomDeclaration, defineMessage, schema } from '../wire/index.js'

export const letter = defineMessage({
  number: 0xf0f0,
  name: 'Letter',
  compress: true,
  body: schema.openStruct({ number: schema.u32, filler: schema.bytes(256 * 1024) })
})

export const mailDeclarations: readonly CustomDeclaration[] = [letter]
