/** What capture and application must know of a table. */
export interface TableShape {
  readonly name: string
  /** How SQL names the rowid (quoted where it is a column); null for a table WITHOUT ROWID. */
  readonly rowid: string | null
  /** Whether a column shows the rowid; else a row begins with it. */
  readonly isRowidColumn: boolean
  /** Primary key columns of a table without rowid, in key order. */
  readonly keyColumns: readonly string[]
  /** Every column that is not generated, in order. */
  readonly storedColumns: readonly string[]
  readonly allColumns: readonly string[]
  /** NOT NULL with a default, which REPLACE puts in the place of NULL after the triggers. */
  readonly defaultedColumns: readonly string[]
  readonly isAutoincrement: boolean
  /** Unique indexes other than the key: whose rows a REPLACE may remove. */
  readonly uniques: readonly UniqueIndex[]
}

export interface UniqueIndex {
  /** A term may follow from the rowid, which is not known before a row is inserted without one. */
  readonly mayNeedRowid: boolean
  readonly terms: readonly {
    /** A column's name, or the text of an expression. */
    readonly column: string | null
    readonly expression: string | null
    readonly collation: string
  }[]
}

/** Values of one row as it travels. */
export const valuesPerRow = (shape: TableShape): number =>
  shape.storedColumns.length + (shape.rowid !== null && !shape.isRowidColumn ? 1 : 0)
