/**
 * A few Raft cores around a table: time moves only when told, disks are instant unless held,
 * messages arrive in order unless a filter takes them. For tests that tell one story exactly.
 */
import {
  type ChangeOutcome,
  configurationOf,
  encodeConfiguration,
  encodeEntryPayload,
  type MemberRole,
  Raft,
  type RaftEvent,
  type RaftMessage,
  type RaftOptions,
  type RaftPersist
} from '../../../src/consensus/index.js'
import {
  DEFAULT_GROUP,
  type HardState,
  type LogBase,
  type LogEntry,
  type LogIndex,
  type MonotonicMs,
  must,
  type ReplicaId,
  SplittableRandom,
  type Term,
  toReplicaId
} from '../../../src/core/index.js'

export const replica = (name: string): ReplicaId => toReplicaId(`${name}/${'0'.repeat(16)}`)

export const tableOptions: RaftOptions = {
  heartbeatIntervalMs: 100,
  electionTimeoutMinMs: 500,
  electionTimeoutMaxMs: 1_000,
  commitNoticeDelayMs: 0,
  appendsInFlightMax: 4,
  appendBytesInFlightMax: 1_048_576,
  appendSizeBytesMax: 1_024,
  uncommittedBytesMax: 1_000,
  unappliedBytesMax: 1_000,
  pendingReadsMax: 4,
  transferTimeoutMs: 0,
  snapshotKeepMs: 60_000,
  leaseReads: false,
  leaseClockRatioMax: 1.25
}

export const at = (ms: number): MonotonicMs => ms as MonotonicMs

export const batch = (...bytes: number[]): Uint8Array =>
  encodeEntryPayload({ kind: 'batch', bytes: Uint8Array.from(bytes) })

export const founding = (
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[] = []
): LogEntry => entry(1, 0, encodeConfiguration(configurationOf(voters, learners)))

export function entry(index: number, term: number, payload: Uint8Array = batch(index, term)) {
  return { index: index as LogIndex, term: term as Term, payload }
}

/** Terms of the entries behind the founding one. */
export const logOf = (voters: readonly ReplicaId[], terms: readonly number[]): LogEntry[] => [
  founding(voters),
  ...terms.map((term, i) => entry(i + 2, term))
]

export interface Seat {
  readonly id: ReplicaId
  raft: Raft
  hardState: HardState
  base: LogBase | null
  entries: LogEntry[]
  /** What the engine holds when the process starts again. */
  engineIndex: LogIndex
  readonly events: RaftEvent[]
  readonly sent: RaftMessage[]
  readonly persists: RaftPersist[]
  isDiskHeld: boolean
  /** The engine does not get on. */
  isApplyHeld: boolean
  /** On their way to a disk that is held, and what leaves behind them. */
  held: RaftPersist[]
  waiting: RaftMessage[]
}

export type Drained = ReturnType<Raft['drain']>

/** Hears what happens at the table, in order. */
export interface TableObserver {
  /** `isHeld`: the disk does not answer, so that what waits for it does not leave. */
  onDrained(seat: Seat, drained: Drained, isHeld: boolean): void
  onDurable(seat: Seat, sequence: number, leaving: readonly RaftMessage[]): void
  onLost(message: RaftMessage): void
}

export interface TableInit {
  readonly voters: readonly string[]
  readonly learners?: readonly string[]
  readonly logs?: Readonly<Record<string, readonly number[]>>
  readonly terms?: Readonly<Record<string, number>>
  readonly options?: Partial<RaftOptions>
  readonly seed?: number
}

export class RaftTable {
  now = 0
  readonly queue: RaftMessage[] = []
  readonly options: RaftOptions
  /** False: the message is lost. */
  passes: (message: RaftMessage) => boolean = () => true
  observer: TableObserver | null = null
  readonly #seats = new Map<string, Seat>()
  readonly #seed: number

  constructor(init: TableInit) {
    this.options = { ...tableOptions, ...init.options }
    this.#seed = init.seed ?? 1
    const voters = init.voters.map(replica)
    const learners = (init.learners ?? []).map(replica)
    for (const name of [...init.voters, ...(init.learners ?? [])]) {
      const terms = init.logs?.[name] ?? []
      const entries = [founding(voters, learners), ...terms.map((term, i) => entry(i + 2, term))]
      const term = (init.terms?.[name] ?? terms.at(-1) ?? 0) as Term
      this.#sit(name, { term, vote: null }, entries)
    }
  }

  seat(name: string): Seat {
    return must(this.#seats.get(name), name)
  }

  raft(name: string): Raft {
    return this.seat(name).raft
  }

  get seats(): readonly Seat[] {
    return [...this.#seats.values()]
  }

  get leaders(): string[] {
    return [...this.#seats].filter(([, s]) => s.raft.status().role === 'leader').map(([n]) => n)
  }

  /** Calls a core and carries out what it wants. */
  act<T>(name: string, call: (raft: Raft, now: MonotonicMs) => T): T {
    const seat = this.seat(name)
    const outcome = call(seat.raft, at(this.now))
    this.#carryOut(seat)
    return outcome
  }

  /** Delivers until nothing is on its way. */
  settle(): void {
    for (let message = this.queue.shift(); message !== undefined; message = this.queue.shift()) {
      const { to } = message
      const seat = this.seats.find(({ id }) => id === to)
      if (seat === undefined) continue
      if (this.passes(message)) this.deliver(message)
      else this.observer?.onLost(message)
    }
  }

  deliver(message: RaftMessage): void {
    const seat = must(
      this.seats.find(({ id }) => id === message.to),
      message.to
    )
    seat.raft.receive(message, at(this.now))
    this.#carryOut(seat)
  }

  /** Time passes, timers fire, messages arrive at once. */
  advance(ms: number): void {
    const end = this.now + ms
    this.settle()
    for (;;) {
      const next = Math.min(...this.seats.map(({ raft }) => raft.nextDeadline()))
      if (next > end) break
      this.now = Math.max(this.now, next)
      for (const seat of this.seats) {
        if (seat.raft.nextDeadline() > this.now) continue
        seat.raft.handleTimeout(at(this.now))
        this.#carryOut(seat)
      }
      this.settle()
    }
    this.now = end
  }

  /** `name` campaigns now, whatever the timers say, and the others let it. */
  elect(name: string): void {
    for (const { id, raft } of this.seats) {
      const { leader } = raft.status()
      if (leader !== null && leader !== id) raft.handlePeerLost(leader, at(this.now))
    }
    const raft = this.raft(name)
    this.now = Math.max(this.now, raft.nextDeadline())
    this.act(name, (core, now) => core.handleTimeout(now))
    this.settle()
  }

  holdDisk(name: string): void {
    this.seat(name).isDiskHeld = true
  }

  /** Of all that is held, or of the oldest requests; messages leave behind the last. */
  releaseDisk(name: string, count = Number.POSITIVE_INFINITY): void {
    const seat = this.seat(name)
    const held = seat.held.splice(0, count)
    seat.isDiskHeld = seat.held.length > 0
    const waiting = seat.isDiskHeld ? [] : seat.waiting.splice(0)
    for (const request of held) store(seat, request)
    this.queue.push(...waiting)
    const last = held.at(-1)
    if (last === undefined) return
    this.observer?.onDurable(seat, last.sequence, waiting)
    seat.raft.handlePersisted(last.sequence, at(this.now))
    this.#carryOut(seat)
  }

  holdApply(name: string): void {
    this.seat(name).isApplyHeld = true
  }

  releaseApply(name: string): void {
    const seat = this.seat(name)
    seat.isApplyHeld = false
    seat.raft.handleApplied(seat.raft.status().emittedIndex, at(this.now))
    this.#carryOut(seat)
  }

  /** A replica without a log, in nobody's configuration, sits down. */
  join(name: string): void {
    this.#sit(name, { term: 0 as Term, vote: null }, [])
  }

  /** `name` leads and gives each its role. */
  change(name: string, roles: Readonly<Record<string, MemberRole>>): ChangeOutcome {
    const changes = Object.entries(roles).map(([one, role]) => ({ replica: replica(one), role }))
    return this.act(name, (raft, now) => raft.changeConfiguration(changes, now))
  }

  /** The process dies and starts again on what is durable. */
  restart(name: string): void {
    const { hardState, entries, base, engineIndex } = this.seat(name)
    this.#sit(name, hardState, entries, base, engineIndex)
  }

  /** The engine holds everything for good; of the log `keep` applied entries stay. */
  compact(name: string, keep: number, heedsSnapshots = true): number {
    const seat = this.seat(name)
    const durableIndex = seat.raft.status().emittedIndex
    seat.engineIndex = durableIndex
    const tail = { entriesMax: keep, bytesMax: Number.POSITIVE_INFINITY }
    return this.act(name, (raft, now) => raft.compact({ durableIndex, tail, heedsSnapshots }, now))
  }

  /** The engine of `name` has taken a snapshot of what it has applied. */
  snapshot(name: string): void {
    const index = this.raft(name).status().emittedIndex
    const sha256 = new Uint8Array(32).fill(index)
    this.act(name, (raft, now) =>
      raft.handleSnapshot({ index, format: 1, sizeBytes: 100, sha256 }, now)
    )
  }

  /** The engine of `name` is restored from what it was offered last. */
  restore(name: string): void {
    const { base } = this.#lastOffer(name)
    this.seat(name).engineIndex = base.index
    this.act(name, (raft, now) => raft.handleRestored(base, now))
  }

  /** It is not. */
  refuse(name: string): void {
    const { base } = this.#lastOffer(name)
    this.act(name, (raft, now) => raft.refuseSnapshot(base.index, now))
  }

  #lastOffer(name: string) {
    const offers = this.seat(name).events.filter((event) => event.type === 'SnapshotOffered')
    return must(offers.at(-1), 'an offer')
  }

  /** Messages to and from `names` are lost. */
  isolate(...names: string[]): void {
    const cut = new Set(names.map((name) => this.seat(name).id))
    this.passes = ({ from, to }) => cut.has(from) === cut.has(to) && !cut.has(from)
  }

  heal(): void {
    this.passes = () => true
  }

  committed(name: string): LogEntry[] {
    return this.seat(name).events.flatMap((e) => (e.type === 'Committed' ? e.entries : []))
  }

  #sit(
    name: string,
    hardState: HardState,
    entries: readonly LogEntry[],
    base: LogBase | null = null,
    engineIndex = 0 as LogIndex
  ): void {
    const raft = new Raft({
      group: DEFAULT_GROUP,
      self: replica(name),
      recovered: { hardState, base, entries },
      appliedIndex: engineIndex,
      random: SplittableRandom.fromSeed(this.#seed).split(`${name}${this.now}`),
      options: this.options,
      now: at(this.now)
    })
    this.#seats.set(name, {
      id: replica(name),
      raft,
      hardState,
      base,
      entries: [...entries],
      engineIndex,
      events: [],
      sent: [],
      persists: [],
      isDiskHeld: false,
      isApplyHeld: false,
      held: [],
      waiting: []
    })
  }

  #carryOut(seat: Seat): void {
    const drained = seat.raft.drain()
    this.observer?.onDrained(seat, drained, seat.isDiskHeld)
    const { sendNow, persist, sendAfterPersist, emit } = drained
    seat.sent.push(...sendNow, ...sendAfterPersist)
    seat.events.push(...emit)
    this.queue.push(...sendNow)
    if (persist !== null) seat.persists.push(persist)
    const isApplied = !seat.isApplyHeld && emit.some(({ type }) => type === 'Committed')
    if (isApplied) seat.raft.handleApplied(seat.raft.status().emittedIndex, at(this.now))
    if (seat.isDiskHeld) {
      if (persist !== null) seat.held.push(persist)
      seat.waiting.push(...sendAfterPersist)
    } else {
      this.queue.push(...sendAfterPersist)
      if (persist !== null) {
        store(seat, persist)
        seat.raft.handlePersisted(persist.sequence, at(this.now))
      }
    }
    if (isApplied || (persist !== null && !seat.isDiskHeld)) this.#carryOut(seat)
  }
}

function store(seat: Seat, request: RaftPersist): void {
  if (request.hardState !== null) seat.hardState = request.hardState
  if (request.base !== null) {
    const { base, replacesLog } = request.base
    seat.base = base
    seat.entries = replacesLog ? [] : seat.entries.filter(({ index }) => index > base.index)
  }
  const first = request.entries[0]
  if (first !== undefined) seat.entries = seat.entries.filter(({ index }) => index < first.index)
  seat.entries.push(...request.entries)
}
