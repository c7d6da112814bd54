/**
 * The sessions at home on this node: opens them, takes over those whose program comes with its
 * token, lets their requests run one home at a time, and keeps the control group told of what they
 * have come to.
 *
 * 1. A program is answered only what the control group has accepted: open, taken over, defined and
 *    closed survive whatever happens to this node afterwards.
 * 2. Queries are not replicated; what they have come to is told every `captureIntervalMs`, of
 *    sessions that are at a safe point and were heard of meanwhile.
 *
 * Owner's order: `start` when messages are served; `stop` before the control group's driver stops.
 */
import type { Control } from '../../control/index.js'
import { unreachable } from '../../core/assert.js'
import { Counters } from '../../core/counters.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  BackpressureError,
  InvalidArgumentError,
  NotAuthorizedError,
  SessionDetachedError
} from '../../core/errors.js'
import type { GroupId, MonotonicMs, NodeId } from '../../core/ids.js'
import { type Lifecycle, Lifecycles } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { EngineSessions } from '../../core/ports/engine-sessions.js'
import type { Logger } from '../../core/ports/logger.js'
import { sessionDefaultsOf } from '../../core/session-settings.js'
import type { Statement, StatementResult } from '../../core/sql.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { Answered, SessionCall, SessionGate, SessionRun } from '../../routing/index.js'
import {
  type CapturedSession,
  capturesMax,
  type SessionAnswer,
  type SessionChange
} from './session-changes.js'
import { type SessionCounters, sessionCounterNames } from './session-counters.js'
import { movedTo, refusalOf } from './session-errors.js'
import type { SessionRecord } from './session-record.js'
import { type HomedSession, nodeSessionsMax, type Ran, SessionTable } from './session-table.js'
import { SessionWaits, type WaitUntil } from './session-waits-driver.js'
import { sessionsSection } from './sessions-section.js'

export interface SessionHomeComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly control: Control
  readonly engine: EngineSessions | null
  readonly lifecycle: () => Lifecycle
  /** The session is at home here: what prefers a node for it prefers this one. */
  readonly onHomed: (session: string) => void
}

/** How often what sessions have come to is told. */
export const captureIntervalMs = 10_000
/** For what a program asks without a deadline. */
const askedTimeoutMs = 5_000

export class SessionHomeDriver implements SessionGate {
  readonly table = new SessionTable()
  readonly waits: SessionWaits
  readonly counters: SessionCounters = new Counters(sessionCounterNames)
  readonly #components: SessionHomeComponents
  readonly #self: NodeId
  readonly #timer: DeadlineTimer
  #isStopped = false
  #isCapturing = false

  constructor(components: SessionHomeComponents, self: NodeId) {
    this.#components = components
    this.#self = self
    this.waits = new SessionWaits(components.clock)
    this.#timer = new DeadlineTimer(components.clock, () => void this.#captureAll())
  }

  start(): void {
    const { control } = this.#components
    control.onApplied(sessionsSection, (_, change, answer) => this.#handleApplied(change, answer))
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
    this.waits.stop()
  }

  tellQueues(tell: TellQueue): void {
    tell('nodeSessionsMax', this.table.size, nodeSessionsMax)
  }

  /** Why no session may come here now; null: it may. */
  fullness(): 'targetDraining' | 'targetFull' | null {
    if (this.#isStopped || this.#components.lifecycle() !== Lifecycles.Up) return 'targetDraining'
    return this.table.isFull ? 'targetFull' : null
  }

  /** This node is its home. */
  adopt(record: Parameters<SessionTable['adopt']>[0]): void {
    const { clock, onHomed } = this.#components
    const now = clock.now()
    this.table.adopt(record, now)
    onHomed(record.id)
    this.#arm()
  }

  /** It went, or stays: whoever was held goes on. */
  release(session: string): void {
    this.waits.wake(session)
  }

  async run(
    call: SessionCall,
    group: GroupId,
    until: WaitUntil,
    run: (session: SessionRun) => Promise<Answered>
  ): Promise<Answered> {
    this.counters.add('session_requests')
    return this.within(call, until, async (session, noteRan) => {
      const statements = statementsOf(call, session)
      const seenIndexOf = (wanted: GroupId) => session.seenIndexOf(wanted)
      const { readOnly } = sessionDefaultsOf(session.settings)
      const answered = await run({ id: session.id, statements, seenIndexOf, readOnly })
      const { index, results, seen = [] } = answered
      const ran = [{ group, index }, ...seen]
      noteRan({ seen: ran, lastInsertRowid: lastRowidOf(results) })
      return answered
    })
  }

  /** Asks the control group, and answers what it accepted. @throws what a refusal means */
  async change(change: SessionChange, deadline: MonotonicMs) {
    const { control } = this.#components
    const answer = await control.change(sessionsSection, change, { deadline })
    if (answer.kind === 'refused') throw refusalOf(answer, this.#self)
    return answer
  }

  async record(id: string, deadline: MonotonicMs): Promise<SessionRecord | null> {
    const { sessions } = await this.#components.control.read(sessionsSection, deadline)
    return sessions.find((record) => record.id === id) ?? null
  }

  /** Runs a request of the session when it may run here; held while the session moves. */
  async within<T>(
    { session: id, client }: { readonly session: string; readonly client: string },
    until: WaitUntil,
    act: (session: HomedSession, noteRan: (ran: Ran) => void) => Promise<T>
  ): Promise<T> {
    for (;;) {
      const entrance = this.table.enter(id, client, this.#components.clock.now())
      switch (entrance.kind) {
        case 'run':
          this.#arm()
          return await this.#act(entrance.session, act)
        case 'held':
          await this.#hold(id, until)
          break
        case 'moved':
          throw movedTo(id, entrance.to, entrance.epoch)
        case 'absent':
          throw new SessionDetachedError(`${this.#self} is not the home of session ${id}`)
        case 'foreign':
          throw new NotAuthorizedError(`session ${id} is not ${client}'s`)
        case 'full':
          throw new BackpressureError(`too many requests of session ${id} are under way`)
        default:
          unreachable(entrance)
      }
    }
  }

  async #act<T>(
    session: HomedSession,
    act: (session: HomedSession, noteRan: (ran: Ran) => void) => Promise<T>
  ): Promise<T> {
    let ran: Ran | null = null
    try {
      return await act(session, (noted) => {
        ran = noted
      })
    } finally {
      if (this.table.leave(session.id, ran)) this.waits.wake(session.id)
    }
  }

  async #hold(id: string, until: WaitUntil): Promise<void> {
    this.counters.add('session_requests_held')
    try {
      await this.waits.hold(id, until)
    } finally {
      this.table.release(id)
    }
  }

  /** A session that another node has, or that ended, is not here any more. */
  #handleApplied(change: SessionChange, answer: SessionAnswer): void {
    if (answer.kind !== 'accepted') return
    if (change.kind === 'close') {
      this.end(change.session, answer.epoch)
      return
    }
    if (change.kind !== 'attach' && change.kind !== 'take') return
    const { home, epoch } = answer
    if (home === null || home === this.#self) return
    const known = this.table.of(change.session)
    if (known !== null && known.epoch < epoch) this.depart(change.session, home, epoch)
  }

  /** It is at home elsewhere. */
  depart(id: string, to: NodeId, epoch: number): void {
    this.#leaving(id, () => this.table.depart(id, to, epoch))
  }

  /** It is no more, as far as this epoch is concerned. */
  end(id: string, epoch: number): void {
    if (this.#leaving(id, () => this.table.drop(id, epoch))) this.counters.add('sessions_closed')
  }

  /** Answers whether it was here and is not any more. */
  #leaving(id: string, leave: () => void): boolean {
    const wasHere = this.table.of(id) !== null
    leave()
    this.waits.wake(id)
    if (!wasHere || this.table.of(id) !== null) return false
    this.#components.engine?.forget(id)
    return true
  }

  /** Everything that there is to tell, a few at a time. */
  async #captureAll(): Promise<void> {
    if (this.#isCapturing) return
    this.#isCapturing = true
    try {
      await this.#tell('capture', () => this.table.takeHeard(capturesMax))
      const { clock } = this.#components
      await this.#tell('detach', () => this.table.silent(clock.now(), capturesMax))
    } finally {
      this.#isCapturing = false
      this.#arm()
    }
  }

  async #tell(kind: 'capture' | 'detach', next: () => readonly CapturedSession[]): Promise<void> {
    const { logger } = this.#components
    while (!this.#isStopped) {
      const sessions = next()
      if (sessions.length === 0) return
      try {
        const deadline = this.until(null)
        const { foreign } = await this.change({ kind, home: this.#self, sessions }, deadline)
        this.counters.add('session_captures', sessions.length)
        this.#afterTold(kind, sessions, new Set(foreign))
      } catch (error) {
        this.table.returnHeard(sessions)
        logger.debug({ error, kind }, 'what sessions have come to is told later')
        return
      }
    }
  }

  #afterTold(
    kind: 'capture' | 'detach',
    sessions: readonly CapturedSession[],
    foreign: ReadonlySet<string>
  ): void {
    for (const { session, epoch } of sessions) {
      if (kind === 'capture' && !foreign.has(session)) continue
      const isGone = this.#leaving(session, () => this.table.drop(session, epoch))
      if (isGone && kind === 'detach') this.counters.add('sessions_detached')
    }
  }

  #arm(): void {
    this.counters.set('sessions_open', this.table.size)
    if (this.#isCapturing || this.#timer.isArmed) return
    const { clock } = this.#components
    this.#timer.arm(this.table.size === 0 ? NEVER : after(clock.now(), captureIntervalMs))
  }

  /** Of a request that may have none. */
  until(deadline: MonotonicMs | null): MonotonicMs {
    return deadline ?? after(this.#components.clock.now(), askedTimeoutMs)
  }
}

/** @throws InvalidArgumentError a name under which nothing is prepared */
function statementsOf({ statements, prepared }: SessionCall, session: HomedSession): Statement[] {
  return statements.map((statement, i) => {
    const name = prepared[i] ?? null
    if (name === null) return statement
    const found = session.prepared.find((one) => one.name === name)
    if (found === undefined) {
      throw new InvalidArgumentError('prepared', `nothing is prepared as ${name}`)
    }
    return { ...statement, sql: found.sql }
  })
}

function lastRowidOf(results: readonly StatementResult[]): bigint | null {
  const last = results.findLast(({ lastInsertRowid }) => lastInsertRowid !== null)
  return last?.lastInsertRowid == null ? null : BigInt(last.lastInsertRowid)
}
