import { DeadlineTimer } from '../core/deadline-timer.js'
import { after, NEVER } from '../core/deadlines.js'
import { BufferFullError } from '../core/errors.js'
import type { GroupId, MonotonicMs } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Priority } from '../core/ports/messenger.js'
import { type Buffered, LeaderBuffer, type LeaderBufferOptions } from './leader-buffer.js'
import type { PlacementDriver } from './placement-driver.js'
import { backoffFactorMax } from './retry-policy.js'
import { cancellable } from './waiting-driver.js'

export interface WaitForLeader {
  readonly group: GroupId
  readonly priority: Priority
  readonly sizeBytes: number
  /** Given by the first wait of a query, and kept: its place in the queue. */
  readonly order: number
  readonly readyAt: MonotonicMs
  /** It goes on then in any case, to hear that it is too late. */
  readonly until: MonotonicMs
  readonly signal: AbortSignal | undefined
}

export interface LeaderBufferCounts {
  readonly waiting: number
  readonly bytes: number
  readonly entered: number
  readonly released: number
  readonly expired: number
  readonly refused: number
}

/** `end` is called when the attempt is over: the next one may go on. Null: its time is over. */
export type Turn = { end(): void } | null

interface Waiting extends Buffered {
  readonly resolve: (turn: Turn) => void
}

interface Room {
  readonly buffer: LeaderBuffer<Waiting>
  readonly timer: DeadlineTimer
}

/** Where leaders are asked for while queries wait for one. */
const leaderPollMs = 100

/** Holds queries while their group has no leader, each group by itself. */
export class LeaderBufferDriver {
  retryBackoffMs: number
  readonly #clock: Clock
  readonly #placements: Pick<PlacementDriver, 'of' | 'refresh'>
  readonly #options: LeaderBufferOptions
  readonly #rooms = new Map<GroupId, Room>()
  #order = 0
  #entered = 0
  #released = 0
  #expired = 0
  #refused = 0
  #isStopped = false

  constructor(
    components: {
      readonly clock: Clock
      readonly placements: Pick<PlacementDriver, 'of' | 'refresh'>
    },
    options: LeaderBufferOptions & { readonly retryBackoffMs: number }
  ) {
    this.#clock = components.clock
    this.#placements = components.placements
    this.#options = options
    this.retryBackoffMs = options.retryBackoffMs
  }

  get counts(): LeaderBufferCounts {
    let [waiting, bytes] = [0, 0]
    for (const { buffer } of this.#rooms.values()) {
      waiting += buffer.length
      bytes += buffer.bytes
    }
    const [entered, released] = [this.#entered, this.#released]
    return { waiting, bytes, entered, released, expired: this.#expired, refused: this.#refused }
  }

  nextOrder(): number {
    return this.#order++
  }

  /**
   * @throws BufferFullError, CancelledError: nothing was done
   */
  async wait(query: WaitForLeader): Promise<Turn> {
    if (this.#isStopped) return null
    const room = this.#roomOf(query.group)
    const { buffer } = room
    let entry: Waiting | null = null
    const turned = new Promise<Turn>((resolve) => {
      const { priority, order, sizeBytes, readyAt } = query
      entry = { priority, order, sizeBytes, readyAt, resolve }
    })
    const waiting = entry as Waiting | null
    if (waiting === null || !buffer.enter(waiting)) throw this.#full(buffer)
    this.#entered++
    const timer = this.#clock.schedule(query.until, () => {
      buffer.leave(waiting)
      this.#expired++
      waiting.resolve(null)
    })
    this.#pump(query.group, room)
    try {
      return await cancellable(turned, query.signal)
    } catch (thrown) {
      buffer.leave(waiting)
      // It may have been given after the caller had gone.
      void turned.then((turn) => turn?.end())
      throw thrown
    } finally {
      timer.cancel()
      if (buffer.length === 0) room.timer.arm(NEVER)
    }
  }

  handleLeaderChanged(group: GroupId): void {
    const room = this.#rooms.get(group)
    if (room === undefined) return
    room.buffer.handleLeaderChanged(this.#clock.now())
    this.#pump(group, room)
  }

  /** Everybody goes on, to hear that the node stops. */
  stop(): void {
    this.#isStopped = true
    for (const { buffer, timer } of this.#rooms.values()) {
      timer.stop()
      buffer.leaveAll((waiting) => waiting.resolve(null))
    }
  }

  #roomOf(group: GroupId): Room {
    const known = this.#rooms.get(group)
    if (known !== undefined) return known
    const room: Room = {
      buffer: new LeaderBuffer(this.#options),
      timer: new DeadlineTimer(this.#clock, () => this.#handleTimeout(group, room))
    }
    this.#rooms.set(group, room)
    return room
  }

  #handleTimeout(group: GroupId, room: Room): void {
    const isLed = this.#isLed(group)
    if (!isLed) void this.#placements.refresh()?.then(() => this.#pump(group, room))
    this.#pump(group, room)
  }

  #pump(group: GroupId, { buffer, timer }: Room): void {
    if (this.#isStopped) return
    const isLed = this.#isLed(group)
    const now = this.#clock.now()
    for (let next = buffer.next(isLed, now); next !== null; next = buffer.next(isLed, now)) {
      this.#released++
      next.resolve(this.#turnIn(group, buffer))
    }
    if (buffer.length === 0) timer.arm(NEVER)
    else timer.arm(isLed ? buffer.nextReadyAt() : after(now, leaderPollMs))
  }

  #turnIn(group: GroupId, buffer: LeaderBuffer<Waiting>): Turn {
    let hasEnded = false
    return {
      end: () => {
        if (hasEnded) return
        hasEnded = true
        buffer.handleEnded()
        const room = this.#rooms.get(group)
        if (room !== undefined) this.#pump(group, room)
      }
    }
  }

  #isLed(group: GroupId): boolean {
    return (this.#placements.of(group)?.leader ?? null) !== null
  }

  #full(buffer: LeaderBuffer<Waiting>): BufferFullError {
    this.#refused++
    const retryAfterMs = this.retryBackoffMs * backoffFactorMax
    return new BufferFullError(
      `no leader is known, and ${buffer.length} queries (${buffer.bytes} bytes) wait for one`,
      { details: { retryAfterMs, waiting: buffer.length, waitingBytes: buffer.bytes } }
    )
  }
}
