/**
 * How long a group of five is without a leader after its leader died, by the set-up of the
 * dissertation's chapter 9.3: the leader dies at a random moment of its heartbeat interval, which
 * is half of the shortest timeout.
 */
import {
  Raft,
  type RaftEvent,
  type RaftMessage,
  type RaftPersist
} from '../../../src/consensus/index.js'
import {
  DEFAULT_GROUP,
  type Effects,
  type LogIndex,
  type MonotonicMs,
  type ReplicaId,
  SplittableRandom,
  type Term
} from '../../../src/core/index.js'
import { founding, replica, tableOptions } from './raft-table.js'

export interface TimingOptions {
  /** Timeouts are drawn from [min, max). */
  readonly timeoutsMs: readonly [number, number]
  /** One way; drawn from [min, max). */
  readonly latencyMs: readonly [number, number]
  readonly diskMs: number
}

type Happening = { readonly at: number; readonly order: number; run(): void }

/** After this the group counts as without a leader for good. */
const giveUpMs = 60_000

export interface Election {
  readonly ms: number
  /** How many terms it took; one without a split vote. */
  readonly terms: number
}

export function timeElection(seed: number, options: TimingOptions): Election {
  return new TimedGroup(seed, options).measure()
}

class TimedGroup {
  readonly #random: SplittableRandom
  readonly #options: TimingOptions
  readonly #cores = new Map<ReplicaId, Raft>()
  #happenings: Happening[] = []
  #order = 0
  #now = 0
  #leader: ReplicaId | null = null

  constructor(seed: number, options: TimingOptions) {
    this.#random = SplittableRandom.fromSeed(seed)
    this.#options = options
    const voters = [...'abcde'].map(replica)
    const [electionTimeoutMinMs, electionTimeoutMaxMs] = options.timeoutsMs
    const heartbeatIntervalMs = electionTimeoutMinMs / 2
    for (const self of voters) {
      const raft = new Raft({
        group: DEFAULT_GROUP,
        self,
        recovered: {
          hardState: { term: 0 as Term, vote: null },
          entries: [founding(voters)]
        },
        appliedIndex: 0 as LogIndex,
        random: this.#random.split(self),
        options: {
          ...tableOptions,
          heartbeatIntervalMs,
          electionTimeoutMinMs,
          electionTimeoutMaxMs
        },
        now: 0 as MonotonicMs
      })
      this.#cores.set(self, raft)
    }
  }

  measure(): Election {
    this.#runUntil(() => this.#leader !== null)
    const [timeoutMs] = this.#options.timeoutsMs
    const settledAt = this.#now + 4 * timeoutMs
    this.#runUntil(() => this.#now >= settledAt)
    this.#in((this.#random.nextFloat() * timeoutMs) / 2, () => this.#killLeader())
    this.#runUntil(() => this.#cores.size === 4)
    const diedAt = this.#now
    const termBefore = this.#termMax()
    this.#runUntil(() => this.#leader !== null || this.#now - diedAt > giveUpMs)
    return { ms: this.#now - diedAt, terms: this.#termMax() - termBefore }
  }

  #termMax(): number {
    return Math.max(...[...this.#cores.values()].map((raft) => raft.status().term))
  }

  #killLeader(): void {
    if (this.#leader === null) {
      this.#in(1, () => this.#killLeader())
      return
    }
    this.#cores.delete(this.#leader)
    this.#leader = null
  }

  #runUntil(isDone: () => boolean): void {
    while (!isDone()) {
      const timers = [...this.#cores].map(([id, raft]) => [raft.nextDeadline(), id] as const)
      const [timerAt, id] = timers.reduce((a, b) => (b[0] < a[0] ? b : a))
      const next = this.#happenings[0]
      if (next !== undefined && next.at <= timerAt) {
        this.#happenings.shift()
        this.#now = Math.max(this.#now, next.at)
        next.run()
      } else {
        this.#now = Math.max(this.#now, timerAt)
        this.#call(id, (raft, now) => raft.handleTimeout(now))
      }
    }
  }

  #call(id: ReplicaId, act: (raft: Raft, now: MonotonicMs) => void): void {
    const raft = this.#cores.get(id)
    if (raft === undefined) return
    act(raft, this.#now as MonotonicMs)
    this.#carryOut(id, raft.drain())
  }

  #carryOut(id: ReplicaId, effects: Effects<RaftMessage, RaftPersist, RaftEvent>): void {
    for (const message of effects.sendNow) this.#send(message)
    for (const event of effects.emit) {
      if (event.type === 'Committed') {
        const applied = event.entries.at(-1)?.index ?? (0 as LogIndex)
        this.#call(id, (raft, now) => raft.handleApplied(applied, now))
      }
      if (event.type !== 'RoleChanged') continue
      if (event.role === 'leader') this.#leader = id
      else if (this.#leader === id) this.#leader = null
    }
    const { persist, sendAfterPersist } = effects
    const isDurable = () => {
      for (const message of sendAfterPersist) this.#send(message)
      if (persist !== null)
        this.#call(id, (raft, now) => raft.handlePersisted(persist.sequence, now))
    }
    if (persist !== null || sendAfterPersist.length > 0) this.#in(this.#options.diskMs, isDurable)
  }

  #send(message: RaftMessage): void {
    const [min, max] = this.#options.latencyMs
    const latencyMs = min + this.#random.nextFloat() * (max - min)
    this.#in(latencyMs, () => this.#call(message.to, (raft, now) => raft.receive(message, now)))
  }

  #in(ms: number, run: () => void): void {
    this.#happenings.push({ at: this.#now + ms, order: this.#order++, run })
    this.#happenings.sort((a, b) => a.at - b.at || a.order - b.order)
  }
}
