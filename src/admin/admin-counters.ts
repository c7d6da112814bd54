import { Counters, type ErrorCode } from '../core/index.js'

const names = [
  'requests',
  'requests_unauthenticated',
  'requests_not_authorized',
  'requests_invalid',
  'requests_too_large',
  'requests_not_found',
  'requests_method_not_allowed',
  'requests_failed',
  'connections_malformed',
  'connections_slow'
] as const
export type AdminCounterName = (typeof names)[number]
export type AdminCounters = Counters<AdminCounterName>

export const createAdminCounters = (): AdminCounters => new Counters(names)

/** Under which name a request that ended with this error is counted. */
export function counterOf(code: ErrorCode): AdminCounterName {
  switch (code) {
    case 'ERR_SKEIN_UNAUTHENTICATED':
      return 'requests_unauthenticated'
    case 'ERR_SKEIN_NOT_AUTHORIZED':
      return 'requests_not_authorized'
    case 'ERR_SKEIN_INVALID_ARGUMENT':
      return 'requests_invalid'
    case 'ERR_SKEIN_MESSAGE_TOO_LARGE':
      return 'requests_too_large'
    case 'ERR_SKEIN_NOT_FOUND':
      return 'requests_not_found'
    case 'ERR_SKEIN_METHOD_NOT_ALLOWED':
      return 'requests_method_not_allowed'
    default:
      return 'requests_failed'
  }
}
