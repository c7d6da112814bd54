/**
 * The write path of a leading replica: waiting callers, and the one batch on its way.
 *
 * 1. One batch is in flight; while it replicates, the next one gathers in the queue.
 * 2. A caller whose write was proposed is answered after its entry was applied here, or told that
 *    the outcome is unknown; a caller whose write was not proposed is told who leads.
 * 3. A write at fault is told so after all that its fault may rest on: its batch, where others are
 *    planned in it; else a quorum's word that this replica led meanwhile.
 * 4. Writes and entries of sections take turns. A write that meets rows which somebody holds waits
 *    aside until rows are free, and is refused shortly before its deadline.
 * 5. The first batches of a leadership are small, each twice the one before: planning is slow where
 *    it was not done lately, and all that waited would wait for the last of them.
 */
import { BoundedQueue } from '../../core/bounded-queue.js'
import type { Config } from '../../core/config/schema.js'
import {
  BackpressureError,
  EngineFailedError,
  IndeterminateError,
  LockedError,
  NotLeaderError,
  RequestTimeoutError,
  SkeinError
} from '../../core/errors.js'
import type { LogIndex, MonotonicMs, NodeId, Term } from '../../core/ids.js'
import { nodeOf } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Command, Engine } from '../../core/ports/engine.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { ClientLimits } from '../client-table.js'
import type { ConsensusCounters } from '../counters.js'
import { encodeEntryPayload } from '../entry.js'
import type { Applier } from './applier-driver.js'
import {
  BatchPlanner,
  type FaultyWrite,
  type PlannedBatch,
  type PlannedWrite,
  type WriteSource,
  writesOf
} from './batch-planner-driver.js'
import { encodePayload, type GroupPayload, registrationsMax } from './group-payload.js'
import type { RowGuard, RowPlace, Rows, SectionTurn } from './group-section.js'
import type {
  Pending,
  PendingEntry,
  PendingProposal,
  PendingRegistration,
  PendingWrite
} from './pending-write.js'
import type { RaftDriver } from './raft-driver.js'

export interface PipelineComponents {
  readonly clock: Clock
  readonly engine: Engine
  readonly applier: Applier
  readonly raft: RaftDriver
  readonly counters: ConsensusCounters
  /** Null: nobody holds rows beyond an entry. */
  readonly rows: RowGuard | null
  /** Resolves when a quorum says that whoever leads here led until now. @throws why that is open */
  confirm(deadline: MonotonicMs): Promise<unknown>
}

/** Entries of sections that wait for their turn. */
export const sectionEntriesMax = 16
/** Commands of the first batch of a leadership. */
export const firstBatchCommandsMax = 8
/** Whoever waits for rows is told so long before the deadline, so that the answer arrives. */
export const lockedAnswerMs = 50

type InFlight = { readonly index: LogIndex; readonly term: Term } & (
  | ({ readonly kind: 'batch' } & PlannedBatch)
  | { readonly kind: 'register'; readonly registrations: readonly PendingRegistration[] }
  | { readonly kind: 'system'; readonly caller: Pending<void> }
  | { readonly kind: 'check' }
)

const nothingPlanned: PlannedBatch = { planned: [], faulty: [] }

export class ProposalPipeline {
  readonly #components: PipelineComponents
  readonly #config: Config['consensus']
  readonly #planner: BatchPlanner
  readonly #queue: BoundedQueue<PendingProposal>
  readonly #entries = new BoundedQueue<PendingEntry>(sectionEntriesMax)
  #returned: PendingProposal[] = []
  /** They met rows that somebody holds. */
  #aside: PendingWrite[] = []
  /** Of those that were aside at least once. */
  readonly #places = new Map<PendingWrite, RowPlace>()
  #making: PendingEntry | null = null
  #isEntryNext = false
  #planning: PlannedBatch = nothingPlanned
  /** They wait for a quorum to confirm that what they met is so. */
  readonly #unconfirmed = new Set<FaultyWrite>()
  #inFlight: InFlight | null = null
  #isCheckWanted = false
  #commandsMax = firstBatchCommandsMax

  constructor(components: PipelineComponents, config: Config['consensus']) {
    this.#components = components
    this.#config = config
    this.#planner = new BatchPlanner(components, config)
    this.#queue = new BoundedQueue(config.proposalQueueLengthMax)
  }

  tellQueues(tell: TellQueue): void {
    tell(
      'consensus.proposalQueueLengthMax',
      this.#queue.length,
      this.#config.proposalQueueLengthMax
    )
    tell('sectionEntriesMax', this.#entries.length, sectionEntriesMax)
  }

  get hasInFlight(): boolean {
    return this.#inFlight !== null
  }

  get hasWork(): boolean {
    return this.#isCheckWanted || this.#hasWrites || this.#entries.length > 0
  }

  get waitingCount(): number {
    const writes = this.#queue.length + this.#returned.length + this.#aside.length
    return writes + this.#entries.length + this.#unconfirmed.size
  }

  enqueue(proposal: PendingProposal): void {
    const beside = this.#aside.length + this.#unconfirmed.size
    const isFull = beside + this.#queue.length >= this.#queue.lengthMax
    if (!isFull && this.#queue.push(proposal)) return
    proposal.caller.reject(new BackpressureError('too many writes are waiting'))
  }

  enqueueEntry(entry: PendingEntry): void {
    if (this.#entries.push(entry)) return
    entry.caller.reject(new BackpressureError('too many entries of sections are waiting'))
  }

  /** Rows are free: who waits for some looks again. */
  handleReleased(): void {
    if (this.#aside.length === 0) return
    this.#returned = [...this.#returned, ...this.#aside]
    this.#aside = []
  }

  wantCheck(): void {
    this.#isCheckWanted = true
  }

  /** Proposes the next thing; the owner calls it when nothing is in flight and all is applied. */
  async proposeNext(isLeading: () => boolean): Promise<void> {
    if (this.#isCheckWanted) {
      this.#isCheckWanted = false
      const proposed = this.#propose({ kind: 'check' })
      if (proposed !== null) this.#inFlight = { ...proposed, kind: 'check' }
      return
    }
    const isEntryNext = this.#entries.length > 0 && (this.#isEntryNext || !this.#hasWrites)
    this.#isEntryNext = !isEntryNext
    if (isEntryNext) {
      await this.#proposeEntry(isLeading)
      return
    }
    const registrations = this.#takeRegistrations()
    if (registrations.length > 0) this.#proposeRegistrations(registrations)
    else await this.#proposeBatch(isLeading)
  }

  /** The commands planned for the entry, when it is ours. */
  plannedFor(index: LogIndex, term: Term): readonly Command[] | null {
    const own = this.#inFlight
    if (own?.kind !== 'batch' || own.index !== index || own.term !== term) return null
    return own.planned.map(({ command }) => command)
  }

  /** The entry was applied: its callers are answered. */
  handleApplied(index: LogIndex, term: Term): void {
    const own = this.#inFlight
    if (own === null || own.index !== index || own.term !== term) return
    this.#inFlight = null
    if (own.kind === 'register') {
      for (const { caller } of own.registrations) caller.resolve()
    } else if (own.kind === 'system') {
      own.caller.resolve()
    } else if (own.kind === 'batch') {
      for (const { callers, results } of own.planned) answer(callers, results, index)
      for (const { callers, error } of own.faulty) reject(callers, () => error)
      this.#leavePlaces()
      this.#commandsMax = Math.min(2 * this.#commandsMax, this.#config.batchCommandsMax)
    }
  }

  /** Leadership was lost. The owner lets the engine discard what was planned. */
  abandon(leader: NodeId | null): void {
    this.#rejectFaulty(() => notLeader(leader))
    this.#rejectInFlight()
    this.#isCheckWanted = false
    this.#commandsMax = firstBatchCommandsMax
    this.#rejectWaiting(() => notLeader(leader))
    this.#leavePlaces()
  }

  /** Nothing will be proposed or applied any more. */
  rejectAll(makeError: () => Error): void {
    this.#rejectFaulty(makeError)
    this.#rejectInFlight()
    for (const { callers } of writesOf(this.#planning)) reject(callers, makeError)
    this.#making?.caller.reject(makeError())
    this.#rejectWaiting(makeError)
    this.#leavePlaces()
  }

  sweep(now: MonotonicMs): void {
    const late = () => new RequestTimeoutError('the deadline passed before the write was proposed')
    for (const { caller } of [...this.#returned, ...this.#queue]) {
      if (caller.deadline <= now) caller.reject(late())
    }
    for (const { caller } of this.#entries) if (caller.deadline <= now) caller.reject(late())
    this.#sweepAside(now)
    this.#sweepFaulty(now)
    for (const caller of callersOf(this.#inFlight)) {
      if (caller.deadline > now || caller.isSettled) continue
      this.#components.counters.add('indeterminate_answers')
      caller.reject(new IndeterminateError('the deadline passed while the write was replicated'))
    }
  }

  get #hasWrites(): boolean {
    return this.#returned.length > 0 || this.#queue.length > 0
  }

  /** What it asks for may be other rows than when it looked last. */
  #keepPlace(write: PendingWrite, rows: Rows): void {
    const place = this.#components.rows?.keepPlace(rows, this.#places.get(write) ?? null) ?? null
    if (place === null) this.#places.delete(write)
    else this.#places.set(write, place)
  }

  #leavePlaces(): void {
    for (const [write, place] of this.#places) {
      if (!write.caller.isSettled) continue
      this.#places.delete(write)
      place.leave()
    }
  }

  #sweepAside(now: MonotonicMs): void {
    this.#leavePlaces()
    if (this.#aside.length === 0) return
    this.#aside = this.#aside.filter(({ caller, request }) => {
      if (caller.isSettled) return false
      if (request.deadline - lockedAnswerMs > now) return true
      caller.reject(new LockedError('a distributed transaction holds its rows'))
      return false
    })
  }

  #sweepFaulty(now: MonotonicMs): void {
    const late = () => new RequestTimeoutError('the deadline passed before a fault was confirmed')
    for (const { callers } of this.#faulty()) {
      for (const { caller } of callers) if (caller.deadline <= now) caller.reject(late())
    }
  }

  #rejectFaulty(makeError: () => Error): void {
    for (const { callers } of this.#faulty()) reject(callers, makeError)
    this.#unconfirmed.clear()
  }

  #faulty(): readonly FaultyWrite[] {
    const own = this.#inFlight
    return [...this.#unconfirmed, ...(own?.kind === 'batch' ? own.faulty : [])]
  }

  /** No planned write is before them, so they have met what is committed, if this replica leads. */
  #confirm(faulty: readonly FaultyWrite[], isLeading: () => boolean): void {
    for (const one of faulty) this.#unconfirmed.add(one)
    const deadlines = faulty.flatMap(({ callers }) => callers.map(({ caller }) => caller.deadline))
    const settle = (errorOf: (one: FaultyWrite) => Error) => {
      for (const one of faulty) {
        this.#unconfirmed.delete(one)
        reject(one.callers, () => errorOf(one))
      }
      this.#leavePlaces()
    }
    this.#components.confirm(Math.max(...deadlines) as MonotonicMs).then(
      () => settle(({ error }) => (isLeading() ? error : this.#refusal())),
      (error: Error) => settle(() => error)
    )
  }

  async #proposeEntry(isLeading: () => boolean): Promise<void> {
    const entry = this.#entries.shift()
    if (entry === undefined || entry.caller.isSettled) return
    const { section, make, caller } = entry
    const logTime = this.#nextLogTime()
    this.#making = entry
    try {
      const bytes = await make(this.#turnAt(logTime))
      if (bytes === null || caller.isSettled) {
        caller.resolve()
        return
      }
      const payload = { kind: 'system', logTime, limits: this.#limits(), section, bytes } as const
      const proposed = isLeading() ? this.#propose(payload) : null
      if (proposed === null) caller.reject(this.#refusal())
      else {
        this.#inFlight = { ...proposed, kind: 'system', caller }
        this.#components.counters.add('section_entries')
      }
    } catch (error) {
      caller.reject(error as Error)
      throw error
    } finally {
      this.#making = null
    }
  }

  #turnAt(logTime: number): SectionTurn {
    const { engine } = this.#components
    const index = this.#nextIndex()
    return {
      logTime,
      prepare: (request, deadline) =>
        engine.prepare === undefined
          ? null
          : engine.prepare(request, { index, deadline }).catch((cause: unknown) => {
              if (cause instanceof SkeinError) throw cause
              throw new EngineFailedError('the engine failed while preparing', { cause })
            })
    }
  }

  async #proposeBatch(isLeading: () => boolean): Promise<void> {
    const { applier, engine, counters } = this.#components
    const index = this.#nextIndex()
    const logTime = this.#nextLogTime()
    const limits = this.#limits()
    const source: WriteSource = {
      next: () => this.#nextWrite(),
      putBack: (writes) => {
        this.#returned = [...writes, ...this.#returned]
      },
      setAside: (writes, rows) => {
        this.#aside.push(...writes)
        if (rows === null) return
        for (const write of writes.slice(0, 1)) this.#keepPlace(write, rows)
      }
    }
    const batch = await this.#planner.plan(source, {
      table: applier.table,
      index,
      logTime,
      limits,
      commandsMax: Math.min(this.#commandsMax, this.#config.batchCommandsMax)
    })
    const { planned, faulty } = batch
    if (planned.length === 0) {
      if (faulty.length > 0) this.#confirm(faulty, isLeading)
      return
    }
    if (isLeading() && this.#nextIndex() !== index) {
      // An entry of Raft's own came in between, and commands may hold the index that they expected.
      source.putBack(writesOf(batch).flatMap(({ callers }) => callers))
      await engine.discard()
      return
    }
    this.#planning = batch
    const commands = planned.map(({ entry }) => entry)
    const payload = { kind: 'batch', logTime, limits, commands } as const
    const proposed = isLeading() ? this.#propose(payload) : null
    if (proposed === null) {
      for (const { callers } of writesOf(batch)) reject(callers, () => this.#refusal())
      await engine.discard()
    } else {
      this.#inFlight = { ...proposed, kind: 'batch', planned, faulty }
      counters.add('batches')
      counters.add('batch_commands', planned.length)
    }
    this.#planning = nothingPlanned
  }

  #proposeRegistrations(registrations: readonly PendingRegistration[]): void {
    const clients = registrations.map(({ clientId }) => clientId)
    const logTime = this.#nextLogTime()
    const limits = this.#limits()
    const proposed = this.#propose({ kind: 'register', logTime, limits, clients })
    if (proposed !== null) this.#inFlight = { ...proposed, kind: 'register', registrations }
    else for (const { caller } of registrations) caller.reject(this.#refusal())
  }

  #propose(payload: GroupPayload): { index: LogIndex; term: Term } | null {
    const { raft, counters } = this.#components
    const bytes = encodeEntryPayload({ kind: 'batch', bytes: encodePayload(payload) })
    const outcome = raft.propose(bytes)
    counters.add(outcome.kind === 'proposed' ? 'proposals' : 'proposals_refused')
    return outcome.kind === 'proposed' ? { index: outcome.index, term: outcome.term } : null
  }

  #refusal(): Error {
    const { role, leader } = this.#components.raft.status()
    if (role !== 'leader') return notLeader(leader === null ? null : nodeOf(leader))
    return new BackpressureError('the group takes no proposals for the moment')
  }

  #takeRegistrations(): PendingRegistration[] {
    const taken: PendingRegistration[] = []
    while (taken.length < registrationsMax) {
      const head = this.#returned.length > 0 ? this.#returned[0] : this.#queue.peek()
      if (head?.kind !== 'register') break
      this.#shift()
      if (!head.caller.isSettled) taken.push(head)
    }
    return taken
  }

  #nextWrite(): PendingWrite | undefined {
    const head = this.#returned.length > 0 ? this.#returned[0] : this.#queue.peek()
    if (head?.kind !== 'write') return undefined
    this.#shift()
    return head
  }

  #shift(): void {
    if (this.#returned.length > 0) this.#returned.shift()
    else this.#queue.shift()
  }

  #nextIndex(): LogIndex {
    return (this.#components.raft.status().lastIndex + 1) as LogIndex
  }

  #nextLogTime(): number {
    return this.#components.applier.nextLogTime()
  }

  #limits(): ClientLimits {
    const { clientsMax, clientIdleTimeoutMs } = this.#config
    return { clientsMax, clientIdleTimeoutMs }
  }

  #rejectInFlight(): void {
    for (const caller of callersOf(this.#inFlight)) {
      if (caller.isSettled) continue
      this.#components.counters.add('indeterminate_answers')
      caller.reject(new IndeterminateError('leadership was lost while the write was replicated'))
    }
    this.#inFlight = null
  }

  #rejectWaiting(makeError: () => Error): void {
    const writes = [...this.#returned, ...this.#aside, ...this.#queue.takeAll()]
    for (const { caller } of [...writes, ...this.#entries.takeAll()]) caller.reject(makeError())
    this.#returned = []
    this.#aside = []
  }
}

function answer(
  callers: readonly PendingWrite[],
  results: PlannedWrite['results'],
  index: LogIndex
): void {
  for (const [i, { caller }] of callers.entries()) {
    caller.resolve({ results, index, repeated: i > 0 })
  }
}

function reject(callers: readonly PendingWrite[], makeError: () => Error): void {
  for (const { caller } of callers) caller.reject(makeError())
}

function callersOf(inFlight: InFlight | null): (Pending<never> | Pending<void>)[] {
  if (inFlight === null || inFlight.kind === 'check') return []
  if (inFlight.kind === 'register') return inFlight.registrations.map(({ caller }) => caller)
  if (inFlight.kind === 'system') return [inFlight.caller]
  return inFlight.planned.flatMap(({ callers }) =>
    callers.map(({ caller }) => caller as unknown as Pending<never>)
  )
}

const notLeader = (leader: NodeId | null): Error =>
  new NotLeaderError(
    'this node does not lead the group; nothing was proposed',
    leader === null ? {} : { leaderHint: leader }
  )
