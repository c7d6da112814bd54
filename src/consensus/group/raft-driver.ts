/**
 * Carries out the effects of one Raft core: messages, persistence, events, its one timer. The core
 * goes on receiving while persistence is in flight.
 *
 * 1. `sendAfterPersist` of a record leaves when its `persist` and all earlier ones are durable.
 * 2. Events are told in order, one after the other; a handler may call back into the driver.
 * 3. While it sleeps the core is not called; the first call wakes it, whoever makes it.
 * 4. After an error of the log, or of the core itself, nothing more is sent, persisted or told.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { NEVER } from '../../core/deadlines.js'
import type { Effects } from '../../core/effects.js'
import type { LogIndex, MonotonicMs, ReplicaId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { SnapshotDescription } from '../../core/ports/engine.js'
import type { LogBase, LogStore } from '../../core/ports/log-store.js'
import type { ReplicaObserver } from '../../core/ports/replica-observer.js'
import type { RaftMessage } from '../messages.js'
import type { MemberChange } from '../raft/configuration-change.js'
import type { Raft } from '../raft/raft.js'
import type {
  ChangeOutcome,
  CompactionLimits,
  LeaseRead,
  ProposeOutcome,
  RaftEvent,
  RaftPersist,
  RaftStatus
} from '../raft/types.js'

export interface RaftDriverComponents {
  readonly clock: Clock
  readonly raft: Raft
  readonly log: Pick<LogStore, 'persist'>
  readonly observer?: ReplicaObserver | undefined
  /** False: the transport did not take it. */
  send(message: RaftMessage): boolean
  /** Of the host, which stands by a group that sleeps; absent: it never does. */
  readonly naps?: Naps | undefined
  onEvent(event: RaftEvent): void
  /** Told once; the driver has stopped. */
  onFailed(error: unknown): void
}

export interface Naps {
  /** The group wakes: something is about to reach its core, or must be done. */
  onWoken(): void
  /** When a host was last heard on behalf of its sleeping groups. */
  heardAt(replica: ReplicaId, asLeader: boolean): MonotonicMs
}

interface PersistSlot {
  readonly sequence: number
  readonly sends: RaftMessage[]
  isDurable: boolean
}

export class RaftDriver {
  readonly #components: RaftDriverComponents
  readonly #raft: Raft
  readonly #timer: DeadlineTimer
  readonly #slots: PersistSlot[] = []
  #stopped = true
  #isAsleep = false
  #settling = false

  constructor(components: RaftDriverComponents) {
    this.#components = components
    this.#raft = components.raft
    this.#timer = new DeadlineTimer(components.clock, (now) =>
      this.#step(() => this.#raft.handleTimeout(now))
    )
  }

  start(): void {
    this.#stopped = false
    this.#step(() => {})
  }

  stop(): void {
    this.#stopped = true
    this.#timer.stop()
  }

  receive(message: RaftMessage): void {
    this.#step((now) => this.#raft.receive(message, now))
  }

  handlePeerLost(peer: ReplicaId): void {
    this.#step((now) => this.#raft.handlePeerLost(peer, now))
  }

  handlePeerConnected(peer: ReplicaId): void {
    this.#step((now) => this.#raft.handlePeerConnected(peer, now))
  }

  handlePeerUnreachable(peer: ReplicaId): void {
    this.#step((now) => this.#raft.handlePeerUnreachable(peer, now))
  }

  /** No timer runs until something wakes it. False: it cannot, something is on its way to disk. */
  fallAsleep(): boolean {
    if (this.#stopped || this.#settling || this.#slots.length > 0) return false
    this.#isAsleep = true
    this.#timer.arm(NEVER)
    return true
  }

  wake(): void {
    if (this.#isAsleep) this.#step(() => {})
  }

  propose(payload: Uint8Array): ProposeOutcome {
    let outcome: ProposeOutcome = { kind: 'refused', reason: 'notLeader', leaderHint: null }
    this.#step((now) => {
      outcome = this.#raft.propose(payload, now)
    })
    return outcome
  }

  changeConfiguration(changes: readonly MemberChange[]): ChangeOutcome {
    let outcome: ChangeOutcome = { kind: 'refused', reason: 'notLeader', leaderHint: null }
    this.#step((now) => {
      outcome = this.#raft.changeConfiguration(changes, now)
    })
    return outcome
  }

  requestReadIndex(requestId: number): void {
    this.#step((now) => this.#raft.requestReadIndex(requestId, now))
  }

  /** As the core; null while it does nothing. */
  leaseRead(): LeaseRead | null {
    return this.#stopped ? null : this.#raft.leaseRead()
  }

  /**
   * What was read since is up to date, by the clock as it is now. True as well begins another lease
   * before this one ends.
   */
  confirmLease({ term }: LeaseRead): boolean {
    if (this.#stopped) return false
    const now = this.#components.clock.now()
    if (!this.#raft.holdsLease(term, now)) return false
    if (this.#raft.isLeaseOld(now)) this.#step((at) => this.#raft.renewLease(at))
    return true
  }

  transferLeadership(target: ReplicaId | null): void {
    this.#step((now) => this.#raft.transferLeadership(target, now))
  }

  stepDown(reason: string): void {
    this.#step((now) => this.#raft.stepDown(reason, now))
  }

  handleApplied(index: LogIndex): void {
    this.#step((now) => this.#raft.handleApplied(index, now))
  }

  /** Answers how many entries the log has forgotten. */
  compact(limits: CompactionLimits): number {
    let count = 0
    this.#step((now) => {
      count = this.#raft.compact(limits, now)
    })
    return count
  }

  handleSnapshot(snapshot: SnapshotDescription | null): void {
    this.#step((now) => this.#raft.handleSnapshot(snapshot, now))
  }

  handleRestored(base: LogBase): void {
    this.#step((now) => this.#raft.handleRestored(base, now))
  }

  refuseSnapshot(index: LogIndex): void {
    this.#step((now) => this.#raft.refuseSnapshot(index, now))
  }

  needsSnapshot(index: LogIndex): boolean {
    return this.#raft.needsSnapshot(index)
  }

  setCandidacy(allowed: boolean): void {
    this.#step(() => this.#raft.setCandidacy(allowed))
  }

  /** Its getters tell parts of the status without making all of it. */
  get core(): Pick<
    Raft,
    | 'role'
    | 'term'
    | 'leader'
    | 'commitIndex'
    | 'configuration'
    | 'logEntries'
    | 'logBytes'
    | 'isLogHeld'
  > {
    return this.#raft
  }

  status(): RaftStatus {
    return this.#raft.status()
  }

  termAt(index: LogIndex): number | undefined {
    return this.#raft.termAt(index)
  }

  #step(call: (now: MonotonicMs) => void): void {
    if (this.#stopped) return
    try {
      const now = this.#components.clock.now()
      if (this.#isAsleep) this.#resume(now)
      call(now)
      this.#settle()
    } catch (error) {
      this.#fail(error)
    }
  }

  #resume(now: MonotonicMs): void {
    this.#isAsleep = false
    const { naps } = this.#components
    naps?.onWoken()
    const never = Number.NEGATIVE_INFINITY as MonotonicMs
    this.#raft.resume((replica, asLeader) => naps?.heardAt(replica, asLeader) ?? never, now)
  }

  #settle(): void {
    if (this.#settling) return
    this.#settling = true
    try {
      for (;;) {
        const effects = this.#raft.drain()
        if (isNothing(effects)) break
        this.#carryOut(effects)
      }
    } finally {
      this.#settling = false
    }
    if (!this.#stopped) this.#timer.arm(this.#raft.nextDeadline())
  }

  #carryOut(effects: Effects<RaftMessage, RaftPersist, RaftEvent>): void {
    for (const message of effects.sendNow) this.#send(message)
    if (effects.persist !== null) this.#persist(effects.persist, effects.sendAfterPersist)
    else this.#sendAfterPersisted(effects.sendAfterPersist)
    for (const event of effects.emit) {
      if (this.#stopped) return
      this.#components.onEvent(event)
    }
  }

  #persist(request: RaftPersist, sends: readonly RaftMessage[]): void {
    const slot = { sequence: request.sequence, sends: [...sends], isDurable: false }
    this.#slots.push(slot)
    const { log, observer } = this.#components
    observer?.onPersist(request)
    log.persist([request]).then(
      () => {
        observer?.onPersisted(request)
        slot.isDurable = true
        this.#handleDurable()
      },
      (error: unknown) => this.#fail(error)
    )
  }

  #sendAfterPersisted(messages: readonly RaftMessage[]): void {
    const last = this.#slots.at(-1)
    if (last === undefined) for (const message of messages) this.#send(message)
    else last.sends.push(...messages)
  }

  #handleDurable(): void {
    this.#step((now) => {
      for (let head = this.#slots[0]; head?.isDurable; head = this.#slots[0]) {
        this.#slots.shift()
        this.#raft.handlePersisted(head.sequence, now)
        for (const message of head.sends) this.#send(message)
      }
    })
  }

  #send(message: RaftMessage): void {
    if (this.#stopped) return
    this.#components.observer?.onSend(message)
    if (this.#components.send(message)) return
    const now = this.#components.clock.now()
    if (message.kind === 'appendEntries') this.#raft.handleNotSent(message, now)
    else this.#raft.handlePeerUnreachable(message.to, now)
  }

  #fail(error: unknown): void {
    if (this.#stopped) return
    this.stop()
    this.#components.onFailed(error)
  }
}

const isNothing = (effects: Effects<RaftMessage, RaftPersist, RaftEvent>): boolean =>
  effects.persist === null &&
  effects.sendNow.length === 0 &&
  effects.sendAfterPersist.length === 0 &&
  effects.emit.length === 0
