/**
 * Random requests planned on one of four replicas and applied on all; after every batch the
 * contents must be the same and one database, in turn, must be whole. The leader changes, batches
 * are discarded, one replica restarts at random, one lives in another time zone and has gathered
 * statistics.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from '../../../src/core/ports/engine.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import type { Statement } from '../../../src/core/sql.js'
import { Replica } from './replica.js'
import { SqlGenerator } from './sql-generator.js'

export interface FuzzFigures {
  statements: number
  planned: number
  failed: number
  batches: number
  ddl: number
}

export interface FuzzOutcome extends FuzzFigures {
  /** What differed, or was thrown; null when nothing did. */
  readonly fault: string | null
  readonly errors: Readonly<Record<string, number>>
}

/** Rows of one table are kept few, so that hashing stays cheap. */
const rowsMax = 60
const requestsPerBatch = 4

/** One run from an empty database with its own seed. */
export function fuzzEngine(seed: number, statements: number): FuzzOutcome {
  const directory = mkdtempSync(join(tmpdir(), 'skein-fuzz-'))
  const run = new FuzzRun(seed, directory)
  try {
    return run.run(statements)
  } finally {
    run.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

class FuzzRun {
  readonly #random: SplittableRandom
  readonly #generator: SqlGenerator
  readonly #replicas: readonly Replica[]
  readonly #figures: FuzzFigures = { statements: 0, planned: 0, failed: 0, batches: 0, ddl: 0 }
  readonly #errors: Record<string, number> = {}
  #leader = 0
  #index = 0
  #last: Statement[] = []

  constructor(seed: number, directory: string) {
    this.#random = SplittableRandom.fromSeed(seed)
    this.#generator = new SqlGenerator(this.#random.split('statements'))
    this.#replicas = [
      new Replica('first', join(directory, '0'), 'UTC'),
      new Replica('follower', join(directory, '1'), 'UTC'),
      new Replica('restarted', join(directory, '2'), 'UTC'),
      new Replica('zoned', join(directory, '3'), 'Pacific/Apia')
    ]
  }

  run(statements: number): FuzzOutcome {
    let fault: string | null = null
    while (fault === null && this.#figures.statements < statements) {
      try {
        fault = this.#batch()
      } catch (thrown) {
        fault = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
      }
    }
    if (fault !== null) {
      fault += `\nafter ${this.#figures.statements} statements, the last batch:\n${this.#last
        .map(({ sql }) => sql)
        .join(';\n')}`
    }
    return { ...this.#figures, fault, errors: this.#errors }
  }

  close(): void {
    for (const replica of this.#replicas) replica.close()
  }

  #batch(): string | null {
    this.#disturb()
    const leader = this.#replicas[this.#leader] as Replica
    this.#generator.know(leader.tables())
    const commands: Command[] = []
    this.#last = []
    const requests = 1 + this.#random.nextInt(requestsPerBatch)
    for (let i = 0; i < requests; i++) this.#plan(leader, this.#generator.request(), commands)
    for (const sql of this.#trims(leader)) this.#plan(leader, [{ sql }], commands)
    if (this.#random.nextInt(20) === 0) {
      leader.discard()
      return this.#compare()
    }
    this.#index++
    this.#figures.batches++
    for (const replica of this.#replicas) replica.apply(commands, this.#index)
    return this.#compare()
  }

  #plan(leader: Replica, request: Statement[], commands: Command[]): void {
    this.#figures.statements += request.length
    this.#last.push(...request)
    const outcome = leader.plan(request)
    if (outcome.kind === 'planned') {
      commands.push(outcome.command)
      this.#figures.planned++
      if (outcome.command.tag === 'ddl') this.#figures.ddl++
      return
    }
    this.#figures.failed++
    const message = outcome.failure.engineCode ?? outcome.failure.code
    this.#errors[message] = (this.#errors[message] ?? 0) + 1
  }

  #disturb(): void {
    const roll = this.#random.nextInt(60)
    if (roll === 0) this.#leader = this.#random.nextInt(this.#replicas.length)
    if (roll === 1) this.#replicas[2]?.restart()
    if (roll === 2) this.#replicas[3]?.analyze()
    if (roll === 3) this.#replicas[this.#leader]?.restart()
  }

  #trims(leader: Replica): string[] {
    return leader
      .tables()
      .filter(({ isView }) => !isView)
      .map(({ name }) => `"${name.replaceAll('"', '""')}"`)
      .filter((name) => Number(leader.rows(`SELECT count(*) FROM ${name}`)[0]?.[0]) > rowsMax)
      .map((name) => `DROP TABLE ${name}`)
  }

  #compare(): string | null {
    const [first, ...others] = this.#replicas.map((replica) => replica.checksum())
    const at = others.findIndex((other) => other !== first)
    if (at < 0) return this.#check(this.#replicas[this.#index % this.#replicas.length] as Replica)
    const other = this.#replicas[at + 1] as Replica
    const leader = this.#replicas[this.#leader] as Replica
    return `${other.name} differs from first; ${leader.name} leads\n${difference(
      this.#replicas[0] as Replica,
      other
    )}`
  }

  #check(replica: Replica): string | null {
    const found = replica.rows('PRAGMA integrity_check').map(([text]) => String(text))
    return found.join() === 'ok' ? null : `${replica.name} is damaged\n${found.join('\n')}`
  }
}

/** The first table or schema row that is not the same. */
function difference(one: Replica, other: Replica): string {
  const texts = [
    "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY 1, 2",
    ...one
      .tables()
      .filter(({ isView }) => !isView)
      .map(({ name }) => `SELECT * FROM "${name.replaceAll('"', '""')}"`)
  ]
  for (const sql of texts) {
    const [a, b] = [one, other].map((replica) => {
      try {
        return replica.rows(sql).map(shown)
      } catch (thrown) {
        return [String(thrown)]
      }
    })
    const onlyA = a?.filter((row) => !b?.includes(row))
    const onlyB = b?.filter((row) => !a?.includes(row))
    if (onlyA?.length || onlyB?.length) {
      return `${sql}\n- ${onlyA?.join('\n- ')}\n+ ${onlyB?.join('\n+ ')}`
    }
  }
  return 'the same rows in another order, key or bytes, or another counter'
}

const shown = (row: readonly unknown[]): string =>
  JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
