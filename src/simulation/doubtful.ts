import { type ErrorCode, hasCode } from '../core/index.js'

/** With which a node or client does not claim that nothing was done. */
const doubtful: readonly ErrorCode[] = [
  'ERR_SKEIN_INDETERMINATE',
  'ERR_SKEIN_RESULT_NOT_KEPT',
  'ERR_SKEIN_CLIENT_EXPIRED',
  'ERR_SKEIN_SERIAL_FORGOTTEN'
]

export const isDoubtful = (error: Error): boolean => doubtful.some((code) => hasCode(error, code))

/** It was asked, and did not say anything: it crashed, or stands still. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered'
}
