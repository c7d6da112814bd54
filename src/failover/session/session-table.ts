/**
 * The sessions whose home this node is: who may run now, when one is at a safe point, who waits for
 * a move to end, and where those went that were here before. A session is at a safe point when no
 * request of it is under way: what is called a transaction elsewhere is one request here, so none
 * is ever open at one (docs/sessions.md).
 *
 * Invariants:
 * 1. A request runs only at the home, in the session's epoch as this node knows it; while a session
 *    moves its requests are held, and run afterwards where it is then.
 * 2. A session that moves is captured at a safe point, and nothing of it runs until the move has an
 *    end: what is captured is all that it has seen.
 * 3. What a session has seen never goes back.
 * 4. Sessions, requests of one, and memories of where sessions went are bounded.
 *
 * Owner's duties: `enter` and `leave` around each request; after `endMove` and `drop` those that
 * were held enter again.
 */
import { must } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import type { GroupId, LogIndex, MonotonicMs, NodeId } from '../../core/ids.js'
import type { PreparedStatement, SeenIndex, SessionSetting } from '../../core/sql-sessions.js'
import type { CapturedSession } from './session-changes.js'
import { mergeSeen, type SessionRecord } from './session-record.js'

/** Sessions with their home on one node. */
export const nodeSessionsMax = 1_024
/** Requests of one session that are under way or held. */
export const sessionRequestsMax = 256
/** Sessions that went from here and of which is remembered whereto. */
export const departedMax = 4_096
/** Whoever was not heard of for so long is detached. */
export const sessionSilenceMs = 60_000

/** What a session is moved with, beside who it is. */
export type AdoptedSession = Pick<
  SessionRecord,
  'id' | 'client' | 'epoch' | 'settings' | 'prepared' | 'seen' | 'lastInsertRowid'
>

/** One that is here. */
export interface HomedSession {
  readonly id: string
  readonly client: string
  readonly epoch: number
  readonly settings: readonly SessionSetting[]
  readonly prepared: readonly PreparedStatement[]
  readonly seen: readonly SeenIndex[]
  readonly lastInsertRowid: bigint | null
  readonly isMoving: boolean
  seenIndexOf(group: GroupId): LogIndex
}

interface Homed extends HomedSession {
  epoch: number
  settings: readonly SessionSetting[]
  prepared: readonly PreparedStatement[]
  readonly seenBy: Map<GroupId, LogIndex>
  lastInsertRowid: bigint | null
  isMoving: boolean
  inFlight: number
  held: number
  heardAt: MonotonicMs
  /** Heard of since the last capture. */
  isHeard: boolean
}

export type Entrance =
  | { readonly kind: 'run'; readonly session: HomedSession }
  | { readonly kind: 'held' }
  | { readonly kind: 'moved'; readonly to: NodeId; readonly epoch: number }
  /** Not here, and not known to be elsewhere. */
  | { readonly kind: 'absent' }
  /** Somebody else's. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'full' }

export interface Ran {
  readonly seen: readonly SeenIndex[]
  /** Null: it says nothing of it. */
  readonly lastInsertRowid: bigint | null
}

export class SessionTable {
  readonly #byId = new Map<string, Homed>()
  /** Those that left first. */
  readonly #departed = new Map<string, { readonly to: NodeId; readonly epoch: number }>()

  get size(): number {
    return this.#byId.size
  }

  get departed(): number {
    return this.#departed.size
  }

  get isFull(): boolean {
    return this.#byId.size >= nodeSessionsMax
  }

  /** Sorted by id. */
  ids(): readonly string[] {
    return [...this.#byId.keys()].sort()
  }

  of(id: string): HomedSession | null {
    return this.#byId.get(id) ?? null
  }

  /** This node is its home, in this epoch; an older one of it that is here is superseded. */
  adopt(given: AdoptedSession, now: MonotonicMs): void {
    const before = this.#byId.get(given.id)
    if (before !== undefined && before.epoch > given.epoch) return
    const seen = mergeSeen(given.seen, before?.seen ?? [])
    this.#departed.delete(given.id)
    const seenBy = new Map(seen.map(({ group, index }) => [group, index]))
    this.#byId.set(given.id, {
      id: given.id,
      client: given.client,
      epoch: given.epoch,
      settings: given.settings,
      prepared: given.prepared,
      seenBy,
      get seen() {
        return [...seenBy].map(([group, index]) => ({ group, index }))
      },
      seenIndexOf: (group) => seenBy.get(group) ?? (0 as LogIndex),
      lastInsertRowid: given.lastInsertRowid,
      isMoving: false,
      inFlight: before?.inFlight ?? 0,
      held: before?.held ?? 0,
      heardAt: now,
      isHeard: true
    })
  }

  /** One that runs or is held must `leave` or `release`. */
  enter(id: string, client: string, now: MonotonicMs): Entrance {
    const session = this.#byId.get(id)
    if (session === undefined) {
      const departed = this.#departed.get(id)
      return departed === undefined ? { kind: 'absent' } : { kind: 'moved', ...departed }
    }
    if (session.client !== client) return { kind: 'foreign' }
    session.heardAt = now
    session.isHeard = true
    if (session.inFlight + session.held >= sessionRequestsMax) return { kind: 'full' }
    if (session.isMoving) {
      session.held++
      return { kind: 'held' }
    }
    session.inFlight++
    return { kind: 'run', session }
  }

  /** Answers whether the session is at a safe point now. `ran`: what it has seen by it. */
  leave(id: string, ran: Ran | null): boolean {
    const session = this.#byId.get(id)
    if (session === undefined) return true
    session.inFlight = Math.max(0, session.inFlight - 1)
    if (ran !== null) {
      for (const { group, index } of ran.seen) {
        if (index > (session.seenBy.get(group) ?? 0)) session.seenBy.set(group, index)
      }
      if (ran.lastInsertRowid !== null) session.lastInsertRowid = ran.lastInsertRowid
    }
    return session.inFlight === 0
  }

  /** One that was held goes: it enters again, or has given up. */
  release(id: string): void {
    const session = this.#byId.get(id)
    if (session !== undefined) session.held = Math.max(0, session.held - 1)
  }

  isAtSafePoint(id: string): boolean {
    return (this.#byId.get(id)?.inFlight ?? 0) === 0
  }

  /** From now on its requests are held. False: it is not here, or moves already. */
  beginMove(id: string): boolean {
    const session = this.#byId.get(id)
    if (session === undefined || session.isMoving) return false
    session.isMoving = true
    return true
  }

  /** What goes with it. Its owner has seen to it that it moves, and is at a safe point. */
  capture(id: string): AdoptedSession {
    const session = must(this.#byId.get(id), id)
    return {
      id,
      client: session.client,
      epoch: session.epoch,
      settings: session.settings,
      prepared: session.prepared,
      seen: mergeSeen([], session.seen),
      lastInsertRowid: session.lastInsertRowid
    }
  }

  /** It stays, in this epoch. */
  endMove(id: string, epoch: number): void {
    const session = this.#byId.get(id)
    if (session === undefined) return
    session.isMoving = false
    session.epoch = Math.max(session.epoch, epoch)
  }

  /** It is elsewhere in this epoch, unless it is here again in a later one. */
  depart(id: string, to: NodeId, epoch: number): void {
    if ((this.#byId.get(id)?.epoch ?? 0) >= epoch) return
    this.#byId.delete(id)
    this.#departed.delete(id)
    for (const oldest of this.#departed.keys()) {
      if (this.#departed.size < departedMax) break
      this.#departed.delete(oldest)
    }
    this.#departed.set(id, { to, epoch })
  }

  /** It has ended, or is another node's, as far as this epoch is concerned. */
  drop(id: string, epoch: number): void {
    if ((this.#byId.get(id)?.epoch ?? 0) <= epoch) this.#byId.delete(id)
  }

  define(id: string, given: Pick<HomedSession, 'settings' | 'prepared'>): void {
    const session = this.#byId.get(id)
    if (session === undefined) return
    session.settings = given.settings
    session.prepared = given.prepared
  }

  /** Those of which something is to be told, at a safe point, `most` at most. */
  takeHeard(most: number): readonly CapturedSession[] {
    const heard: CapturedSession[] = []
    for (const session of this.#byId.values()) {
      if (heard.length >= most) break
      if (!session.isHeard || session.isMoving || session.inFlight > 0) continue
      session.isHeard = false
      heard.push(capturedOf(session))
    }
    return heard
  }

  /** What was to be told was not: it comes again. */
  returnHeard(sessions: readonly CapturedSession[]): void {
    for (const { session } of sessions) {
      const homed = this.#byId.get(session)
      if (homed !== undefined) homed.isHeard = true
    }
  }

  /** Those that nobody spoke for, `most` at most. */
  silent(now: MonotonicMs, most: number): readonly CapturedSession[] {
    const silent: CapturedSession[] = []
    for (const session of this.#byId.values()) {
      if (silent.length >= most) break
      const isBusy = session.isMoving || session.inFlight + session.held > 0
      if (!isBusy && after(session.heardAt, sessionSilenceMs) <= now) {
        silent.push(capturedOf(session))
      }
    }
    return silent
  }
}

const capturedOf = (session: Homed): CapturedSession => ({
  session: session.id,
  epoch: session.epoch,
  seen: mergeSeen([], session.seen),
  lastInsertRowid: session.lastInsertRowid
})
