/** The part of the engine port that distributed transactions need. */
import type { StatementResult } from '../sql.js'
import type { Command, StatementFailure } from './command.js'

/**
 * Names of rows, by table and primary key: equal texts are the same row. `all`: every row of the
 * group that is there or could be, and its schema.
 */
export type RowKeys = readonly string[] | 'all'

/** Bytes of one row's name; an engine shortens longer ones to a hash. */
export const rowKeyBytesMax = 256

export type PrepareOutcome =
  | {
      readonly kind: 'prepared'
      /** As `plan` would answer it: applied later, it makes the same change. */
      readonly command: Command
      readonly results: readonly StatementResult[]
      /** What must not change before it is applied. */
      readonly readKeys: RowKeys
      /** What nobody else may read or write before it is applied. */
      readonly writeKeys: RowKeys
      /** It changes nothing. */
      readonly readOnly: boolean
    }
  | { readonly kind: 'failed'; readonly failure: StatementFailure }
