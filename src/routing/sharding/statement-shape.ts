import type { KeyValue } from './key-value.js'
import type { ShardedTable } from './shard-map.js'

/** How the answers of several groups become one. */
export type Merge =
  /** One after the other, in the order of the groups. */
  | { readonly kind: 'rows' }
  /** One row, each column of it put together by its function. */
  | { readonly kind: 'aggregates'; readonly columns: readonly AggregateName[] }

export const aggregateNames = ['count', 'sum', 'total', 'min', 'max'] as const
export type AggregateName = (typeof aggregateNames)[number]

export type StatementShape =
  | { readonly kind: 'unsharded' }
  /** The keys of its rows: one, or one for each inserted row. */
  | { readonly kind: 'keyed'; readonly table: ShardedTable; readonly keys: readonly KeyValue[] }
  /** A read whose rows come from all groups of the table. */
  | { readonly kind: 'scattered'; readonly table: ShardedTable; readonly merge: Merge }
  /** Of a table that is in several groups, or, without one, of what may be in any. */
  | { readonly kind: 'definition'; readonly table: ShardedTable | null }
  /** Tells of the schema, which is the same in all groups of the table. */
  | { readonly kind: 'anywhere'; readonly table: ShardedTable }
  /** Only its caller knows where it belongs. */
  | { readonly kind: 'unkeyed'; readonly table: ShardedTable; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }
