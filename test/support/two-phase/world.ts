/**
 * Distributed transactions on virtual time: groups with an agreed log each, messages that are lost,
 * doubled, late and out of order, leaders that crash, move or do not know that they are deposed.
 */
import type { GroupId, LogIndex, MonotonicMs, Term, TransactionId } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { transactionIdOf } from '../../../src/core/transaction-id.js'
import type { Change } from '../../../src/failover/two-phase/changes.js'
import type {
  CoordinatorEvent,
  CoordinatorSend
} from '../../../src/failover/two-phase/coordinator.js'
import type {
  ParticipantEvent,
  ParticipantSend,
  PrepareRequest
} from '../../../src/failover/two-phase/participant.js'
import { changesOf, encodeOperations, type Operation, plan, type Values } from './bank.js'
import { Checks } from './checks.js'
import { SimGroup, type SimLeader, type SimOptions, transactionsPayload } from './sim-group.js'

export type Send = CoordinatorSend | ParticipantSend | Answer
interface Answer {
  readonly kind: 'decision'
  readonly to: GroupId
  readonly transaction: TransactionId
  readonly decision: 'undecided' | 'commit' | 'abort'
  readonly index: LogIndex
}

/** Moments at which a script may let something happen. */
export type Moment =
  | { readonly what: 'begun'; readonly leader: SimLeader }
  | {
      readonly what: 'send'
      readonly when: 'before' | 'after'
      readonly leader: SimLeader
      readonly send: Send
    }
  | {
      readonly what: 'propose'
      readonly when: 'before' | 'after'
      readonly leader: SimLeader
      readonly kinds: readonly string[]
    }
  | {
      readonly what: 'applied' | 'handled'
      readonly leader: SimLeader
      readonly kinds: readonly string[]
    }

export interface Faults {
  lossRate: number
  duplicateRate: number
  delayMaxMs: number
  /** Of messages that are very late. */
  strayRate: number
  strayMaxMs: number
  /** A deposed leader gets what was meant for the new one. */
  misrouteRate: number
}

export const calm: Faults = {
  lossRate: 0,
  duplicateRate: 0,
  delayMaxMs: 5,
  strayRate: 0,
  strayMaxMs: 0,
  misrouteRate: 0
}

export interface Outcome {
  readonly outcome: 'committed' | 'aborted' | 'unknown'
  readonly reason: string
  readonly results: ReadonlyMap<GroupId, Uint8Array | null>
}

interface Event {
  readonly at: number
  readonly order: number
  readonly act: () => void
}

export const defaultOptions: SimOptions = {
  coordinator: {
    openMax: 20_000,
    prepareRetryMs: 100,
    scanIntervalMs: 500,
    settleDelayMs: 300,
    inFlightMax: 256,
    answerTimeoutMs: 60,
    retryMinMs: 20,
    retryMaxMs: 500,
    unreachableAlarmMs: 60_000
  },
  participant: {
    preparingMax: 1_024,
    inDoubtAfterMs: 250,
    askIntervalMaxMs: 1_000,
    inDoubtAlarmMs: 60_000
  },
  limits: { branchesMax: 16_384, decisionsMax: 16_384, endsMax: 65_536, endRetentionMs: 60_000 }
}

export const electionMs = 150

export class World {
  now = 0
  readonly groups: readonly SimGroup[]
  readonly checks: Checks
  readonly random: SplittableRandom
  readonly events: (CoordinatorEvent | ParticipantEvent)[] = []
  readonly outcomes = new Map<TransactionId, Outcome>()
  readonly counts: Record<string, number> = {}
  faults: Faults = { ...calm }
  /** `from to`: what goes this way is lost. */
  readonly cuts = new Set<string>()
  onMoment: ((moment: Moment) => void) | null = null
  isSkewed = false
  /** Off: runs with very many rows are judged at their end alone. */
  isJudged = true
  #heap: Event[] = []
  #order = 0
  readonly #network: SplittableRandom
  readonly #clocks: SplittableRandom

  constructor(seed: number, accounts: readonly Values[], options: Partial<SimOptions> = {}) {
    const random = SplittableRandom.fromSeed(seed)
    this.random = random.split('load')
    this.#network = random.split('network')
    this.#clocks = random.split('clocks')
    const all = { ...defaultOptions, ...options }
    this.groups = accounts.map((values, id) => new SimGroup(id as GroupId, new Map(values), all))
    this.checks = new Checks(this.groups)
  }

  start(): void {
    for (const group of this.groups) this.elect(group)
  }

  group(id: GroupId): SimGroup {
    return this.groups[id] as SimGroup
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  after(ms: number, act: () => void): void {
    const event = { at: this.now + ms, order: this.#order++, act }
    let at = this.#heap.length
    this.#heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, this.#heap[parent] as Event)) break
      this.#heap[at] = this.#heap[parent] as Event
      at = parent
    }
    this.#heap[at] = event
  }

  /** Until `until`, or nothing is left to happen. */
  run(until: number): void {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > until) break
      this.#pop()
      this.now = next.at
      next.act()
      if (this.isJudged) this.checks.afterEvent(this.now)
    }
    this.now = Math.max(this.now, until)
  }

  elect(group: SimGroup): void {
    const skewMs = this.isSkewed ? this.#clocks.nextInt(7_200_000) - 3_600_000 : 0
    const rate = this.isSkewed ? 0.5 + this.#clocks.nextFloat() * 1.5 : 1
    const random = this.#clocks.split(`${group.id} ${group.term}`)
    const leader = group.elect(this.now, { skewMs: Math.max(0, skewMs), rate, random })
    this.count('elections')
    this.#pump(leader)
  }

  /** The leader is gone; of what it proposed the first `kept` entries are in the next one's log. */
  crash(group: SimGroup, kept: number, downMs = electionMs): void {
    const { leader } = group
    if (leader === null) return
    this.count('crashes')
    leader.isDown = true
    group.leader = null
    this.#endTerm(group, kept, downMs)
  }

  /** Another one is elected, and the old one does not hear of it for a while. */
  depose(group: SimGroup, kept: number, unawareMs: number): void {
    const { leader } = group
    if (leader === null) return
    this.count('depositions')
    leader.isDeposed = true
    group.stale.push(leader)
    group.leader = null
    this.#endTerm(group, kept, electionMs)
    this.after(electionMs + unawareMs, () => this.#hearDeposed(group, leader))
  }

  #endTerm(group: SimGroup, kept: number, downMs: number): void {
    group.proposals = group.proposals.slice(0, kept)
    this.after(downMs, () => {
      while (group.proposals.length > 0) this.#commitNext(group)
      this.elect(group)
    })
  }

  #hearDeposed(group: SimGroup, leader: SimLeader): void {
    group.stale.splice(group.stale.indexOf(leader), 1)
    leader.participant.resign()
    leader.coordinator.resign()
    this.#drainEvents(leader)
    leader.isDown = true
  }

  cut(from: GroupId, to: GroupId): void {
    this.cuts.add(`${from} ${to}`)
  }

  isolate(id: GroupId): void {
    for (const { id: other } of this.groups) {
      if (other === id) continue
      this.cut(id, other)
      this.cut(other, id)
    }
  }

  heal(): void {
    this.cuts.clear()
  }

  newId(stampMs = Math.floor(this.now)): TransactionId {
    return transactionIdOf(stampMs, [this.random.nextUint32(), this.random.nextUint32()])
  }

  /** False: there is nobody to begin it. */
  begin(
    transaction: TransactionId,
    branches: readonly { readonly group: GroupId; readonly operations: readonly Operation[] }[],
    timeoutMs: number
  ): boolean {
    const [first] = branches
    const group = this.group((first as { group: GroupId }).group)
    const { leader } = group
    if (leader === null) return false
    const plans = branches.map(({ group: id, operations }) => ({
      group: id,
      data: encodeOperations(operations),
      reads: operations.every(({ kind }) => kind === 'read' || kind === 'readAll')
    }))
    const begun = leader.coordinator.begin(
      { transaction, branches: plans, timeoutMs },
      this.now as MonotonicMs,
      group.nextLogTime(leader, this.now)
    )
    if (begun.kind !== 'begun') return false
    this.count('begun')
    this.onMoment?.({ what: 'begun', leader })
    this.#pump(leader)
    return true
  }

  /** A write of this group alone: waits for rows that a transaction holds. Answers when it ends. */
  plainWrite(id: GroupId, operations: readonly Operation[], until: number): void {
    const group = this.group(id)
    const { leader } = group
    if (this.now > until || leader === null) {
      this.count('plain writes given up')
      return
    }
    const planned = plan(encodeOperations(operations), leader.values)
    const isBlocked = leader.participant.blockersOf(planned.locks).length > 0
    if (isBlocked || leader.plainInFlight > 0) {
      this.count('plain writes that waited')
      this.after(20, () => this.plainWrite(id, operations, until))
      return
    }
    if (planned.command === null) return
    const values = changesOf(planned.command)
    leader.plainInFlight++
    const onApplied = () => {
      leader.plainInFlight--
      this.count('plain writes')
      this.checks.plainApplied(id, values)
      for (const deferred of leader.deferredPlans.splice(0)) deferred()
    }
    group.propose(leader, { kind: 'plain', values }, this.now, onApplied)
    this.#scheduleCommit(group)
  }

  /** A linearizable read: waits for rows that a prepared branch holds. */
  linearizableRead(id: GroupId, key: string, until: number): void {
    const { leader } = this.group(id)
    if (this.now > until || leader === null) return
    const locks = { readKeys: [key], writeKeys: [] }
    if (leader.participant.blockersOf(locks).length > 0) {
      this.after(10, () => this.linearizableRead(id, key, until))
      return
    }
    this.count('linearizable reads')
    this.checks.read(id, key, leader.values.get(key) ?? 0)
  }

  resolve(id: GroupId, transaction: TransactionId, outcome: 'commit' | 'abort'): void {
    const { leader } = this.group(id)
    if (leader === null) throw new Error('nobody leads')
    const change = {
      kind: 'resolve',
      transaction,
      outcome,
      by: 'operator',
      reason: 'test'
    } as const
    this.#propose(leader, [change])
  }

  /** What a leader has kept back for a backup goes on. */
  release(leader: SimLeader, token: string): void {
    leader.hold.release(token)
    if (leader.serves) this.#pump(leader)
  }

  forget(id: GroupId, transaction: TransactionId): void {
    const { leader } = this.group(id)
    if (leader !== null) this.#propose(leader, [{ kind: 'forget', transaction }])
  }

  /** Puts a message on its way, as if a leader had sent it. */
  deliver(from: GroupId, send: Send): void {
    const sender = this.group(from).leader
    if (sender !== null) this.#transmit(sender, send)
  }

  /** Straight into the log of a group, whoever leads. */
  inject(id: GroupId, changes: readonly Change[]): void {
    const { leader } = this.group(id)
    if (leader !== null) this.#propose(leader, changes)
  }

  /** Nothing is open, prepared, owed or waiting anywhere. */
  leftovers(): string[] {
    const left: string[] = []
    for (const { id, canonical, leader } of this.groups) {
      if (canonical.branchCount > 0) left.push(`group ${id}: ${canonical.branchCount} branches`)
      if (canonical.decisionCount > 0)
        left.push(`group ${id}: ${canonical.decisionCount} decisions`)
      if (leader === null) left.push(`group ${id}: no leader`)
      else {
        if (leader.coordinator.openCount > 0) left.push(`group ${id}: open transactions`)
        if (leader.participant.preparingCount > 0) left.push(`group ${id}: branches to prepare`)
        if (leader.locks.holderCount > 0) left.push(`group ${id}: rows are held`)
        if (leader.locks.waiterCount > 0) left.push(`group ${id}: somebody waits for rows`)
      }
    }
    return left
  }

  /** Drains the cores of a leader and carries out what they want, until they are quiet. */
  #pump(leader: SimLeader): void {
    for (;;) {
      const { coordinator, participant } = leader
      const [one, other] = [coordinator.drain(), participant.drain()]
      const asked = [...(one.persist ?? []), ...(other.persist ?? [])]
      const changes = leader.hold.pass(asked, this.now as MonotonicMs)
      const sends: Send[] = [...one.sendNow, ...other.sendNow]
      const events = [...one.emit, ...other.emit]
      if (changes.length + sends.length + events.length === 0) break
      for (const event of events) this.#tell(leader, event)
      if (changes.length > 0) this.#propose(leader, changes)
      for (const send of sends) {
        if (!leader.serves) return
        this.onMoment?.({ what: 'send', when: 'before', leader, send })
        if (!leader.serves) return
        this.checks.sent(leader, send)
        this.#transmit(leader, send)
        this.onMoment?.({ what: 'send', when: 'after', leader, send })
      }
      if (!leader.serves) return
    }
    this.#arm(leader)
  }

  #drainEvents(leader: SimLeader): void {
    for (const event of leader.coordinator.drain().emit) this.#tell(leader, event)
    leader.participant.drain()
  }

  #tell(leader: SimLeader, event: CoordinatorEvent | ParticipantEvent): void {
    if (event.type === 'PlanWanted') this.#planFor(leader, event.request)
    else if (event.type !== 'RowsReleased') this.events.push(event)
    if (event.type !== 'Finished') return
    const { transaction, outcome, reason, votes } = event
    const results = new Map([...votes].map(([group, vote]) => [group, vote.results]))
    this.count(outcome)
    this.checks.finished(transaction, leader.term, outcome)
    if (!this.outcomes.has(transaction)) {
      this.outcomes.set(transaction, { outcome, reason, results })
    }
  }

  #planFor(leader: SimLeader, request: PrepareRequest): void {
    const { transaction, data, mayDropOut } = request
    // Without a quorum there is no read index.
    if (mayDropOut && leader.isDeposed) return
    if (leader.plainInFlight > 0) {
      leader.deferredPlans.push(() => this.#planFor(leader, request))
      return
    }
    const logNow = this.group(leader.group).nextLogTime(leader, this.now)
    leader.participant.handlePlanned(transaction, plan(data, leader.values), logNow)
    this.after(0, () => {
      if (leader.serves) this.#pump(leader)
    })
  }

  #propose(leader: SimLeader, changes: readonly Change[]): void {
    if (!leader.serves) return
    const kinds = changes.map(({ kind }) => kind)
    this.onMoment?.({ what: 'propose', when: 'before', leader, kinds })
    if (!leader.serves) return
    const group = this.group(leader.group)
    for (let at = 0; at < changes.length; at += 1_024) {
      group.propose(leader, transactionsPayload(changes.slice(at, at + 1_024)), this.now)
      this.#scheduleCommit(group)
    }
    this.onMoment?.({ what: 'propose', when: 'after', leader, kinds })
  }

  #scheduleCommit(group: SimGroup): void {
    const { leader } = group
    // A quorum that is slow at times: what is proposed stays unknown for a while.
    const slowMs = this.#network.nextInt(8) === 0 ? 80 : 8
    this.after(1 + this.#network.nextInt(slowMs), () => {
      // What was proposed in an earlier term was settled by the election.
      if (group.leader === leader && leader !== null && group.proposals.length > 0) {
        this.#commitNext(group)
      }
    })
  }

  #commitNext(group: SimGroup): void {
    const { term, changes, applied, onApplied } = group.commitNext()
    this.checks.applied(group.id, term, changes, applied)
    const { leader } = group
    if (leader === null || leader.term !== term) {
      onApplied?.()
      return
    }
    if (applied !== null) {
      const kinds = changes.map(({ kind }) => kind)
      this.onMoment?.({ what: 'applied', leader, kinds })
      if (!leader.serves) return
      leader.participant.handleApplied(applied.answers, this.now as MonotonicMs)
      leader.coordinator.handleApplied(applied.answers, this.now as MonotonicMs)
    }
    onApplied?.()
    this.#pump(leader)
  }

  #transmit(from: SimLeader, send: Send): void {
    this.count(send.kind)
    const { to } = send
    const isLocal = to === from.group
    const random = this.#network
    if (!isLocal && this.cuts.has(`${from.group} ${to}`)) return
    if (!isLocal && random.nextFloat() < this.faults.lossRate) return
    const copies = random.nextFloat() < this.faults.duplicateRate ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const isStray = !isLocal && random.nextFloat() < this.faults.strayRate
      const max = isStray ? this.faults.strayMaxMs : isLocal ? 1 : this.faults.delayMaxMs
      this.after(1 + random.nextInt(max), () => this.#receive(from, send))
    }
  }

  #receive(from: SimLeader, send: Send): void {
    if (send.to !== from.group && this.cuts.has(`${from.group} ${send.to}`)) return
    const leader = this.#receiverOf(from, send)
    if (leader === null || !leader.serves) return
    this.#handle(leader, from.group, send)
    this.onMoment?.({ what: 'handled', leader, kinds: [send.kind] })
    if (leader.serves) this.#pump(leader)
  }

  #receiverOf(from: SimLeader, { to }: Send): SimLeader | null {
    if (to === from.group) return from
    const { leader, stale } = this.group(to)
    const misrouted = stale[0]
    if (misrouted === undefined) return leader
    return this.#network.nextFloat() < this.faults.misrouteRate ? misrouted : leader
  }

  #handle(leader: SimLeader, from: GroupId, send: Send): void {
    const { coordinator, participant } = leader
    const now = this.now as MonotonicMs
    const logNow = this.group(leader.group).nextLogTime(leader, this.now)
    const { transaction } = send
    switch (send.kind) {
      case 'prepare':
        participant.handlePrepare({ ...send, coordinator: from }, now, logNow)
        break
      case 'commit':
        participant.handleCommit(transaction, send.epoch, from, send.decidedAt)
        break
      case 'abort':
        participant.handleAbort(transaction, from, send.reason)
        break
      case 'vote':
        coordinator.handleVote(transaction, from, send.vote, now, logNow)
        break
      case 'ack':
        coordinator.handleAck(transaction, from, send.state, now)
        break
      case 'query': {
        const answer = coordinator.handleQuery(transaction, send.epoch, from)
        if (answer === null) break
        this.#transmit(leader, { kind: 'decision', to: from, transaction, ...answer })
        this.checks.answered(transaction, send.epoch, answer.decision)
        break
      }
      case 'decision':
        participant.handleDecision(transaction, from, send.decision, send.index)
        break
    }
  }

  #arm(leader: SimLeader): void {
    const next = Math.min(leader.coordinator.nextDeadline(), leader.participant.nextDeadline())
    if (next === Number.POSITIVE_INFINITY) return
    const at = Math.max(next, this.now)
    if (leader.timerAt !== null && leader.timerAt <= at) return
    leader.timerAt = at
    this.after(at - this.now, () => {
      if (leader.timerAt !== at) return
      leader.timerAt = null
      if (!leader.serves) return
      const logNow = this.group(leader.group).nextLogTime(leader, this.now)
      leader.coordinator.handleTimeout(this.now as MonotonicMs, logNow)
      leader.participant.handleTimeout(this.now as MonotonicMs, logNow)
      this.#pump(leader)
    })
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) {
        child++
      }
      if (!isBefore(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
  }
}

const isBefore = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order)

export const groupId = (id: number): GroupId => id as GroupId
export const termOf = (term: number): Term => term as Term
