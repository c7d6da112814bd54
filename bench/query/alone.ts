/** The peers: the same engine without a cluster, and SQLite itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { sqliteEngine } from '../../lib/sqlite.js'
import { bankTables, loadBatches } from '../../src/cli/demo/bank.js'
import {
  after,
  type Command,
  DEFAULT_GROUP,
  type Engine,
  type LogIndex,
  type Statement,
  silentLogger
} from '../../src/core/index.js'
import { nodeClock } from '../../src/runtime/index.js'
import { type Draws, readText, transactionTexts } from './transactions.js'

/** As a group plans: so many at a time, and at most so many in a batch. */
const windowMax = 64
const batchMax = 256
const timeoutMs = 5_000

interface Waiting {
  readonly statements: readonly Statement[]
  resolve(): void
  reject(error: unknown): void
}

/** Batches as a group does: what waits is planned and applied together, one batch at a time. */
export class EngineAlone {
  readonly #clock = nodeClock()
  readonly #engine: Engine
  #index: number
  #waiting: Waiting[] = []
  #isRunning = false
  /** Each batch is durable before it is answered. */
  isDurable = true

  private constructor(engine: Engine, index: number) {
    this.#engine = engine
    this.#index = index
  }

  static async open(directory: string): Promise<EngineAlone> {
    const context = { group: DEFAULT_GROUP, directory, clock: nodeClock(), logger: silentLogger }
    const engine = sqliteEngine().create(context)
    const { appliedIndex } = await engine.open()
    const alone = new EngineAlone(engine, appliedIndex)
    for (const { create: sql } of bankTables) await alone.write([{ sql }])
    for (const { statements } of loadBatches(1)) await alone.write(statements)
    return alone
  }

  write(statements: readonly Statement[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ statements, resolve, reject })
      if (!this.#isRunning) void this.#run()
    })
  }

  async read(statements: readonly Statement[]): Promise<void> {
    const atLeastIndex = this.#index as LogIndex
    const outcome = await this.#engine.read(statements, { atLeastIndex, deadline: this.#deadline })
    if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  get #deadline() {
    return after(this.#clock.now(), timeoutMs)
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      await null
      const batch: Waiting[] = []
      try {
        const commands = await this.#planInto(batch)
        await this.#engine.apply(commands, [], ++this.#index as LogIndex)
        if (this.isDurable) await this.#engine.flush()
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isRunning = false
  }

  async #planInto(batch: Waiting[]): Promise<Command[]> {
    const commands: Command[] = []
    while (this.#waiting.length > 0 && batch.length < batchMax) {
      const window = this.#waiting.splice(0, windowMax)
      batch.push(...window)
      const context = { deadline: this.#deadline }
      const plans = window.map(({ statements }) => this.#engine.plan({ statements }, context))
      for (const outcome of await Promise.all(plans)) {
        if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
        commands.push(outcome.command)
      }
    }
    return commands
  }
}

/** In this thread, durable with every commit. */
export class SqliteAlone {
  readonly #db: Database.Database
  readonly #write: () => void
  readonly #read: () => void

  constructor(file: string, draws: Draws) {
    const db = new Database(file)
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    for (const { create } of bankTables) db.exec(create)
    for (const { statements } of loadBatches(1)) for (const { sql } of statements) db.exec(sql)
    const statements = transactionTexts.map((sql) => db.prepare(sql))
    const transaction = db.transaction((params: readonly (readonly unknown[])[]) => {
      statements.forEach((statement, i) => {
        statement.run(...(params[i] ?? []))
      })
    })
    this.#db = db
    this.#write = () => transaction(draws.parameters())
    const read = db.prepare(readText)
    this.#read = () => read.get(draws.account())
  }

  readonly write = (): void => this.#write()

  readonly read = (): void => this.#read()

  close(): void {
    this.#db.close()
  }
}

/** A directory for the time of `use`. */
export async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  try {
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
