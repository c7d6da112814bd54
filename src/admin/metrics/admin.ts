import { counter, type MetricFamily } from './metric.js'

/** This API. */
export const admin: MetricFamily = {
  requests: counter('Requests.'),
  requests_unauthenticated: counter('Requests without a right credential.'),
  requests_not_authorized: counter('Requests beyond the role of who asked.'),
  requests_invalid: counter('Requests with a wrong field.'),
  requests_too_large: counter('Requests with too long a body.'),
  requests_not_found: counter('Requests for nothing that is there.'),
  requests_method_not_allowed: counter('Requests by a method that is not served.'),
  requests_failed: counter('Requests that failed otherwise.'),
  connections_malformed: counter('Connections that spoke no HTTP.'),
  connections_slow: counter('Connections cut because they were slow, to ask or to take an answer.')
}
