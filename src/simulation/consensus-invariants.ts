/**
 * Invariants 1 to 6 of one group, and that a log's base stands for what was committed, judged from
 * what replicas say of themselves after each event. Everything here is incremental: an event costs
 * what changed in it.
 */
import { type Configuration, configurationIn } from '../consensus/index.js'
import type {
  BaseChange,
  LogBase,
  LogEntry,
  PersistRequest,
  RaftRole,
  RecoveredGroup,
  ReplicaId
} from '../core/index.js'
import { hostName } from './host-name.js'
import { LogMirror } from './log-mirror.js'
import { Invariants, type Violations } from './violations.js'

/** A replica's own view, read after an event. */
export interface ReplicaView {
  readonly role: RaftRole
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
}

interface Replica {
  /** Of this host; another one after its disk was replaced. */
  id: ReplicaId | null
  /** What the core holds, durable or not. */
  log: LogMirror
  view: ReplicaView | null
  /** Up to here the disk confirmed, by hash; zero when a later truncation made that void. */
  durable: { index: number; chain: number }
  checkedCommit: number
  appliedIndex: number
  /** Of compactions in this event: what it committed is not known yet. */
  newBases: LogBase[]
}

interface Committed {
  readonly chain: number
  readonly term: number
  /** The term of the replica that was first seen to have committed it. */
  readonly seenInTerm: number
}

export class ConsensusInvariants {
  readonly #violations: Pick<Violations, 'report'>
  readonly #replicas: Replica[]
  readonly #leaderByTerm = new Map<number, number>()
  readonly #chainByPosition = new Map<string, number>()
  readonly #committed: Committed[] = []
  readonly #states = new Map<number, string>()
  /** `term index` → the configuration that stands there, as text. */
  readonly #configurationByPosition = new Map<string, string>()
  readonly #committedConfigurations: { readonly index: number; readonly text: string }[] = []
  #restores = 0
  #appliedIndexMax = 0

  constructor(size: number, violations: Pick<Violations, 'report'>) {
    this.#violations = violations
    this.#replicas = Array.from({ length: size }, newReplica)
  }

  /** The highest index that anybody has called committed. */
  get committedIndex(): number {
    return this.#committed.length
  }

  /** Terms that had a leader. */
  get elections(): number {
    return this.#leaderByTerm.size
  }

  /** The highest index that any engine has applied: what a linearizable read must see. */
  get appliedIndex(): number {
    return this.#appliedIndexMax
  }

  /** Engines whose content a snapshot has replaced. */
  get restores(): number {
    return this.#restores
  }

  isLeader(host: number): boolean {
    return this.#replica(host).view?.role === 'leader'
  }

  /** What a leader has committed; zero when it does not lead. */
  ledCommitIndex(host: number): number {
    const { view } = this.#replica(host)
    return view?.role === 'leader' ? view.commitIndex : 0
  }

  onExit(host: number): void {
    this.#replica(host).view = null
  }

  /** The replica starts again with what its disk gave it. */
  onRecovered(host: number, id: ReplicaId, { base, entries }: RecoveredGroup): void {
    const replica = this.#replica(host)
    const isSame = replica.id === id
    const before = isSame ? replica.durable : nothingDurable
    const old = isSame ? replica.log : new LogMirror()
    replica.id = id
    replica.log = new LogMirror()
    if (base) this.#reset(host, base)
    for (const entry of entries) this.#put(host, entry)
    // A crash came between engine and log; what the log had and nobody committed is void.
    const isReplaced =
      base &&
      base.index > old.baseIndex &&
      old.chainAt(base.index) !== replica.log.chainAt(base.index)
    const kept = isReplaced ? before.chain : this.#chainAt(replica, before.index)
    if (before.index > 0 && kept !== before.chain) {
      this.#violations.report(
        Invariants.DurablePromises,
        `${hostName(host)} lost its durable log up to ${before.index}, has ${replica.log.lastIndex}`
      )
    }
    replica.durable = {
      index: replica.log.lastIndex,
      chain: replica.log.chainAt(replica.log.lastIndex) ?? 0
    }
    replica.checkedCommit = 0
    replica.view = null
  }

  /** The core asks for this to be made durable; its own log has it from now on. */
  onPersist(host: number, request: PersistRequest): void {
    const replica = this.#replica(host)
    if (request.base) this.#rebase(host, request.base)
    const first = request.entries[0]
    if (first === undefined) return
    const wasLeader = replica.view?.role === 'leader'
    const isReplaced = first.index <= replica.log.lastIndex
    if (wasLeader && isReplaced && replica.view?.term === first.term) {
      const leader = `leader ${hostName(host)} of term ${first.term}`
      const detail = `${leader} replaces its entry ${first.index}`
      this.#violations.report(Invariants.LeaderAppendOnly, detail)
    }
    if (isReplaced && replica.log.termAt(first.index) === first.term) {
      const replaced = `replaces entry ${first.index} by itself`
      const detail = `${hostName(host)} ${replaced} and drops what follows`
      this.#violations.report(Invariants.NeedlessTruncation, detail)
    }
    if (first.index <= replica.durable.index) {
      const kept = first.index - 1
      replica.durable = { index: kept, chain: replica.log.chainAt(kept) ?? 0 }
    }
    for (const entry of request.entries) this.#put(host, entry)
  }

  /** The disk confirmed these, but for what was replaced meanwhile. */
  onPersisted(host: number, { entries }: PersistRequest): void {
    const replica = this.#replica(host)
    const { log, durable } = replica
    const last = entries.findLast(({ index, term }) => log.termAt(index) === term)
    if (last === undefined || last.index <= durable.index) return
    replica.durable = { index: last.index, chain: log.chainAt(last.index) ?? 0 }
  }

  /** Up to here the replica's log, as it stands, survives a crash. */
  durableIndex(host: number): number {
    return this.#replica(host).durable.index
  }

  /** `seen` is read now and not kept. After most events it is what it was before. */
  onView(host: number, seen: ReplicaView): void {
    const replica = this.#replica(host)
    const before = replica.view
    if (before !== null && isSameView(before, seen)) {
      if (replica.newBases.length === 0 && seen.commitIndex <= replica.checkedCommit) return
    }
    const { role, term, commitIndex, appliedIndex } = seen
    const view = { role, term, commitIndex, appliedIndex }
    replica.view = view
    if (before !== null) this.#checkMonotonic(host, before, view)
    if (view.role === 'leader' && before?.role === 'leader' && before.term === view.term) {
      if (view.commitIndex > before.commitIndex) this.#checkCounting(host, view)
    }
    if (view.role === 'leader' && (before?.role !== 'leader' || before.term !== view.term)) {
      this.#checkNewLeader(host, view.term)
    }
    if (view.commitIndex > replica.checkedCommit) this.#checkCommit(host, view)
    for (const base of replica.newBases.splice(0)) this.#checkBase(host, base)
  }

  /** An engine begins with what its disk kept. */
  onEngineOpened(host: number, index: number, state: string): void {
    this.#replica(host).appliedIndex = index
    if (index > 0) this.#checkState(host, index, state)
  }

  /** The engine has applied everything up to an index; `state` stands for all it holds then. */
  onApplied(host: number, index: number, state: string): void {
    const replica = this.#replica(host)
    if (index <= replica.appliedIndex) {
      const detail = `${hostName(host)} applies ${index} after ${replica.appliedIndex}`
      this.#violations.report(Invariants.MonotonicIndexes, detail)
    }
    replica.appliedIndex = index
    this.#appliedIndexMax = Math.max(this.#appliedIndexMax, index)
    this.#checkState(host, index, state)
  }

  /** A snapshot has replaced everything. */
  onRestored(host: number, index: number, state: string): void {
    this.#restores++
    this.onApplied(host, index, state)
  }

  /** The engine holds the base, for good, and the log hears of it. */
  #rebase(host: number, { base, replacesLog }: BaseChange): void {
    const replica = this.#replica(host)
    if (replacesLog) this.#reset(host, base)
    else replica.newBases.push(base)
    if (!replacesLog && replica.durable.index >= base.index) return
    replica.durable = { index: base.index, chain: this.#chainAt(replica, base.index) ?? 0 }
  }

  #reset(host: number, base: LogBase): void {
    this.#checkBase(host, base)
    const chained = this.#committed[base.index - 1]?.chain ?? 0
    this.#replica(host).log.reset(base, chained)
  }

  #checkBase(host: number, base: LogBase): void {
    const { index, term, configurationIndex, configuration } = base
    const newest = this.#committedConfigurations.findLast((one) => one.index <= index)
    const isRight =
      this.#committed[index - 1]?.term === term &&
      newest?.index === configurationIndex &&
      newest.text === textOf(configuration)
    if (isRight) return
    const detail = `${hostName(host)} has a base at ${index} that is not what was committed`
    this.#violations.report(Invariants.StateMachineSafety, detail)
  }

  /** What is below a log's base was committed. */
  #chainAt({ log }: Replica, index: number): number | undefined {
    return index < log.baseIndex ? (this.#committed[index - 1]?.chain ?? 0) : log.chainAt(index)
  }

  #checkState(host: number, index: number, state: string): void {
    const earlier = this.#states.get(index)
    if (earlier === undefined) this.#states.set(index, state)
    else if (earlier !== state) {
      const detail = `${hostName(host)} holds something else at ${index} than another did`
      this.#violations.report(Invariants.StateMachineSafety, detail)
    }
  }

  #put(host: number, entry: LogEntry): void {
    const { log } = this.#replica(host)
    if (!log.put(entry)) {
      const detail = `${hostName(host)} puts entry ${entry.index} behind ${log.lastIndex}`
      this.#violations.report(Invariants.LogMatching, detail)
      return
    }
    const position = `${entry.term} ${entry.index}`
    if (configurationIn(entry.payload) !== null) {
      this.#configurationByPosition.set(position, textOf(entry.payload))
    }
    const chained = log.chainAt(entry.index) ?? 0
    const earlier = this.#chainByPosition.get(position)
    if (earlier === undefined) this.#chainByPosition.set(position, chained)
    else if (earlier !== chained) {
      const where = `entry ${entry.index} of term ${entry.term}`
      const detail = `${hostName(host)} has another log up to ${where}`
      this.#violations.report(Invariants.LogMatching, detail)
    }
  }

  #checkMonotonic(host: number, before: ReplicaView, view: ReplicaView): void {
    if (view.term < before.term) {
      const detail = `${hostName(host)} goes from term ${before.term} to ${view.term}`
      this.#violations.report(Invariants.DurablePromises, detail)
    }
    const isBack = view.commitIndex < before.commitIndex || view.appliedIndex < before.appliedIndex
    if (isBack || view.appliedIndex > view.commitIndex) {
      const text = (v: ReplicaView) => `commit ${v.commitIndex}, applied ${v.appliedIndex}`
      const detail = `${hostName(host)}: ${text(before)}, then ${text(view)}`
      this.#violations.report(Invariants.MonotonicIndexes, detail)
    }
  }

  #checkNewLeader(host: number, term: number): void {
    const other = this.#leaderByTerm.get(term)
    this.#leaderByTerm.set(term, host)
    if (other !== undefined && other !== host) {
      const detail = `${hostName(other)} and ${hostName(host)} lead term ${term}`
      this.#violations.report(Invariants.OneLeaderPerTerm, detail)
    }
    // An entry that was seen to be committed only in a later term may be unknown to this leader.
    let index = this.#committed.length
    while (index > 0 && (this.#committed[index - 1] as Committed).seenInTerm >= term) index--
    this.#checkHas(host, term, index)
  }

  /** A leader has just committed: its own term's entry, that a majority has on its disks. */
  #checkCounting(host: number, { term, commitIndex }: ReplicaView): void {
    const { log } = this.#replica(host)
    if (log.termAt(commitIndex) !== term) {
      const found = `entry ${commitIndex} of term ${log.termAt(commitIndex)}`
      const detail = `leader ${hostName(host)} of term ${term} commits ${found} by counting`
      this.#violations.report(Invariants.OwnTermCommit, detail)
    }
    const chained = log.chainAt(commitIndex)
    const holders = this.#replicas.flatMap((other) => {
      const { durable, id } = other
      const isHeld = durable.index >= commitIndex && this.#chainAt(other, commitIndex) === chained
      return isHeld && id !== null ? [id] : []
    })
    const { lastConfigurations } = log
    const isHeld =
      lastConfigurations.length === 0
        ? 2 * holders.length > this.#replicas.length
        : lastConfigurations.some((configuration) => isQuorum(configuration, holders))
    if (isHeld) return
    const leader = `leader ${hostName(host)} of term ${term}`
    const detail = `${leader} commits ${commitIndex}, durable on ${holders.join(', ')}`
    this.#violations.report(Invariants.DurableMajority, detail)
  }

  #checkHas(leader: number, term: number, index: number): void {
    if (index === 0) return
    const committed = this.#committed[index - 1] as Committed
    if (this.#chainAt(this.#replica(leader), index) === committed.chain) return
    const told = `leader ${hostName(leader)} of term ${term}`
    const detail = `${told} lacks what was committed up to ${index}`
    this.#violations.report(Invariants.LeaderCompleteness, detail)
  }

  #checkCommit(host: number, view: ReplicaView): void {
    const replica = this.#replica(host)
    const { log } = replica
    for (let index = replica.checkedCommit + 1; index <= view.commitIndex; index++) {
      const chained = this.#chainAt(replica, index)
      const committed = this.#committed[index - 1]
      if (chained === undefined) {
        const detail = `${hostName(host)} commits ${index}, its log ends at ${log.lastIndex}`
        this.#violations.report(Invariants.StateMachineSafety, detail)
        return
      }
      if (committed === undefined) {
        this.#noteCommitted(chained, log.termAt(index), view.term)
        this.#checkLaterLeaders(index, view.term)
      } else if (committed.chain !== chained) {
        const own = `${hostName(host)} commits another log up to ${index}`
        const detail = `${own} than was committed before`
        this.#violations.report(Invariants.StateMachineSafety, detail)
        return
      }
    }
    replica.checkedCommit = view.commitIndex
  }

  #noteCommitted(chained: number, term: number, seenInTerm: number): void {
    this.#committed.push({ chain: chained, term, seenInTerm })
    const index = this.#committed.length
    const text = this.#configurationByPosition.get(`${term} ${index}`)
    if (text !== undefined) this.#committedConfigurations.push({ index, text })
  }

  #checkLaterLeaders(index: number, term: number): void {
    this.#replicas.forEach(({ view }, host) => {
      if (view?.role === 'leader' && view.term > term) this.#checkHas(host, view.term, index)
    })
  }

  #replica(host: number): Replica {
    return this.#replicas[host] as Replica
  }
}

const isSameView = (a: ReplicaView, b: ReplicaView): boolean =>
  a.commitIndex === b.commitIndex &&
  a.appliedIndex === b.appliedIndex &&
  a.term === b.term &&
  a.role === b.role

const nothingDurable = { index: 0, chain: 0 }

/** Written here again, for what is judged may be what counts wrongly. */
function isQuorum(
  { voters, votersOutgoing }: Configuration,
  holders: readonly ReplicaId[]
): boolean {
  const isMajority = (of: readonly ReplicaId[]) =>
    2 * of.filter((voter) => holders.includes(voter)).length > of.length
  return isMajority(voters) && (votersOutgoing.length === 0 || isMajority(votersOutgoing))
}
const textOf = (payload: Uint8Array): string => payload.join()

const newReplica = (): Replica => ({
  id: null,
  log: new LogMirror(),
  view: null,
  durable: { index: 0, chain: 0 },
  checkedCommit: 0,
  appliedIndex: 0,
  newBases: []
})
