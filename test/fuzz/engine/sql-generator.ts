/** Random statements over a small schema: many are right, some are wrong on purpose. */
import { pick, type SplittableRandom } from '../../../src/core/splittable-random.js'
import type { SqlValue, Statement } from '../../../src/core/sql.js'

export interface KnownTable {
  readonly name: string
  readonly columns: readonly string[]
  readonly isView: boolean
}

const tableNames = ['t0', 'T 1', 'select', 't"3', "t'4", 'таб5', 'rowid'] as const
const columnNames = ['a', 'b', 'C', 'd e', 'order', 'oid', 'true'] as const
const types = ['', 'INTEGER', 'TEXT', 'REAL', 'BLOB', 'NUMERIC', 'TEXT COLLATE NOCASE'] as const
const strictTypes = ['INT', 'TEXT', 'REAL', 'BLOB', 'ANY'] as const
const literals = [
  'NULL',
  '0',
  '1',
  '2',
  '3',
  '-1',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '-9223372036854775808',
  '9223372036854775807',
  '1.0',
  '0.1',
  '-0.0',
  '1e308',
  '9e999',
  "''",
  "'a'",
  "'A'",
  "'b '",
  "'1'",
  "'1.0'",
  "'é😀'",
  "x''",
  "x'00ff'",
  "CAST(x'ff61' AS TEXT)",
  "CAST(x'c328' AS TEXT)",
  'random()',
  'abs(random() % 5)',
  'randomblob(3)',
  'hex(randomblob(2))',
  'CURRENT_TIMESTAMP',
  "datetime('now', 'localtime')",
  "strftime('%f', 'now')",
  'last_insert_rowid()',
  'changes()'
] as const

export class SqlGenerator {
  readonly #random: SplittableRandom
  #tables: readonly KnownTable[] = []

  constructor(random: SplittableRandom) {
    this.#random = random
  }

  know(tables: readonly KnownTable[]): void {
    this.#tables = tables
  }

  request(): Statement[] {
    const length = this.#chance(3) ? 1 + this.#int(5) : 1
    return Array.from({ length }, () => this.statement())
  }

  statement(): Statement {
    if (this.#tables.length < 2) return { sql: this.#createTable() }
    const roll = this.#int(100)
    if (roll < 45) return this.#insert()
    if (roll < 63) return { sql: this.#update() }
    if (roll < 76) return { sql: this.#delete() }
    if (roll < 80) return { sql: this.#createTable() }
    if (roll < 84) return { sql: this.#createIndex() }
    if (roll < 86) return { sql: this.#createTrigger() }
    if (roll < 90) return { sql: this.#alter() }
    if (roll < 95) return { sql: this.#drop() }
    return { sql: this.#oddity() }
  }

  #createTable(): string {
    const name = quote(pick(this.#random, tableNames))
    if (this.#chance(12) && this.#tables.length > 0) {
      return `CREATE TABLE ${name} AS SELECT *, random() AS r FROM ${this.#table().sql}`
    }
    const isStrict = this.#chance(6)
    const columns = this.#someColumns()
    const kind = this.#int(6)
    const definitions = columns.map((column, i) => {
      const type = pick(this.#random, isStrict ? strictTypes : types)
      if (i === 0 && kind === 0) return `${column} INTEGER PRIMARY KEY`
      if (i === 0 && kind === 1) return `${column} INTEGER PRIMARY KEY AUTOINCREMENT`
      if (i === 0 && kind === 2) return `${column} ${type || 'TEXT'} PRIMARY KEY`
      return `${column} ${type || (isStrict ? 'ANY' : '')}${this.#constraint(columns)}`
    })
    if (kind >= 4)
      definitions.push(`PRIMARY KEY (${columns.slice(0, 1 + this.#int(2)).join(', ')})`)
    if (this.#chance(4))
      definitions.push(`UNIQUE (${pick(this.#random, columns)})${this.#onConflict()}`)
    const options = [kind === 4 || kind === 5 ? 'WITHOUT ROWID' : '', isStrict ? 'STRICT' : '']
    return `CREATE TABLE ${this.#chance(4) ? 'IF NOT EXISTS ' : ''}${name}
      (${definitions.join(', ')}) ${options.filter((option) => option !== '').join(', ')}`
  }

  #constraint(columns: readonly string[]): string {
    const other = pick(this.#random, columns)
    switch (this.#int(14)) {
      case 0:
        return ` UNIQUE${this.#onConflict()}`
      case 1:
        return ' DEFAULT (random())'
      case 2:
        return ' DEFAULT CURRENT_TIMESTAMP'
      case 3:
        return ` AS (typeof(${other}) || 'x') ${pick(this.#random, ['STORED', 'VIRTUAL'])}`
      case 4:
        return ` AS (coalesce(${other}, true) || '') VIRTUAL UNIQUE`
      case 5:
        return ` CHECK (typeof(${other}) <> 'blob')`
      case 6:
      case 7: {
        const action = pick(this.#random, ['CASCADE', 'SET NULL', 'SET DEFAULT', 'RESTRICT'])
        const target = this.#tables.length > 0 ? this.#table() : null
        const column = target === null ? '' : ` (${pick(this.#random, target.columns)})`
        const name = target?.sql ?? 't0'
        return ` REFERENCES ${name}${column} ON DELETE ${action} ON UPDATE ${action}`
      }
      case 8:
        return ` NOT NULL${this.#onConflict()} DEFAULT 7`
      default:
        return ''
    }
  }

  #onConflict(): string {
    return this.#chance(3)
      ? ` ON CONFLICT ${pick(this.#random, ['REPLACE', 'IGNORE', 'FAIL', 'ABORT'])}`
      : ''
  }

  #createIndex(): string {
    const { sql, columns } = this.#table()
    const terms = [pick(this.#random, columns), pick(this.#random, columns)].slice(
      0,
      1 + this.#int(2)
    )
    const expressions = terms.map((column) =>
      pick(this.#random, [
        column,
        `${column} COLLATE NOCASE`,
        `${column} DESC`,
        `lower(${column})`,
        `(${column} || ',') DESC`,
        `(${column} || true)`
      ])
    )
    const condition = pick(this.#random, [`${columns[0]} IS NOT NULL`, 'oid > 2', 'true'])
    const where = this.#chance(3) ? ` WHERE ${condition}` : ''
    const unique = this.#chance(2) ? 'UNIQUE ' : ''
    return `CREATE ${unique}INDEX i${this.#int(6)} ON ${sql} (${expressions.join(', ')})${where}`
  }

  #createTrigger(): string {
    const target = this.#table()
    const other = this.#table()
    const event = pick(this.#random, [
      'INSERT',
      'UPDATE',
      'DELETE',
      `UPDATE OF ${target.columns[0]}`
    ])
    const row = event === 'DELETE' ? 'OLD' : 'NEW'
    const value = `${row}.${pick(this.#random, target.columns)}`
    const column = pick(this.#random, other.columns)
    const bodies = [
      `INSERT INTO ${other.bare} (${column}) VALUES (${value})`,
      `INSERT OR IGNORE INTO ${other.bare} (${column}) VALUES (random() % 4)`,
      `REPLACE INTO ${other.bare} (${column}) VALUES (${value})`,
      `UPDATE ${other.bare} SET ${column} = ${value} WHERE ${column} IS ${value}`,
      `UPDATE OR REPLACE ${other.bare} SET ${column} = coalesce(${column}, 0) || '+'`,
      `DELETE FROM ${other.bare} WHERE ${column} = ${value}`,
      'SELECT RAISE(IGNORE)',
      "SELECT RAISE(ABORT, 'no')",
      `SELECT CASE WHEN random() % 2 THEN RAISE(IGNORE) END`
    ]
    const steps = Array.from({ length: 1 + this.#int(2) }, () => pick(this.#random, bodies))
    const when = this.#chance(3) ? ` WHEN ${value} IS NOT NULL OR random() % 2 -- when\n` : ''
    const time = target.isView ? 'INSTEAD OF' : pick(this.#random, ['BEFORE', 'AFTER', ''])
    const each = this.#chance(2) ? 'FOR EACH ROW' : ''
    return `CREATE TRIGGER g${this.#int(6)} ${time} ${event} ON ${target.sql} ${each}${when}
      BEGIN ${steps.join('; ')}; END`
  }

  #alter(): string {
    const { sql, columns } = this.#table()
    const column = pick(this.#random, columns)
    const fresh = quote(pick(this.#random, columnNames))
    switch (this.#int(5)) {
      case 0:
        return `ALTER TABLE ${sql} RENAME TO ${quote(pick(this.#random, tableNames))}`
      case 1:
        return `ALTER TABLE ${sql} RENAME COLUMN ${column} TO ${fresh}`
      case 2:
        return `ALTER TABLE ${sql} DROP COLUMN ${column}`
      case 3:
        return `ALTER TABLE ${sql} ADD COLUMN ${fresh} ${pick(this.#random, types)} DEFAULT '5'`
      default:
        return `ALTER TABLE ${sql} ADD COLUMN ${fresh} AS (${column} || '!')`
    }
  }

  #drop(): string {
    switch (this.#int(6)) {
      case 0:
      case 1:
      case 2:
        return `DROP TRIGGER IF EXISTS g${this.#int(6)}`
      case 3:
        return `DROP INDEX IF EXISTS i${this.#int(6)}`
      case 4:
        return 'DROP VIEW IF EXISTS v0'
      default:
        return `DROP TABLE ${this.#table().sql}`
    }
  }

  #insert(): Statement {
    const { sql, columns } = this.#table()
    const chosen = columns.filter(() => !this.#chance(4))
    const names = chosen.length > 0 ? chosen : columns.slice(0, 1)
    const verb = pick(this.#random, [
      'INSERT',
      'INSERT',
      'INSERT OR REPLACE',
      'REPLACE',
      'INSERT OR IGNORE',
      'INSERT OR FAIL',
      'INSERT OR ABORT'
    ])
    const into = `${verb} INTO ${sql} (${names.join(', ')})`
    const tuple = () => `(${names.map(() => this.#literal()).join(', ')})`
    switch (this.#int(8)) {
      case 0:
        return { sql: `INSERT INTO ${sql} DEFAULT VALUES` }
      case 1:
        return {
          sql: `${into} SELECT ${this.#chosen(names)}
                FROM ${this.#table().sql} LIMIT 5`
        }
      case 2:
        return {
          sql: `WITH q (x) AS (SELECT ${this.#literal()}) ${into}
          SELECT ${names.map(() => 'x').join(', ')} FROM q RETURNING *`
        }
      case 3: {
        const column = pick(this.#random, names)
        const action = this.#chance(2) ? 'NOTHING' : `UPDATE SET ${column} = ${this.#literal()}`
        return {
          sql: `INSERT INTO ${sql} (${names.join(', ')}) VALUES ${tuple()} ON CONFLICT DO ${action}`
        }
      }
      case 4:
        return {
          sql: `${into} VALUES (${names.map(() => '?').join(', ')})`,
          params: names.map(() => this.#value())
        }
      default:
        return {
          sql: `${into} VALUES ${Array.from({ length: 1 + this.#int(3) }, tuple).join(', ')}`
        }
    }
  }

  #update(): string {
    const { sql, columns } = this.#table()
    const column = pick(this.#random, columns)
    const other = pick(this.#random, columns)
    const or = pick(this.#random, ['', '', 'OR REPLACE ', 'OR IGNORE ', 'OR FAIL '])
    const value = pick(this.#random, [this.#literal(), other, `coalesce(${other}, 0) + 1`])
    const returning = this.#chance(6) ? ' RETURNING *' : ''
    return `UPDATE ${or}${sql} SET ${column} = ${value} ${this.#where(columns)}${returning}`
  }

  #delete(): string {
    const { sql, columns } = this.#table()
    if (this.#chance(8)) return `DELETE FROM ${sql}`
    if (this.#chance(3)) return `DELETE FROM ${sql} LIMIT ${1 + this.#int(4)}`
    return `DELETE FROM ${sql} ${this.#where(columns)}`
  }

  #oddity(): string {
    const { sql, columns } = this.#table()
    return pick(this.#random, [
      'ANALYZE',
      'BEGIN',
      'COMMIT',
      "ATTACH 'x' AS y",
      'CREATE TEMP TABLE x (a)',
      'PRAGMA writable_schema = 1',
      'DELETE FROM sqlite_sequence',
      `INSERT OR ROLLBACK INTO ${sql} DEFAULT VALUES`,
      `SELECT * FROM ${sql}; DELETE FROM ${sql}`,
      `SELECT count(*), typeof(${columns[0]}) FROM ${sql}`,
      `CREATE VIEW v0 AS SELECT * FROM ${sql}`,
      'CREATE VIEW v0 AS SELECT 1 AS a, random() AS b',
      'NONSENSE',
      `UPDATE ${sql} SET ${columns[0]} = abs(-9223372036854775808)`
    ])
  }

  #where(columns: readonly string[]): string {
    const column = pick(this.#random, columns)
    return pick(this.#random, [
      '',
      `WHERE ${column} = ${this.#literal()}`,
      `WHERE ${column} IS NULL`,
      `WHERE ${column} > ${this.#literal()}`,
      'WHERE random() % 3 = 0'
    ])
  }

  #someColumns(): string[] {
    const start = this.#int(columnNames.length)
    const count = 2 + this.#int(3)
    return Array.from({ length: count }, (_, i) =>
      quote(columnNames[(start + i) % columnNames.length] as string)
    )
  }

  #table(): { sql: string; bare: string; columns: readonly string[]; isView: boolean } {
    const tables = this.#tables.filter(({ isView }) => !isView || this.#chance(6))
    const { name, columns, isView } = pick(this.#random, tables.length > 0 ? tables : this.#tables)
    const bare = quote(name)
    return {
      sql: this.#chance(8) ? `main.${bare}` : bare,
      bare,
      columns: columns.map(quote),
      isView
    }
  }

  #chosen(names: readonly string[]): string {
    return names.map((name) => pick(this.#random, [name, this.#literal()])).join(', ')
  }

  #literal(): string {
    return pick(this.#random, literals)
  }

  #value(): SqlValue {
    return pick<SqlValue>(this.#random, [
      null,
      this.#int(5),
      2 ** 53 - 1,
      9_007_199_254_740_993n,
      0.5,
      'text',
      '\ud800',
      'é\0x',
      Uint8Array.of(1, 0, 255)
    ])
  }

  /** One of `n`. */
  #chance(n: number): boolean {
    return this.#int(n) === 0
  }

  #int(bound: number): number {
    return this.#random.nextInt(bound)
  }
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
