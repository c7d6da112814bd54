/** `manager.sessions`: what an operator sees of sessions, and moves; wired out of its parts. */
import { after } from '../../core/deadlines.js'
import { NotFoundError } from '../../core/errors.js'
import type { SessionEvent } from '../../core/events.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { integerToSqlValue } from '../../core/sql.js'
import type {
  SessionList,
  SessionMoveReport,
  SessionMoveRequest,
  SessionView,
  SqlSessions
} from '../../core/sql-sessions.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { sessionMove } from './messages.js'
import { messageOf } from './session-checks.js'
import type { SessionCounters } from './session-counters.js'
import { type SessionHomeComponents, SessionHomeDriver } from './session-home-driver.js'
import { type SessionMovesComponents, SessionMovesDriver } from './session-moves-driver.js'
import type { SessionRecord } from './session-record.js'
import { type SessionRequestsComponents, SessionRequestsDriver } from './session-requests-driver.js'
import { type SessionTakesComponents, SessionTakesDriver } from './session-takes-driver.js'
import { sessionsSection } from './sessions-section.js'

export type SqlSessionsComponents = Omit<
  SessionHomeComponents &
    SessionMovesComponents &
    SessionRequestsComponents &
    SessionTakesComponents,
  'home' | 'sessionsOn' | 'onEvent'
>

const readTimeoutMs = 5_000
const moveTimeoutMs = 15_000
/** The home's answer may take so much longer than the move. */
const answerGraceMs = 2_000

export class SqlSessionsDriver implements SqlSessions {
  readonly home: SessionHomeDriver
  readonly mover: SessionMovesDriver
  readonly #components: SqlSessionsComponents
  readonly #self: NodeId
  readonly #requests: SessionRequestsDriver
  readonly #takes: SessionTakesDriver
  readonly #listeners: ((event: SessionEvent) => void)[] = []
  /** As this node knows it; null: it has not heard of any. */
  #forgotten: { readonly lost: number; readonly expired: number } | null = null

  constructor(components: SqlSessionsComponents, self: NodeId) {
    this.#components = components
    this.#self = self
    const onEvent = (event: SessionEvent) => this.#emit(event)
    this.home = new SessionHomeDriver(components, self)
    const parts = { ...components, home: this.home, onEvent }
    this.mover = new SessionMovesDriver({ ...parts, sessionsOn: () => this.#sessionsOn() }, self)
    this.#requests = new SessionRequestsDriver(parts, self)
    this.#takes = new SessionTakesDriver(parts, self)
  }

  start(): void {
    this.home.start()
    this.mover.start()
    this.#takes.start()
    this.#requests.start()
    const { control } = this.#components
    control.onApplied(sessionsSection, ({ lost, expired }) => this.#handleTotals(lost, expired))
  }

  stop(): void {
    this.mover.stop()
    this.home.stop()
  }

  onEvent(listener: (event: SessionEvent) => void): void {
    this.#listeners.push(listener)
  }

  get counters(): SessionCounters {
    return this.home.counters
  }

  tellQueues(tell: TellQueue): void {
    this.home.tellQueues(tell)
  }

  async list(): Promise<SessionList> {
    const { control } = this.#components
    const { sessions, ...totals } = await control.read(sessionsSection, this.#in(readTimeoutMs))
    return { sessions: sessions.map(viewOf), totals }
  }

  async move(id: string, request: SessionMoveRequest = {}): Promise<SessionMoveReport> {
    const { clock, messenger } = this.#components
    const begun = clock.now()
    const { target = null, reason = 'requested', timeoutMs = moveTimeoutMs } = request
    const record = await this.#find(id)
    const { client, home: origin, epoch } = record
    const told = { session: id, client, origin, reason }
    if (record.state === 'attached' && origin === this.#self) {
      return this.mover.move(id, { target, reason, deadline: this.#in(timeoutMs) })
    }
    const refuse = (refusal: 'detached' | 'unreachable', detail: string): SessionMoveReport => ({
      ...told,
      target,
      epoch,
      outcome: 'refused',
      refusal,
      detail,
      tookMs: clock.now() - begun,
      at: clock.wallNow()
    })
    if (record.state === 'detached') return refuse('detached', 'its program was not heard of')
    try {
      const body = { session: id, target, reason, timeoutMs }
      const deadline = this.#in(timeoutMs + answerGraceMs)
      const answer = await messenger.request(origin, sessionMove, body, { deadline })
      return { ...told, ...answer, at: clock.wallNow() }
    } catch (error) {
      return refuse('unreachable', `${origin} does not answer: ${messageOf(error)}`)
    }
  }

  async close(id: string): Promise<void> {
    await this.#find(id)
    const change = { kind: 'close', session: id, home: null, epoch: 0 } as const
    await this.home.change(change, this.#in(readTimeoutMs))
  }

  reports(): readonly SessionMoveReport[] {
    return this.mover.reports()
  }

  async #find(id: string): Promise<SessionRecord> {
    const record = await this.home.record(id, this.#in(readTimeoutMs))
    if (record === null) throw new NotFoundError(`there is no session ${id}`)
    return record
  }

  #sessionsOn(): ReadonlyMap<NodeId, number> {
    const counts = new Map<NodeId, number>()
    const known = this.#components.control.local(sessionsSection)
    for (const { home } of known?.sessions ?? []) counts.set(home, (counts.get(home) ?? 0) + 1)
    return counts
  }

  #handleTotals(lost: number, expired: number): void {
    const before = this.#forgotten
    this.#forgotten = { lost, expired }
    if (before === null || lost + expired <= before.lost + before.expired) return
    if (!this.#components.control.isLeader) return
    this.#emit({
      type: 'SessionsForgotten',
      lost: lost - before.lost,
      expired: expired - before.expired
    })
  }

  #emit(event: SessionEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #in(ms: number): MonotonicMs {
    return after(this.#components.clock.now(), ms)
  }
}

const viewOf = (record: SessionRecord): SessionView => {
  const { token: _, usedToken: __, lastInsertRowid, prepared, ...shown } = record
  return {
    ...shown,
    prepared: prepared.map(({ name }) => name),
    lastInsertRowid: lastInsertRowid === null ? null : integerToSqlValue(lastInsertRowid)
  }
}
