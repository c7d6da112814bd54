/**
 * Moves sessions from this node to others.
 *
 * A move: its requests are held; at a safe point the session is captured; the target looks whether
 * it can have it, has itself made the home by the control group, and acknowledges; then whoever was
 * held is told where to go on. The home changes by that one change alone, so at every moment one
 * node is it, whichever of the two is lost.
 *
 * 1. Without a clear answer of the target nothing of the session runs here until the control group
 *    has said whose it is (`settle`, which also makes a late `take` impossible).
 * 2. A refusal leaves the session where it is, with everything it has.
 * 3. At the end of a drain, sessions whose engine cannot give them away are ended with the reason,
 *    so that nothing is lost silently; all others are taken over by their programs.
 */
import { after } from '../../core/deadlines.js'
import { StoppedError } from '../../core/errors.js'
import type { SessionEvent } from '../../core/events.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { EngineSessions, SessionFault } from '../../core/ports/engine-sessions.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { hasCode } from '../../core/remote-error.js'
import { RingBuffer } from '../../core/ring-buffer.js'
import type {
  MigrationReason,
  MigrationRefusal,
  SessionMoveReport
} from '../../core/sql-sessions.js'
import type { SessionMover } from '../drain/node-drain-driver.js'
import { clientMigration, cutDetail, sessionMove } from './messages.js'
import { messageOf } from './session-checks.js'
import { isRefusal } from './session-errors.js'
import type { SessionHomeDriver } from './session-home-driver.js'
import type { AdoptedSession } from './session-table.js'
import { chooseTarget } from './session-target.js'

export interface SessionMovesComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly home: SessionHomeDriver
  readonly members: () => readonly Member[]
  /** Sessions by home, as far as this node knows. */
  readonly sessionsOn: () => ReadonlyMap<NodeId, number>
  readonly engine: EngineSessions | null
  readonly onEvent: (event: SessionEvent) => void
}

/** Moves under way from one node when it drains. */
export const movesInFlightMax = 16
/** Reports that are kept. */
export const moveReportsMax = 1_024
/** For requests that are under way when a move begins. */
const safePointTimeoutMs = 5_000
const offerTimeoutMs = 5_000
const settleTimeoutMs = 5_000
/** Between two attempts to move one session, or to learn whose it is. */
const retryPauseMs = 500
const roundPauseMs = 100

export interface MoveOrder {
  readonly target: NodeId | null
  readonly reason: MigrationReason
  readonly deadline: MonotonicMs
}

interface Offered {
  readonly outcome: 'taken' | 'refused' | 'doubt'
  readonly epoch: number
  readonly fault: SessionFault | null
}

export class SessionMovesDriver implements SessionMover {
  readonly #components: SessionMovesComponents
  readonly #self: NodeId
  readonly #reports = new RingBuffer<SessionMoveReport>(moveReportsMax)
  /** Of the drain that is under way, or was the last. */
  readonly #refused = new Map<string, SessionFault>()
  /** Offers that are under way, by target. */
  readonly #offered = new Map<NodeId, number>()
  /** Of a drain. */
  readonly #underWay = new Set<string>()
  #moved = 0
  #awayUntil: MonotonicMs | null = null
  #isStopped = false

  constructor(components: SessionMovesComponents, self: NodeId) {
    this.#components = components
    this.#self = self
  }

  start(): void {
    const { messenger, clock } = this.#components
    messenger.onRequest(sessionMove, async ({ body }) => {
      const { session, target, reason, timeoutMs } = body
      const deadline = after(clock.now(), timeoutMs)
      const report = await this.move(session, { target, reason, deadline })
      return { ...report, tookMs: Math.round(report.tookMs) }
    })
  }

  stop(): void {
    this.#isStopped = true
  }

  /** With those that have gone and are not reported yet. */
  get count(): number {
    const { table } = this.#components.home
    let left = table.size
    for (const id of this.#underWay) if (table.of(id) === null) left++
    return left
  }

  get moved(): number {
    return this.#moved
  }

  get refused(): number {
    return this.#refused.size
  }

  /** Newest last. */
  reports(): readonly SessionMoveReport[] {
    return this.#reports.toArray()
  }

  /** Begins, or goes on until a later deadline. */
  moveAway(deadline: MonotonicMs): void {
    void this.#moveAllAway(deadline, 'drain')
  }

  /** Resolves when none is left, no node takes any, or at the deadline. */
  async moveAllAway(deadline: MonotonicMs): Promise<void> {
    await this.#moveAllAway(deadline, 'restart')
    const { home, clock } = this.#components
    while (home.table.size > 0 && this.#awayUntil !== null && clock.now() < deadline) {
      await this.#pause(roundPauseMs)
    }
  }

  async #moveAllAway(deadline: MonotonicMs, reason: MigrationReason): Promise<void> {
    const isUnderWay = this.#awayUntil !== null
    this.#awayUntil = deadline
    if (isUnderWay) return
    this.#moved = 0
    this.#refused.clear()
    try {
      await this.#rounds(reason)
    } catch (error) {
      this.#components.logger.warn({ error }, 'sessions stay until their programs come')
    } finally {
      this.#awayUntil = null
    }
  }

  async #rounds(reason: MigrationReason): Promise<void> {
    const { home, clock } = this.#components
    while (!this.#isStopped && home.table.size > 0 && home.fullness() === 'targetDraining') {
      const deadline = this.#awayUntil ?? clock.now()
      if (clock.now() >= deadline) return this.#endUnmovable()
      const waiting = [...home.table.ids()]
      const worker = async () => {
        for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
          if (this.#isStopped || clock.now() >= deadline) return
          this.#underWay.add(id)
          try {
            this.#note(await this.move(id, { target: null, reason, deadline }))
          } finally {
            this.#underWay.delete(id)
          }
        }
      }
      await Promise.all(Array.from({ length: movesInFlightMax }, worker))
      if (reason === 'restart' && this.#target() === null) return
      if (home.table.size > 0) await this.#pause(retryPauseMs)
    }
  }

  #note({ session, outcome, refusal, detail }: SessionMoveReport): void {
    if (outcome === 'moved') {
      this.#moved++
      this.#refused.delete(session)
    } else if (refusal !== null && refusal !== 'detached') {
      this.#refused.set(session, { refusal, detail })
    }
  }

  /** What an engine keeps of them dies with this process. */
  async #endUnmovable(): Promise<void> {
    const { home, clock } = this.#components
    for (const [id, { refusal }] of this.#refused) {
      const session = home.table.of(id)
      if (session === null || !engineRefusals.has(refusal)) continue
      const deadline = after(clock.now(), settleTimeoutMs)
      await home.change({ kind: 'close', session: id, home: null, epoch: 0 }, deadline)
      home.end(id, Number.MAX_SAFE_INTEGER)
    }
  }

  /** One attempt; never throws for a refusal. @throws StoppedError */
  async move(id: string, order: MoveOrder): Promise<SessionMoveReport> {
    const { clock, home } = this.#components
    const begun = clock.now()
    const session = home.table.of(id)
    const told = { id, client: session?.client ?? '', begun, order }
    if (session === null || !home.table.beginMove(id)) {
      const fault = session === null ? notHere : alreadyMoving
      return this.#report({ ...told, target: null, epoch: session?.epoch ?? 0, fault })
    }
    let epoch = session.epoch
    try {
      const soon = earlier(after(begun, safePointTimeoutMs), order.deadline)
      if (!(await this.#isAtSafePoint(id, soon))) {
        return this.#report({ ...told, target: null, epoch, fault: requestUnderWay })
      }
      if (home.table.of(id) === null) {
        return this.#report({ ...told, target: null, epoch, fault: endedMeanwhile })
      }
      const captured = home.table.capture(id)
      epoch = captured.epoch
      const { target, offered } = await this.#give(captured, order)
      const end = offered.outcome === 'doubt' ? await this.#settle(captured, offered) : offered
      epoch = end.epoch
      if (end.outcome === 'taken' && target !== null) home.depart(id, target, epoch)
      const fault = end.outcome === 'taken' ? null : (end.fault ?? unreachableFault)
      return this.#report({ ...told, target, epoch, fault })
    } finally {
      home.table.endMove(id, epoch)
      home.release(id)
    }
  }

  async #isAtSafePoint(id: string, deadline: MonotonicMs): Promise<boolean> {
    const { home } = this.#components
    while (!home.table.isAtSafePoint(id)) {
      if (!(await home.waits.wait(id, deadline))) return home.table.isAtSafePoint(id)
    }
    return true
  }

  async #give(
    captured: AdoptedSession,
    order: MoveOrder
  ): Promise<{ readonly target: NodeId | null; readonly offered: Offered }> {
    const { engine } = this.#components
    const { id, epoch } = captured
    const target = order.target ?? this.#target()
    const kept = (fault: SessionFault): Offered => ({ outcome: 'refused', epoch, fault })
    if (target === null) return { target, offered: kept(noTarget) }
    if (target === this.#self) return { target, offered: kept(sameNode) }
    const state = await engine?.capture(id)
    if (state?.kind === 'refused') return { target, offered: kept(state) }
    this.#countOffer(target, 1)
    try {
      const bytes = state?.state ?? new Uint8Array(0)
      return { target, offered: await this.#offer(captured, target, bytes, order) }
    } finally {
      this.#countOffer(target, -1)
    }
  }

  #countOffer(target: NodeId, by: number): void {
    this.#offered.set(target, (this.#offered.get(target) ?? 0) + by)
  }

  /** With the fewest sessions, counting those on their way there; null: nobody takes any. */
  #target(): NodeId | null {
    const { members, sessionsOn } = this.#components
    const load = new Map(sessionsOn())
    for (const [node, offers] of this.#offered) load.set(node, (load.get(node) ?? 0) + offers)
    return chooseTarget(members(), load, this.#self)
  }

  async #offer(
    { id: session, ...captured }: AdoptedSession,
    target: NodeId,
    state: Uint8Array,
    { reason, deadline: givenDeadline }: MoveOrder
  ): Promise<Offered> {
    const { clock, messenger } = this.#components
    const { epoch } = captured
    const deadline = earlier(after(clock.now(), offerTimeoutMs), givenDeadline)
    const body = { ...captured, session, reason, origin: this.#self, target, state }
    try {
      const answer = await messenger.request(target, clientMigration, body, { deadline })
      if (answer.accepted) return { outcome: 'taken', epoch: answer.epoch, fault: null }
      const refusal = answer.refusal ?? 'unreachable'
      return { outcome: 'refused', epoch, fault: { refusal, detail: answer.detail } }
    } catch (error) {
      const fault = { refusal: 'unreachable' as const, detail: messageOf(error) }
      return { outcome: neverLeft(error) ? 'refused' : 'doubt', epoch, fault }
    }
  }

  /** Until the control group has said whose it is. @throws StoppedError */
  async #settle({ id, epoch }: AdoptedSession, doubt: Offered): Promise<Offered> {
    const { home, clock, logger } = this.#components
    home.counters.add('session_migrations_in_doubt')
    for (;;) {
      if (this.#isStopped) throw new StoppedError('this node is stopping')
      const deadline = after(clock.now(), settleTimeoutMs)
      try {
        const change = { kind: 'settle', session: id, home: this.#self, epoch } as const
        const settled = await home.change(change, deadline)
        return { outcome: 'refused', epoch: settled.epoch, fault: doubt.fault }
      } catch (error) {
        const record = isRefusal(error) ? await this.#lookUp(id, deadline) : undefined
        if (record === null) {
          home.end(id, Number.MAX_SAFE_INTEGER)
          return { outcome: 'refused', epoch, fault: endedMeanwhile }
        }
        if (record !== undefined && record.home === this.#self) {
          return { outcome: 'refused', epoch: record.epoch, fault: doubt.fault }
        }
        if (record !== undefined) {
          home.depart(id, record.home, record.epoch)
          return { outcome: 'taken', epoch: record.epoch, fault: null }
        }
        logger.warn({ session: id, error }, 'whose a session is, is not known yet')
        await this.#pause(retryPauseMs)
      }
    }
  }

  async #lookUp(id: string, deadline: MonotonicMs) {
    try {
      return await this.#components.home.record(id, deadline)
    } catch (error) {
      this.#components.logger.debug({ session: id, error }, 'the control group does not answer')
      return undefined
    }
  }

  #report(given: {
    readonly id: string
    readonly client: string
    readonly begun: MonotonicMs
    readonly order: MoveOrder
    readonly target: NodeId | null
    readonly epoch: number
    readonly fault: SessionFault | null
  }): SessionMoveReport {
    const { clock, home, onEvent } = this.#components
    const { id: session, client, begun, order, target, epoch, fault } = given
    const report: SessionMoveReport = {
      session,
      client,
      origin: this.#self,
      target,
      reason: order.reason,
      outcome: fault === null ? 'moved' : 'refused',
      refusal: fault?.refusal ?? null,
      detail: cutDetail(fault?.detail ?? ''),
      epoch,
      tookMs: clock.now() - begun,
      at: clock.wallNow()
    }
    home.counters.add(fault === null ? 'session_migrations' : 'session_migrations_refused')
    this.#reports.push(report)
    onEvent({ type: fault === null ? 'SessionMoved' : 'SessionMoveRefused', report })
    return report
  }

  #pause(ms: number): Promise<void> {
    const { clock } = this.#components
    return new Promise((resolve) => clock.schedule(after(clock.now(), ms), resolve))
  }
}

const faultOf = (refusal: MigrationRefusal, detail: string): SessionFault => ({ refusal, detail })
const notHere = faultOf('detached', 'it is not at home here')
const alreadyMoving = faultOf('fenced', 'it moves already')
const requestUnderWay = faultOf('requestUnderWay', 'a request of it did not end in time')
const noTarget = faultOf('noTarget', 'no other node takes sessions')
const sameNode = faultOf('noTarget', 'it is at home there')
const unreachableFault = faultOf('unreachable', 'the target did not answer')
const endedMeanwhile = faultOf('detached', 'it has ended meanwhile')

/** What an engine said of a session: what it keeps of it is nowhere else. */
const engineRefusals: ReadonlySet<MigrationRefusal> = new Set<MigrationRefusal>([
  'openTransaction',
  'openCursor',
  'temporaryTables',
  'locksHeld',
  'listening',
  'largeObjects',
  'engineState'
])

const neverLeft = (error: unknown): boolean =>
  hasCode(error, 'ERR_SKEIN_NOT_SENT') ||
  hasCode(error, 'ERR_SKEIN_DIAL_FAILED') ||
  hasCode(error, 'ERR_SKEIN_UNKNOWN_NODE') ||
  hasCode(error, 'ERR_SKEIN_UNKNOWN_MESSAGE')

const earlier = (one: MonotonicMs, other: MonotonicMs): MonotonicMs => (one < other ? one : other)
