/**
 * A SQL session of this program: settings and prepared statements that its home keeps, in the
 * order of one program. Where it is at home is `SessionHome`'s to find.
 */
import { after } from '../core/deadlines.js'
import {
  InvalidArgumentError,
  RequestTimeoutError,
  SessionEndedError,
  type SkeinError
} from '../core/errors.js'
import type { GroupId, LogIndex, MonotonicMs, NodeId } from '../core/ids.js'
import type { QueryResult } from '../core/queries.js'
import { sessionDefaultsOf } from '../core/session-settings.js'
import { integerToSqlValue, type Statement } from '../core/sql.js'
import type { PreparedStatement, SeenIndex, SessionSetting } from '../core/sql-sessions.js'
import { type QueryHome, sessionDefine } from '../routing/index.js'
import type { ClientEventBody } from './events.js'
import type { ClientQueryOptions } from './query-options.js'
import {
  type HomeMove,
  isFinal,
  SessionHome,
  type SessionHomeParts
} from './session-home-driver.js'

/** Groups whose index is told when a session is taken over. */
const seenToldMax = 64

export interface SessionOptions {
  /** By name: `read_only` on or off, `consistency`, `priority`, `timeout_ms`, the engine's own. */
  readonly settings?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

export type SqlSessionParts = Omit<SessionHomeParts, 'captured' | 'onMoved'> & {
  readonly timeoutMs: number
  readonly execute: (
    given: readonly Statement[],
    options: ClientQueryOptions,
    home: QueryHome
  ) => Promise<QueryResult[]>
  readonly onEvent: (event: ClientEventBody) => void
  readonly onClosed: (session: SqlSession) => void
}

interface Definition {
  readonly settings?: readonly { readonly name: string; readonly value: string | null }[]
  readonly prepared?: readonly { readonly name: string; readonly sql: string | null }[]
}

export class SqlSession {
  readonly #parts: SqlSessionParts
  readonly #home: SessionHome
  readonly #seen = new Map<GroupId, LogIndex>()
  #settings: ReadonlyMap<string, string> = new Map()
  #prepared: ReadonlyMap<string, string> = new Map()
  #lastInsertRowid: bigint | null = null
  #reattachments = 0
  #moves = 0

  private constructor(parts: SqlSessionParts) {
    this.#parts = parts
    this.#home = new SessionHome({
      ...parts,
      captured: () => this.#captured(),
      onMoved: (move) => this.#handleMoved(move)
    })
  }

  /** @throws InvalidArgumentError a setting is not known, NoEligibleNodeError, BackpressureError */
  static async open(parts: SqlSessionParts, options: SessionOptions): Promise<SqlSession> {
    const session = new SqlSession(parts)
    const given = Object.entries(options.settings ?? {})
    const settings = given.map(([name, value]) => ({ name, value }))
    await session.#home.open(settings, session.#deadlineIn(options.timeoutMs))
    session.#settings = new Map(given)
    return session
  }

  get id(): string {
    return this.#home.id
  }

  /** Where it is at home, as far as is known. */
  get home(): NodeId | null {
    return this.#home.node
  }

  get settings(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#settings)
  }

  /** Names. */
  get prepared(): readonly string[] {
    return [...this.#prepared.keys()]
  }

  /** Of its last insert; null: there was none. */
  get lastInsertRowid(): number | bigint | null {
    return this.#lastInsertRowid === null ? null : integerToSqlValue(this.#lastInsertRowid)
  }

  /** How often the cluster moved it, and how often its home was lost. */
  get counts(): { readonly moves: number; readonly reattachments: number } {
    return { moves: this.#moves, reattachments: this.#reattachments }
  }

  /** One statement. @throws as `SkeinClient.query`, and SessionEndedError */
  async query(
    sql: string,
    params?: Statement['params'],
    options: ClientQueryOptions = {}
  ): Promise<QueryResult> {
    const [result] = await this.#execute([statementOf(sql, params)], options, [])
    return result as QueryResult
  }

  /** One atomic command, or one snapshot when all are reads: a transaction of the session. */
  execute(
    statements: readonly Statement[],
    options: ClientQueryOptions = {}
  ): Promise<QueryResult[]> {
    return this.#execute(statements, options, [])
  }

  /** A statement that was prepared. @throws InvalidArgumentError nothing is, under this name */
  async run(
    name: string,
    params?: Statement['params'],
    options: ClientQueryOptions = {}
  ): Promise<QueryResult> {
    const sql = this.#prepared.get(name)
    if (sql === undefined) throw new InvalidArgumentError('name', `nothing is prepared as ${name}`)
    const [result] = await this.#execute([statementOf(sql, params)], options, [name])
    return result as QueryResult
  }

  /** Replicated when it resolves. @throws SqlError, SqlRefusedError, InvalidArgumentError */
  async prepare(name: string, sql: string): Promise<void> {
    await this.#define({ prepared: [{ name, sql }] })
    this.#prepared = new Map([...this.#prepared, [name, sql]])
  }

  async deallocate(name: string): Promise<void> {
    await this.#define({ prepared: [{ name, sql: null }] })
    this.#prepared = new Map([...this.#prepared].filter(([known]) => known !== name))
  }

  /** Null: as it is without. Replicated when it resolves. @throws InvalidArgumentError */
  async set(name: string, value: string | null): Promise<void> {
    await this.#define({ settings: [{ name, value }] })
    const kept = [...this.#settings].filter(([known]) => known !== name)
    this.#settings = new Map(value === null ? kept : [...kept, [name, value]])
  }

  async close(): Promise<void> {
    this.#parts.onClosed(this)
    await this.#home.close(this.#deadlineIn())
  }

  async #execute(
    statements: readonly Statement[],
    options: ClientQueryOptions,
    prepared: QueryHome['prepared']
  ): Promise<QueryResult[]> {
    const { readOnly: _, ...defaults } = sessionDefaultsOf(this.#told())
    const home = this.#home.homeOf(prepared)
    const results = await this.#parts.execute(statements, { ...defaults, ...options }, home)
    for (const { group, index, lastInsertRowid } of results) {
      if (index > (this.#seen.get(group) ?? 0)) this.#seen.set(group, index)
      if (lastInsertRowid !== null) this.#lastInsertRowid = BigInt(lastInsertRowid)
    }
    return results
  }

  /** The same again changes nothing, so it is sent until it is answered. */
  async #define({ settings = [], prepared = [] }: Definition): Promise<void> {
    const { clock, messenger } = this.#parts
    const deadline = this.#deadlineIn()
    const body = { session: this.id, settings, prepared }
    let last: unknown = null
    while (clock.now() < deadline) {
      const fault: SkeinError | null = this.#home.fault
      if (fault !== null) throw fault
      const node = this.#home.node
      if (node === null) break
      try {
        await messenger.request(node, sessionDefine, body, { deadline })
        return
      } catch (error) {
        if (isFinal(error) && !(error instanceof SessionEndedError)) throw error
        last = error
        this.#home.handleFailure(node, error)
        if (this.#home.node === node) await this.#home.seek()
      }
    }
    throw new RequestTimeoutError('the session’s home did not answer in time', { cause: last })
  }

  #captured() {
    const seen: SeenIndex[] = [...this.#seen].map(([group, index]) => ({ group, index }))
    return { seen: seen.slice(-seenToldMax), lastInsertRowid: this.#lastInsertRowid }
  }

  #told(): SessionSetting[] {
    return [...this.#settings].map(([name, value]) => ({ name, value }))
  }

  #handleMoved({ kind, from, to, state }: HomeMove): void {
    if (kind === 'followed') this.#moves++
    else this.#reattachments++
    if (state !== null) this.#learn(state)
    this.#parts.onEvent({ type: 'SessionHomeChanged', session: this.id, kind, from, to })
  }

  #learn({
    settings,
    prepared,
    lastInsertRowid
  }: {
    readonly settings: readonly SessionSetting[]
    readonly prepared: readonly PreparedStatement[]
    readonly lastInsertRowid: bigint | null
  }): void {
    this.#settings = new Map(settings.map(({ name, value }) => [name, value]))
    this.#prepared = new Map(prepared.map(({ name, sql }) => [name, sql]))
    this.#lastInsertRowid = lastInsertRowid
  }

  #deadlineIn(timeoutMs = this.#parts.timeoutMs): MonotonicMs {
    return after(this.#parts.clock.now(), timeoutMs)
  }
}

const statementOf = (sql: string, params: Statement['params']): Statement =>
  params === undefined ? { sql } : { sql, params }
