/**
 * The frames of byte streams, part of the control family. The extension block of each names the
 * stream; 0 is the connection itself. The dialler numbers its streams oddly, the acceptor
 * evenly, both rising.
 */
import { Priorities } from '../../../core/ports/messenger.js'
import { type Codec, declareMessage, oneOf, openStruct, text, u32 } from '../../../wire/index.js'

/** Bytes of a stream in one frame: all that a critical message waits for. */
export const streamDataBytesMax = 32 * 1024
/** What a sender may send on a new stream, and on all streams of a new connection, unasked. */
export const streamWindowBytesInitial = 256 * 1024
export const connectionWindowBytesInitial = 4 * 1024 * 1024
export const streamNameBytesMax = 63

/** Bytes up to the end of the frame, so that a frame can be read in parts. */
const rest: Codec<Uint8Array> = {
  spec: { kind: 'opaque' },
  write: (writer, value) => writer.raw(value),
  read: (reader) => reader.raw(reader.remaining)
}

const senders = ['node', 'client'] as const

export const streamOpen = declareMessage({
  number: 0x0010,
  name: 'StreamOpen',
  priority: Priorities.Critical,
  senders,
  body: openStruct({ name: text(streamNameBytesMax) }),
  about: 'Opens a stream; bytes may follow at once. Leaves with the priority of the stream.'
})

export const streamData = declareMessage({
  number: 0x0011,
  name: 'StreamData',
  priority: Priorities.Critical,
  senders,
  body: rest,
  about: 'Bytes of a stream, counted against its window and that of the connection.'
})

export const streamWindow = declareMessage({
  number: 0x0012,
  name: 'StreamWindow',
  priority: Priorities.Critical,
  senders,
  body: openStruct({ increment: u32 }),
  about: 'So many more bytes may be sent on this stream, or on all streams (0) together.'
})

export const streamEnd = declareMessage({
  number: 0x0013,
  name: 'StreamEnd',
  priority: Priorities.Critical,
  senders,
  body: openStruct({}),
  about: 'The sender has said everything on this stream; it still listens.'
})

/** Append only. */
export const streamResetReasons = [
  'cancelled',
  'refused',
  'limit',
  'unknown',
  'stalled',
  'answered'
] as const
export type StreamResetReason = (typeof streamResetReasons)[number]

export const streamReset = declareMessage({
  number: 0x0014,
  name: 'StreamReset',
  priority: Priorities.Critical,
  senders,
  body: openStruct({ reason: oneOf(streamResetReasons), message: text(512) }),
  about: 'Ends both directions now; answered likewise by an end that had not finished its own.'
})

export const streamMessages = [
  streamOpen,
  streamData,
  streamWindow,
  streamEnd,
  streamReset
] as const

export const isStreamFrame = (type: number): boolean =>
  type >= streamOpen.number && type <= streamReset.number
