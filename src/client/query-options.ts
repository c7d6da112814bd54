import type { QueryOptions } from '../core/queries.js'

/** Of one query. `client` is the client's own to give. */
export type ClientQueryOptions = Omit<QueryOptions, 'client' | 'params'>
