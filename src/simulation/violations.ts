/** What a run must never show, by name; the numbers are those of the reliability catalogue. */
export const Invariants = {
  /** 1. At most one leader per term. */
  OneLeaderPerTerm: 'one_leader_per_term',
  /** 2. A leader never removes or replaces entries of its log. */
  LeaderAppendOnly: 'leader_append_only',
  /** 2b. A follower removes entries only where the leader's are of another term. */
  NeedlessTruncation: 'needless_truncation',
  /** 3. Same index and term: same entry, and the same entries before it. */
  LogMatching: 'log_matching',
  /** 4. Every committed entry is in the log of every later leader. */
  LeaderCompleteness: 'leader_completeness',
  /** 4b. A leader commits by counting only entries of its own term. */
  OwnTermCommit: 'own_term_commit',
  /** 4c. What a leader commits is durable on a majority at that moment. */
  DurableMajority: 'durable_majority',
  /** 5. Same index: the same thing committed, and the same bytes applied. */
  StateMachineSafety: 'state_machine_safety',
  /** 6. Commit and applied index never go back within one life of a process. */
  MonotonicIndexes: 'monotonic_indexes',
  /**
   * 7. What a message promises is durable when it leaves, and still there after a restart: term,
   * vote, entries.
   */
  DurablePromises: 'durable_promises',
  /** 8. At most one vote per term and replica, ever. */
  OneVotePerTerm: 'one_vote_per_term',
  /** 9. An acknowledged write is in the final history. */
  AcknowledgedKept: 'acknowledged_kept',
  /** 11. An incarnation only rises, and only by its owner. */
  Incarnations: 'incarnations',
  /** 12. After heal nobody calls a running node dead. */
  NoFalseDeath: 'no_false_death',
  /** A process opens each sealed datagram once, however often it comes. */
  OpenedOnce: 'opened_once',
  /** Whoever has taken a revocation list has no open connection to who is on it. */
  RevokedKept: 'revoked_kept',
  /** After heal: a list that a node took is known to all, and all have the same gossip keys. */
  TrustSettles: 'trust_settles',
  /** 15. No queue is longer than its bound. */
  QueueBounds: 'queue_bounds',
  /** A message is handled at most once, in order where asked, and its sender told the truth. */
  Delivery: 'delivery',
  /** What a node was given to record in the control group is there once and in order. */
  ControlRecords: 'control_records',
  Linearizable: 'linearizable',
  /** 13. A transaction ends alike in every group, and commits when all have prepared it. */
  AtomicCommitment: 'atomic_commitment',
  /** Transactions over groups: one order explains what they read, and that of real time. */
  StrictSerializability: 'strict_serializability',
  /** What all accounts hold together is the same in every read, and comes from their transfers. */
  ConstantSum: 'constant_sum',
  /** After heal: no transaction is in doubt, or not at an end. */
  NothingInDoubt: 'nothing_in_doubt',
  /** 14. A session has one home in an epoch; a token takes it over once. */
  OneSessionHome: 'one_session_home',
  /** A session sees what it was told, and has what it has set, wherever its home is. */
  SessionKept: 'session_kept',
  /** A linearizable read answers from a state that has all that was committed when it began. */
  StaleRead: 'stale_read',
  /** The checker's budget was not enough: counts as a failure. */
  LinearizabilityUnknown: 'linearizability_unknown',
  /** After heal: a leader in time, every operation answered. */
  Liveness: 'liveness',
  /** After heal: the same content and applied index everywhere. */
  Convergence: 'convergence',
  /** A node could not start on its own disk. */
  Start: 'start',
  /** An unhandled rejection or an uncaught exception. */
  Unhandled: 'unhandled',
  /** Time stands still: events follow one another without end. */
  DrainBudget: 'drain_budget',
  /** Code under simulation used the real clock, real timers or real chance. */
  RealWorld: 'real_world',
  /** The same seed did something else the second time. */
  Determinism: 'determinism'
} as const
export type Invariant = (typeof Invariants)[keyof typeof Invariants]

export interface Violation {
  readonly invariant: Invariant
  /** Virtual milliseconds since the start of the run. */
  readonly at: number
  readonly detail: string
}

/** Keeps the first few; a broken run tends to break everything after. */
export class Violations {
  readonly #now: () => number
  readonly #found: Violation[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  get any(): boolean {
    return this.#found.length > 0
  }

  report(invariant: Invariant, detail: string): void {
    if (this.#found.length >= keptMax) return
    this.#found.push({ invariant, at: Math.round(this.#now()), detail })
  }

  /** Reports here, with the name of a group before what is told. */
  of(group: string): Pick<Violations, 'report'> {
    return {
      report: (invariant, detail) => this.report(invariant, `group ${group}: ${detail}`)
    }
  }

  toArray(): readonly Violation[] {
    return this.#found
  }
}

const keptMax = 8
