import { type ErrorCode, type ErrorFacts, errorCodes } from '../core/errors.js'
import {
  bool,
  type Codec,
  f64,
  list,
  mapped,
  nodeId,
  openStruct,
  struct,
  text,
  union
} from './codec.js'

const messageTextBytes = 2_048
const detailTextBytes = 512
const detailsKept = 16
const detailTextsKept = 64

type DetailValue = string | number | boolean | readonly string[]

const detailText = text(detailTextBytes)
const detail = struct({
  key: text(63),
  value: union({
    text: [0, struct({ value: detailText })],
    number: [1, struct({ value: f64 })],
    flag: [2, struct({ value: bool })],
    texts: [3, struct({ value: list(detailText, detailTextsKept) })]
  })
})

const wireFacts = openStruct(
  { code: text(63), message: text(messageTextBytes), retryable: bool },
  { leaderHint: [1, nodeId], nodeId: [2, nodeId], details: [3, list(detail, detailsKept)] }
)

/**
 * An error's facts. Texts that are too long are cut; a code that is not known becomes INTERNAL.
 */
export const errorFacts: Codec<ErrorFacts> = mapped(
  wireFacts,
  ({ details, ...facts }: ErrorFacts) => ({
    ...facts,
    message: cut(facts.message, messageTextBytes),
    ...(details === undefined ? {} : { details: toWire(details) })
  }),
  ({ details, ...wire }): ErrorFacts => ({
    ...wire,
    code: isErrorCode(wire.code) ? wire.code : 'ERR_SKEIN_INTERNAL',
    message: isErrorCode(wire.code) ? wire.message : `${wire.code}: ${wire.message}`,
    ...(details === undefined
      ? {}
      : { details: Object.fromEntries(details.map(({ key, value }) => [key, value.value])) })
  })
)

function toWire(details: NonNullable<ErrorFacts['details']>) {
  return Object.entries(details)
    .slice(0, detailsKept)
    .map(([key, value]) => ({ key: cut(key, 63), value: toWireValue(value) }))
}

function toWireValue(value: DetailValue) {
  if (typeof value === 'number') return { kind: 'number' as const, value }
  if (typeof value === 'boolean') return { kind: 'flag' as const, value }
  if (typeof value === 'string') {
    return { kind: 'text' as const, value: cut(value, detailTextBytes) }
  }
  const texts = value.slice(0, detailTextsKept).map((one) => cut(one, detailTextBytes))
  return { kind: 'texts' as const, value: texts }
}

/** At most three bytes per UTF-16 unit, so a third of the bound always fits. */
function cut(value: string, sizeBytesMax: number): string {
  const lengthMax = Math.floor(sizeBytesMax / 3)
  return value.length <= lengthMax ? value : `${value.slice(0, lengthMax - 1)}…`
}

const isErrorCode = (code: string): code is ErrorCode =>
  (errorCodes as readonly string[]).includes(code)
