/**
 * A group of the simulation: one agreed log, and those who lead it or believe that they do. A crash
 * loses a leader with all it knows; what it had proposed is lost from some entry on, the rest is in
 * the next leader's log.
 */
import type { GroupId, LogIndex, MonotonicMs, Term } from '../../../src/core/ids.js'
import type { Random } from '../../../src/core/ports/random.js'
import {
  type Change,
  decodeChanges,
  encodeChanges
} from '../../../src/failover/two-phase/changes.js'
import {
  Coordinator,
  type CoordinatorOptions
} from '../../../src/failover/two-phase/coordinator.js'
import { DecisionHold } from '../../../src/failover/two-phase/decision-hold.js'
import { LockTable } from '../../../src/failover/two-phase/lock-table.js'
import {
  Participant,
  type ParticipantOptions
} from '../../../src/failover/two-phase/participant.js'
import {
  type Applied,
  type TransactionLimits,
  TransactionState
} from '../../../src/failover/two-phase/transaction-state.js'
import { changesOf, type Values } from './bank.js'

export type Payload =
  | { readonly kind: 'transactions'; readonly bytes: Uint8Array }
  | { readonly kind: 'plain'; readonly values: readonly (readonly [string, number])[] }

export interface Proposal {
  readonly term: Term
  readonly logTime: number
  readonly payload: Payload
  readonly onApplied?: () => void
}

export interface SimOptions {
  readonly coordinator: Omit<CoordinatorOptions, 'group'>
  readonly participant: Omit<ParticipantOptions, 'group'>
  readonly limits: TransactionLimits
}

/** One that leads, or did and does not know that another does. */
export class SimLeader {
  readonly group: GroupId
  readonly term: Term
  readonly state: TransactionState
  readonly values: Values
  readonly locks = new LockTable()
  readonly hold = new DecisionHold()
  readonly coordinator: Coordinator
  readonly participant: Participant
  /** Its clock against the world's. */
  readonly skewMs: number
  readonly rate: number
  isDeposed = false
  isDown = false
  plainInFlight = 0
  deferredPlans: (() => void)[] = []
  timerAt: number | null = null

  constructor(
    init: {
      group: GroupId
      term: Term
      state: TransactionState
      values: Values
      random: Random
      skewMs: number
      rate: number
    },
    options: SimOptions
  ) {
    const { group, state, random } = init
    this.group = group
    this.term = init.term
    this.state = state
    this.values = init.values
    this.skewMs = init.skewMs
    this.rate = init.rate
    this.coordinator = new Coordinator({ view: state, random }, { ...options.coordinator, group })
    this.participant = new Participant(
      { view: state, random, locks: this.locks },
      { ...options.participant, group }
    )
  }

  get serves(): boolean {
    return !this.isDown
  }

  wallNow(now: number): number {
    return Math.floor(now * this.rate + this.skewMs)
  }

  apply(payload: Payload, at: { index: LogIndex; term: Term; now: number }): Applied | null {
    return applyTo(this.state, this.values, payload, at)
  }
}

export interface CommittedEntry {
  readonly term: Term
  readonly index: LogIndex
  readonly changes: readonly Change[]
  readonly applied: Applied | null
}

export class SimGroup {
  readonly id: GroupId
  readonly #options: SimOptions
  /** What a replica that missed nothing has. */
  readonly canonical: TransactionState
  readonly values: Values
  readonly keys = new Map<string, Uint8Array>()
  leader: SimLeader | null = null
  /** Deposed, and not aware of it. */
  readonly stale: SimLeader[] = []
  proposals: Proposal[] = []
  term = 0 as Term
  lastIndex = 0 as LogIndex
  logTime = 0
  #proposedLogTime = 0

  constructor(id: GroupId, values: Values, options: SimOptions) {
    this.id = id
    this.values = values
    this.#options = options
    this.canonical = new TransactionState(id, options.limits)
  }

  /** A leader begins with what the engine holds, and everything before its term applied. */
  elect(now: number, clock: { skewMs: number; rate: number; random: Random }): SimLeader {
    this.term = (this.term + 1) as Term
    const stored = [...this.keys].map(([key, value]) => ({ key, value: value.slice() }))
    const state = TransactionState.restore(this.id, this.#options.limits, stored)
    const leader = new SimLeader(
      { group: this.id, term: this.term, state, values: new Map(this.values), ...clock },
      this.#options
    )
    this.#proposedLogTime = this.logTime
    this.lastIndex = (this.lastIndex + 1) as LogIndex
    this.leader = leader
    leader.participant.lead(now as MonotonicMs)
    leader.coordinator.lead(this.term, now as MonotonicMs)
    return leader
  }

  nextLogTime(leader: SimLeader, now: number): number {
    return Math.max(this.#proposedLogTime + 1, this.logTime + 1, leader.wallNow(now))
  }

  propose(leader: SimLeader, payload: Payload, now: number, onApplied?: () => void): void {
    if (leader !== this.leader) return
    const logTime = this.nextLogTime(leader, now)
    this.#proposedLogTime = logTime
    const { term } = leader
    this.proposals.push({ term, logTime, payload, ...(onApplied ? { onApplied } : {}) })
  }

  /** The oldest proposal is committed and applied; answers what a leader must hear. */
  commitNext(): CommittedEntry & { readonly onApplied: (() => void) | undefined } {
    const { term, logTime, payload, onApplied } = this.proposals.shift() as Proposal
    this.lastIndex = (this.lastIndex + 1) as LogIndex
    this.logTime = logTime
    const at = { index: this.lastIndex, term, now: logTime }
    const applied = applyTo(this.canonical, this.values, payload, at)
    for (const { key, value } of applied?.writes ?? []) {
      if (value === null) this.keys.delete(key)
      else this.keys.set(key, value.slice())
    }
    if (this.leader !== null && this.leader.term === term) {
      const own = this.leader.apply(payload, at)
      const [ours, theirs] = [told(own), told(applied)]
      if (ours !== theirs) throw new Error(`replicas of ${this.id} differ: ${ours}; ${theirs}`)
    }
    const logged = payload.kind === 'transactions' ? decodeChanges(payload.bytes) : []
    const changes = logged.filter((change) => change.kind !== 'recover')
    return { term, index: this.lastIndex, changes, applied, onApplied }
  }
}

function applyTo(
  state: TransactionState,
  values: Values,
  payload: Payload,
  at: { index: LogIndex; term: Term; now: number }
): Applied | null {
  if (payload.kind === 'plain') {
    for (const [key, value] of payload.values) values.set(key, value)
    return null
  }
  const applied = state.apply(decodeChanges(payload.bytes), at)
  for (const command of applied.commands) {
    for (const [key, value] of changesOf(command)) values.set(key, value)
  }
  return applied
}

/** Of replicas that were restored at different times. */
const told = (applied: Applied | null): string =>
  JSON.stringify([
    applied?.answers,
    applied?.writes.map(({ key, value }) => [key, value === null ? null : [...value]])
  ])

export const transactionsPayload = (changes: readonly Change[]): Payload => ({
  kind: 'transactions',
  bytes: encodeChanges(changes)
})
