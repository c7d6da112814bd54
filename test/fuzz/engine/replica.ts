import { rmSync } from 'node:fs'
import type { Command, PlanOutcome } from '../../../src/core/ports/engine.js'
import type { Statement, StatementResult } from '../../../src/core/sql.js'
import { resolveSettings } from '../../../src/engine/sqlite/options.js'
import { ReaderStore } from '../../../src/engine/sqlite/reader-store.js'
import { WriterStore } from '../../../src/engine/sqlite/writer-store.js'
import type { KnownTable } from './sql-generator.js'

const settings = resolveSettings({ statementCacheMax: 64 })
const now = (): number => performance.now()
/** Triggers that call one another can run for ever. */
const planBudgetMs = 300
const NO_DEADLINE = Number.POSITIVE_INFINITY

/** The stores of one engine, without threads. */
export class Replica {
  readonly name: string
  readonly #directory: string
  readonly #timeZone: string
  #writer: WriterStore
  #reader: ReaderStore

  constructor(name: string, directory: string, timeZone: string) {
    this.name = name
    this.#directory = directory
    this.#timeZone = timeZone
    this.#writer = new WriterStore(directory, settings, now)
    this.#reader = new ReaderStore(directory, settings, now)
  }

  plan(statements: readonly Statement[]): PlanOutcome {
    return this.#inZone(() => this.#writer.plan(statements, now() + planBudgetMs))
  }

  apply(commands: readonly Command[], index: number): void {
    this.#inZone(() => {
      this.#writer.apply(commands, [{ key: 'k', value: Uint8Array.of(index & 255) }], index)
    })
  }

  discard(): void {
    this.#writer.discard()
  }

  /** Statistics of its own, so that its planner decides otherwise. */
  analyze(): void {
    this.#writer.analyze()
  }

  /** An open batch is lost. */
  restart(): void {
    this.#writer.close()
    this.#reader.close()
    this.#writer = new WriterStore(this.#directory, settings, now)
    this.#reader = new ReaderStore(this.#directory, settings, now)
  }

  checksum(): string {
    const { index, hash } = this.#reader.checksum()
    return `${index} ${hash}`
  }

  rows(sql: string): StatementResult['rows'] {
    const outcome = this.#reader.read([{ sql }], NO_DEADLINE)
    if (outcome.kind === 'failed') throw new Error(`${sql}: ${outcome.failure.message}`)
    return outcome.results[0]?.rows ?? []
  }

  tables(): KnownTable[] {
    const names = this.rows(
      "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
    ).filter(([name]) => !/^(sqlite|_skein)_/.test(String(name)))
    return names.map(([name, type]) => ({
      name: String(name),
      isView: type === 'view',
      columns: this.#columns(String(name))
    }))
  }

  close(): void {
    this.#writer.close()
    this.#reader.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** A view over a table that is gone has none. */
  #columns(table: string): string[] {
    const literal = `'${table.replaceAll("'", "''")}'`
    try {
      const rows = this.rows(`PRAGMA table_xinfo(${literal})`)
      return rows.length > 0
        ? rows.filter((row) => Number(row[6]) === 0).map(([, column]) => String(column))
        : ['a']
    } catch {
      return ['a']
    }
  }

  #inZone<T>(body: () => T): T {
    const before = process.env.TZ
    process.env.TZ = this.#timeZone
    try {
      return body()
    } finally {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    }
  }
}
