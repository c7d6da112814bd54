/**
 * What must hold after every event, whatever the faults: the invariants of two-phase commit, seen
 * from above, with every group's log before one's eyes.
 */
import type { GroupId, Term, TransactionId } from '../../../src/core/ids.js'
import type { Command } from '../../../src/core/ports/engine.js'
import type { Change, ChangeOf } from '../../../src/failover/two-phase/changes.js'
import { LockHolders } from '../../../src/failover/two-phase/lock-holders.js'
import type { Applied } from '../../../src/failover/two-phase/transaction-state.js'
import { changesOf } from './bank.js'
import type { SimGroup, SimLeader } from './sim-group.js'
import type { Send } from './world.js'

const retentionMs = 60_000

interface Fate {
  /** Each group's end, as its log has it. */
  readonly ends: Map<GroupId, 'committed' | 'aborted'>
  /** By the group's log time. */
  readonly endedAt: Map<GroupId, number>
  /** Epochs in which each group voted yes. */
  readonly votes: Map<GroupId, Set<Term>>
  /** What each epoch's coordinator told its client. */
  readonly told: Map<Term, 'committed' | 'aborted' | 'unknown'>
  /** What each group promised to write. */
  readonly commands: Map<GroupId, Command | null>
  decision: 'commit' | 'abort' | null
  decidedIn: Term | null
  coordinator: GroupId | null
  /** Groups whose branches the decision binds. */
  bound: readonly GroupId[]
  isForced: boolean
}

export class Checks {
  readonly #groups: readonly SimGroup[]
  readonly #fates = new Map<TransactionId, Fate>()
  /** What the database as a whole says: decided transactions count at once. */
  readonly #logical: Map<string, number>[]
  readonly #total: number
  commits = 0
  readonly sums: number[] = []

  constructor(groups: readonly SimGroup[]) {
    this.#groups = groups
    this.#logical = groups.map(({ values }) => new Map(values))
    this.#total = this.#sum()
  }

  get total(): number {
    return this.#total
  }

  fate(transaction: TransactionId): Fate {
    const known = this.#fates.get(transaction)
    if (known !== undefined) return known
    const fate: Fate = {
      ends: new Map(),
      endedAt: new Map(),
      votes: new Map(),
      told: new Map(),
      commands: new Map(),
      decision: null,
      decidedIn: null,
      coordinator: null,
      bound: [],
      isForced: false
    }
    this.#fates.set(transaction, fate)
    return fate
  }

  logical(id: GroupId, key: string): number {
    return this.#logical[id]?.get(key) ?? 0
  }

  /** An operator takes the responsibility: what he does is not judged. */
  force(transaction: TransactionId): void {
    this.fate(transaction).isForced = true
  }

  applied(id: GroupId, term: Term, changes: readonly Change[], applied: Applied | null): void {
    for (const [i, answer] of (applied?.answers ?? []).entries()) {
      const change = changes[i] as Change
      const { transaction } = answer
      const fate = this.fate(transaction)
      if (answer.kind === 'vote' && answer.vote === 'yes' && change.kind === 'prepare') {
        this.#voted(change, id, fate)
      }
      if (change.kind === 'resolve') fate.isForced = true
      if (answer.kind === 'decided') this.#decided(transaction, id, term, answer.decision, change)
      if (answer.kind === 'ended' && answer.state !== 'unknown' && answer.state !== 'prepared') {
        this.#ended(transaction, id, answer.state)
      }
      if (answer.kind === 'settled' && answer.isForgotten) this.#settled(transaction, fate)
    }
  }

  plainApplied(id: GroupId, values: readonly (readonly [string, number])[]): void {
    for (const [key, value] of values) this.#logical[id]?.set(key, value)
  }

  read(id: GroupId, key: string, value: number): void {
    const expected = this.logical(id, key)
    if (value !== expected) fail(`a read of ${key} in group ${id} saw ${value}, not ${expected}`)
  }

  /** A committed transaction that read every account. */
  sum(transaction: TransactionId, sum: number): void {
    this.sums.push(sum)
    if (sum !== this.#total) fail(`${transaction} saw a sum of ${sum}, not ${this.#total} (T-14)`)
  }

  sent(leader: SimLeader, send: Send): void {
    const { transaction } = send
    const fate = this.fate(transaction)
    if (send.kind === 'commit' && fate.decision !== 'commit') {
      fail(`${transaction}: commit is told before it is decided`)
    }
    if (send.kind === 'vote' && send.vote.vote === 'yes') {
      const epochs = fate.votes.get(leader.group)
      if (!epochs?.has(send.vote.epoch)) {
        fail(`${transaction}: group ${leader.group} votes yes before its log holds the branch`)
      }
    }
  }

  answered(
    transaction: TransactionId,
    epoch: Term,
    decision: 'undecided' | 'commit' | 'abort'
  ): void {
    const fate = this.fate(transaction)
    if (decision === 'commit' && fate.decision !== 'commit') {
      fail(`${transaction}: a query is answered commit, and nothing is decided`)
    }
    if (fate.decidedIn !== epoch) return
    if (fate.coordinator !== null && this.#isForgotten(fate.coordinator, fate)) return
    if (decision === 'abort' && fate.decision === 'commit' && !fate.isForced) {
      fail(`${transaction}: a query is answered abort, and commit is decided`)
    }
  }

  finished(
    transaction: TransactionId,
    epoch: Term,
    outcome: 'committed' | 'aborted' | 'unknown'
  ): void {
    const fate = this.fate(transaction)
    if (outcome === 'committed' && fate.decision !== 'commit') {
      fail(`${transaction}: told committed before the decision is in the log`)
    }
    if (outcome === 'aborted' && fate.decision === 'commit' && fate.decidedIn === epoch) {
      fail(`${transaction}: told aborted, and it is committed`)
    }
    fate.told.set(epoch, outcome)
  }

  afterEvent(now: number): void {
    const sum = this.#sum()
    if (sum !== this.#total) fail(`at ${now} the accounts hold ${sum}, not ${this.#total} (T-14)`)
    for (const group of this.#groups) this.#checkGroup(group)
  }

  /** When everything has come to rest. */
  atRest(): void {
    for (const { id, values } of this.#groups) {
      for (const [key, value] of values) {
        const logical = this.logical(id, key)
        if (value !== logical) fail(`group ${id} ends with ${key} at ${value}, not ${logical}`)
      }
    }
    for (const [transaction, { ends, decision, bound, isForced }] of this.#fates) {
      if (decision !== 'commit' || isForced) continue
      for (const id of bound) {
        if (ends.get(id) !== 'committed') fail(`${transaction}: group ${id} never committed`)
      }
    }
  }

  #checkGroup({ id, canonical, values, leader }: SimGroup): void {
    const locked = new Set<string>()
    const held = new LockHolders()
    for (const { transaction, locks } of canonical.branches()) {
      const [holder] = held.conflictsOf(locks, transaction)
      if (holder !== undefined) fail(`${transaction} and ${holder} hold the same rows`)
      held.hold(transaction, locks)
      if (leader !== null && !leader.locks.holds(transaction)) {
        fail(`${transaction} is prepared in group ${id} and holds no rows at its leader`)
      }
      if (locks.writeKeys === 'all') for (const key of values.keys()) locked.add(key)
      else for (const key of locks.writeKeys) locked.add(key)
    }
    for (const [key, value] of values) {
      const logical = this.logical(id, key)
      if (value !== logical && !locked.has(key)) {
        fail(`${key} of group ${id} is ${value} and free, and ${logical} was decided`)
      }
    }
  }

  #voted(change: ChangeOf<'prepare'>, id: GroupId, fate: Fate): void {
    const { transaction, epoch, command } = change
    if (!fate.commands.has(id)) fate.commands.set(id, command)
    const hadVoted = fate.votes.has(id)
    const epochs = fate.votes.get(id) ?? new Set<Term>()
    fate.votes.set(id, epochs)
    epochs.add(epoch)
    if (epochs.size > 1) fail(`${transaction}: group ${id} votes yes in ${epochs.size} epochs`)
    if (fate.ends.has(id) && (hadVoted || !this.#isForgotten(id, fate))) {
      fail(`${transaction}: group ${id} prepares what has ended there`)
    }
  }

  #decided(
    transaction: TransactionId,
    id: GroupId,
    term: Term,
    decision: 'commit' | 'abort',
    change: Change
  ): void {
    const fate = this.fate(transaction)
    if (fate.decision !== null && fate.decision !== decision) {
      fail(`${transaction}: decided ${fate.decision}, then ${decision}`)
    }
    if (decision === 'commit' && fate.told.get(term) === 'aborted') {
      fail(`${transaction}: told aborted, then decided commit`)
    }
    const isNew = fate.decision === null
    fate.decision = decision
    fate.decidedIn ??= term
    fate.coordinator = id
    this.#ended(transaction, id, decision === 'commit' ? 'committed' : 'aborted')
    if (decision === 'abort' || !isNew || change.kind !== 'decide') return
    if (change.epoch !== term) fail(`${transaction}: decided in another epoch than the log's`)
    fate.bound = [...change.groups, id]
    this.commits++
    for (const one of fate.bound) this.#bind(transaction, one, id, change.epoch, fate)
  }

  /** From the decision on the branch counts, whenever its group hears of it. */
  #bind(
    transaction: TransactionId,
    id: GroupId,
    coordinator: GroupId,
    epoch: Term,
    fate: Fate
  ): void {
    if (!fate.votes.get(id)?.has(epoch)) {
      fail(`${transaction}: commit without a vote of group ${id} in epoch ${epoch}`)
    }
    const group = this.#groups[id] as SimGroup
    if (id !== coordinator && group.canonical.branch(transaction) === null) {
      fail(`${transaction}: commit, and group ${id} has ${fate.ends.get(id) ?? 'no branch'}`)
    }
    const command = fate.commands.get(id) ?? null
    if (command === null) return
    for (const [key, value] of changesOf(command)) this.#logical[id]?.set(key, value)
  }

  #ended(transaction: TransactionId, id: GroupId, end: 'committed' | 'aborted'): void {
    const fate = this.fate(transaction)
    const before = fate.ends.get(id)
    if (before !== undefined && before !== end && !this.#isForgotten(id, fate)) {
      fail(`${transaction}: group ${id} ${before}, then ${end}`)
    }
    if (before !== undefined) return
    fate.ends.set(id, end)
    fate.endedAt.set(id, this.#groups[id]?.logTime ?? 0)
    if (fate.isForced) return
    if (end === 'committed' && fate.decision !== 'commit') {
      fail(`${transaction}: group ${id} commits what was not decided`)
    }
    if (end === 'aborted' && fate.decision === 'commit' && fate.bound.includes(id)) {
      fail(`${transaction}: group ${id} aborts what is committed`)
    }
  }

  #settled(transaction: TransactionId, { ends, bound, isForced }: Fate): void {
    if (isForced) return
    for (const id of bound) {
      if (ends.get(id) === 'committed') continue
      fail(`${transaction}: forgotten before group ${id} has committed`)
    }
  }

  /** Log time may leap by hours: an end that nobody can remember promises nothing. */
  #isForgotten(id: GroupId, { endedAt }: Fate): boolean {
    const logTime = this.#groups[id]?.logTime ?? 0
    return logTime - (endedAt.get(id) ?? logTime) >= retentionMs
  }

  #sum(): number {
    let sum = 0
    for (const values of this.#logical) for (const value of values.values()) sum += value
    return sum
  }
}

function fail(message: string): never {
  throw new Error(message)
}
