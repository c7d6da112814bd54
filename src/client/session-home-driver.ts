/**
 * Where a SQL session of this program is at home: follows when the cluster moves it, and takes it
 * over at another node, with its token, when its home is lost.
 *
 * 1. While the home is being looked for nothing of the session is sent; queries wait for it within
 *    their own deadlines.
 * 2. The token of the next time is drawn here and told as its SHA-256: a call whose answer was lost
 *    is made again with the same two, wherever, and stays one call.
 * 3. The present home is asked first: a slow answer is no lost home. Where the cluster has moved it
 *    meanwhile is told by whoever is asked to take it over; it is followed there.
 */
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import {
  type ErrorCode,
  NoEligibleNodeError,
  SessionEndedError,
  SkeinError
} from '../core/errors.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import { Lifecycles, Livenesses } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Crypto } from '../core/ports/crypto.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import { hasCode } from '../core/remote-error.js'
import { shuffle } from '../core/splittable-random.js'
import type { PreparedStatement, SeenIndex, SessionSetting } from '../core/sql-sessions.js'
import {
  type QueryHome,
  sessionAttach,
  sessionClose,
  sessionKeep,
  sessionOpen,
  sessionTokenBytes
} from '../routing/index.js'
import type { KnownCluster } from './known-cluster.js'
import { Pause } from './pause-driver.js'

export interface SessionHomeParts {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly messenger: Messenger
  readonly logger: Logger
  readonly cluster: KnownCluster
  /** What the session has seen, as its program knows it. */
  readonly captured: () => {
    readonly seen: readonly SeenIndex[]
    readonly lastInsertRowid: bigint | null
  }
  readonly onMoved: (move: HomeMove) => void
}

export interface HomeMove {
  readonly kind: 'followed' | 'reattached'
  readonly from: NodeId | null
  readonly to: NodeId
  /** What the new home says that it has; null: as before. */
  readonly state: {
    readonly settings: readonly SessionSetting[]
    readonly prepared: readonly PreparedStatement[]
    readonly seen: readonly SeenIndex[]
    readonly lastInsertRowid: bigint | null
  } | null
}

/** How often a session that is not used says that its program is there. */
const keepIntervalMs = 20_000
/** For the present home to answer before another one is asked. */
const keepTimeoutMs = 1_500
const attachTimeoutMs = 5_000
/** As long as the cluster keeps a session that nobody speaks for. */
const seekForMs = 600_000
const pauseMinMs = 20
const pauseMaxMs = 1_000

export class SessionHome {
  readonly id: string
  readonly #parts: SessionHomeParts
  readonly #keepTimer: DeadlineTimer
  #token: Uint8Array
  #nextToken: Uint8Array | null = null
  #node: NodeId | null = null
  #generation = 0
  #fault: SkeinError | null = null
  #seeking: Promise<void> | null = null
  #isClosed = false
  readonly #pause: Pause

  constructor(parts: SessionHomeParts) {
    this.#parts = parts
    this.#pause = new Pause(parts)
    this.id = hex(parts.crypto.randomBytes(16))
    this.#token = parts.crypto.randomBytes(sessionTokenBytes)
    this.#keepTimer = new DeadlineTimer(parts.clock, () => void this.#keep())
  }

  get node(): NodeId | null {
    return this.#node
  }

  get fault(): SkeinError | null {
    return this.#fault
  }

  /** @throws whatever the last node answered */
  async open(settings: readonly SessionSetting[], deadline: MonotonicMs): Promise<void> {
    const { clock, crypto, messenger } = this.#parts
    const token = crypto.sha256(this.#token)
    const body = { session: this.id, token, settings }
    let last: unknown = new NoEligibleNodeError('no node takes sessions')
    for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
      for (const node of this.#candidates(null)) {
        try {
          const until = earlier(after(clock.now(), attachTimeoutMs), deadline)
          const answer = await messenger.request(node, sessionOpen, body, { deadline: until })
          this.#node = answer.home
          this.#keepTimer.arm(after(clock.now(), keepIntervalMs))
          return
        } catch (error) {
          if (isFinal(error)) throw error
          last = error
        }
      }
      if (after(clock.now(), pauseMs) >= deadline) throw last
      await this.#pause.wait(pauseMs)
    }
  }

  /** Of one query. */
  homeOf(prepared: QueryHome['prepared']): QueryHome {
    return {
      session: this.id,
      prepared,
      node: () => (this.#seeking === null ? this.#node : null),
      found: () => this.seek(),
      fault: () => this.#fault,
      generation: () => this.#generation,
      handleFailure: (node, thrown) => this.handleFailure(node, thrown)
    }
  }

  handleFailure(node: NodeId, thrown: unknown): void {
    if (this.#isClosed || this.#fault !== null || node !== this.#node) return
    if (!(thrown instanceof SkeinError)) return
    const { code } = thrown
    if (code === 'ERR_SKEIN_SESSION_ENDED') this.#fault = thrown
    else if (!this.#follows(thrown) && lostCodes.has(code)) void this.seek()
  }

  /** Settles when the home is known, or the session is known to have ended. */
  seek(): Promise<void> {
    if (this.#isClosed || this.#fault !== null) return Promise.resolve()
    this.#seeking ??= this.#seek().finally(() => {
      this.#seeking = null
    })
    return this.#seeking
  }

  /** Ends it, as far as a home can be told. */
  async close(deadline: MonotonicMs): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#keepTimer.stop()
    this.#pause.wake()
    this.#fault ??= closedByProgram()
    const { messenger, logger } = this.#parts
    if (this.#node === null) return
    try {
      await messenger.request(this.#node, sessionClose, { session: this.id }, { deadline })
    } catch (error) {
      logger.debug({ session: this.id, error }, 'the session ends when nobody speaks for it')
    }
  }

  async #seek(): Promise<void> {
    const { clock } = this.#parts
    const until = after(clock.now(), seekForMs)
    for (let pauseMs = pauseMinMs; !this.#isOver; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
      if (await this.#isAtHome()) return
      const known = this.#node
      for (const node of this.#candidates(known)) {
        if (this.#isOver || (await this.#attachAt(node))) return
        if (this.#node !== known) break
      }
      if (clock.now() >= until) this.#fault = unclaimed()
      else if (!this.#isOver) await this.#pause.wait(pauseMs)
    }
  }

  get #isOver(): boolean {
    return this.#isClosed || this.#fault !== null
  }

  async #isAtHome(): Promise<boolean> {
    const { messenger, clock } = this.#parts
    for (let asked: NodeId | null = null; this.#node !== asked; ) {
      const node: NodeId | null = this.#node
      asked = node
      if (node === null) return false
      try {
        const deadline = after(clock.now(), keepTimeoutMs)
        await messenger.request(node, sessionKeep, { session: this.id }, { deadline })
        return true
      } catch (error) {
        if (hasCode(error, 'ERR_SKEIN_SESSION_ENDED')) this.#fault = error
        else this.#follows(error)
      }
    }
    return false
  }

  async #attachAt(node: NodeId): Promise<boolean> {
    const { messenger, clock, crypto, captured, onMoved } = this.#parts
    this.#nextToken ??= crypto.randomBytes(sessionTokenBytes)
    const [token, next] = [this.#token, crypto.sha256(this.#nextToken)]
    const known = this.#node === null ? {} : { from: this.#node }
    const body = { session: this.id, token, next, ...captured(), ...known }
    try {
      const deadline = after(clock.now(), attachTimeoutMs)
      const { home, ...state } = await messenger.request(node, sessionAttach, body, { deadline })
      this.#token = this.#nextToken
      this.#nextToken = null
      const from = this.#node
      this.#node = home
      this.#generation++
      onMoved({ kind: 'reattached', from, to: home, state })
      return true
    } catch (error) {
      const { logger } = this.#parts
      logger.debug({ session: this.id, node, error }, 'a session was not taken over')
      if (error instanceof SkeinError && isFinal(error)) this.#fault = error
      else this.#follows(error)
      return false
    }
  }

  /** Answers whether the error says where it is. */
  #follows(thrown: unknown): boolean {
    if (!hasCode(thrown, 'ERR_SKEIN_SESSION_MOVED') || thrown.nodeId === undefined) return false
    const from = this.#node
    this.#node = thrown.nodeId
    this.#parts.onMoved({ kind: 'followed', from, to: thrown.nodeId, state: null })
    return true
  }

  async #keep(): Promise<void> {
    const { clock } = this.#parts
    if (!this.#isOver) await this.seek()
    if (!this.#isOver) this.#keepTimer.arm(after(clock.now(), keepIntervalMs))
  }

  /** Members that take sessions, in a random order; the one that was lost last of all. */
  #candidates(lost: NodeId | null): readonly NodeId[] {
    const { cluster, random } = this.#parts
    const able = cluster
      .members()
      .filter(({ liveness, lifecycle }) => liveness === Livenesses.Alive && isUp(lifecycle))
      .map(({ nodeId }) => nodeId)
    const others = able.filter((node) => node !== lost)
    const last = lost !== null && able.includes(lost) ? [lost] : []
    return [...shuffle(random, others), ...last]
  }
}

const isUp = (lifecycle: string): boolean => lifecycle === Lifecycles.Up

const ended = (reason: string): SessionEndedError =>
  new SessionEndedError(`the session has ended: ${reason}`, { details: { reason } })
const closedByProgram = () => ended('closed by this program')
const unclaimed = () => ended('no node took it over in time')

/** The home cannot be reached, or has it no more. */
const lostCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_SESSION_DETACHED',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_DIAL_FAILED',
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_UNKNOWN_NODE',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_CANCELLED',
  'ERR_SKEIN_DRAINING',
  'ERR_SKEIN_STOPPED',
  'ERR_SKEIN_NOT_STARTED'
])

/** Every other node would answer the same. */
const finalCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_SESSION_ENDED',
  'ERR_SKEIN_NOT_AUTHORIZED',
  'ERR_SKEIN_INVALID_ARGUMENT',
  'ERR_SKEIN_UNKNOWN_MESSAGE',
  'ERR_SKEIN_SQL',
  'ERR_SKEIN_SQL_REFUSED'
])

export const isFinal = (error: unknown): boolean =>
  error instanceof SkeinError && finalCodes.has(error.code)

const earlier = (one: MonotonicMs, other: MonotonicMs): MonotonicMs => (one < other ? one : other)

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
