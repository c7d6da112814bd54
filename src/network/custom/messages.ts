/** The message of embedders that declare none of their own: a name and bytes, 0xF000. */
import { messageSizeBytesMax } from '../../core/limits.js'
import { Priorities } from '../../core/ports/messenger.js'
import {
  bytes,
  customCodec,
  declareMessage,
  firstCustomNumber,
  openStruct,
  text
} from '../../wire/index.js'

/** Leaves room for the name and later fields. */
export const customPayloadBytesMax = messageSizeBytesMax - 1_024

export const customMessage = declareMessage({
  number: firstCustomNumber,
  name: 'Custom',
  priority: Priorities.Normal,
  body: customCodec(openStruct({ msgType: text(255), payload: bytes(customPayloadBytesMax) })),
  about: 'Whatever an embedder has to say; types of its own are told apart by number instead.'
})

/** Everything this file declares, for the catalogue. */
export const customMessages = [customMessage] as const
