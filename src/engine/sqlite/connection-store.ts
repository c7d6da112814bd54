import Database from 'better-sqlite3'

export type Row = (null | bigint | number | string | Uint8Array)[]
export type Prepared = Database.Statement<unknown[], Row>

/** A connection with its prepared statements, the least recently used forgotten at the bound. */
export class Connection {
  readonly db: Database.Database
  readonly #statementCacheMax: number
  readonly #prepared = new Map<string, Prepared>()

  constructor(file: string, options: { readonly: boolean; statementCacheMax: number }) {
    this.db = new Database(file, { readonly: options.readonly, timeout: 10_000 })
    this.db.defaultSafeIntegers(true)
    this.#statementCacheMax = options.statementCacheMax
  }

  /** Answers rows as arrays, integers as bigint. */
  prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql)
    if (known !== undefined) {
      this.#prepared.delete(sql)
      this.#prepared.set(sql, known)
      return known
    }
    const statement = this.db.prepare<unknown[], Row>(sql)
    if (statement.reader) statement.raw(true)
    this.#prepared.set(sql, statement)
    if (this.#prepared.size > this.#statementCacheMax) {
      const [oldest] = this.#prepared.keys()
      if (oldest !== undefined) this.#prepared.delete(oldest)
    }
    return statement
  }

  run(sql: string, ...values: unknown[]): void {
    this.prepare(sql).run(...values)
  }

  rows(sql: string, ...values: unknown[]): Row[] {
    return this.prepare(sql).all(...values)
  }

  /** After a change of the schema: a statement knows its columns from when it was prepared. */
  forgetStatements(): void {
    this.#prepared.clear()
  }

  close(): void {
    this.#prepared.clear()
    this.db.close()
  }
}
