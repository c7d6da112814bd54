/**
 * Follows a leader: takes its entries, cuts its own log back only where the two differ, and
 * campaigns when the leader has been silent for a randomised time. A learner follows and never
 * campaigns.
 */
import { after, NEVER } from '../../core/deadlines.js'
import { type RaftRole, RaftRoles } from '../../core/events.js'
import type { LogIndex, MonotonicMs, ReplicaId } from '../../core/ids.js'
import type { LogEntry } from '../../core/ports/log-store.js'
import type { AppendEntries, Heartbeat, RaftMessage, TimeoutNow } from '../messages.js'
import type { Replica } from './replica.js'
import type { Role, Transitions } from './role.js'
import type { HeardAt } from './types.js'

export class Follower implements Role {
  readonly #replica: Replica
  readonly #transitions: Transitions
  #electionAt: MonotonicMs

  constructor(replica: Replica, transitions: Transitions) {
    this.#replica = replica
    this.#transitions = transitions
    this.#electionAt = after(replica.now, replica.drawElectionTimeoutMs())
  }

  get name(): RaftRole {
    return this.#replica.isVoter ? RaftRoles.Follower : RaftRoles.Learner
  }

  /** Nobody else could be elected. */
  campaignAtOnce(): void {
    this.#electionAt = this.#replica.now
  }

  postponeElection(): void {
    this.#electionAt = after(this.#replica.now, this.#replica.drawElectionTimeoutMs())
  }

  receive(message: RaftMessage): void {
    switch (message.kind) {
      case 'appendEntries':
        this.#follow(message.from)
        this.#handleAppend(message)
        break
      case 'heartbeat':
        this.#follow(message.from)
        this.#handleHeartbeat(message)
        break
      case 'timeoutNow':
        this.#handleTimeoutNow(message)
        break
      default:
    }
  }

  handleTimeout(): void {
    const replica = this.#replica
    if (replica.now < this.#electionAt) return
    if (replica.mayCampaign) this.#transitions.becomePreCandidate('leaderSilent')
    else this.postponeElection()
  }

  handlePersisted(): void {}

  /**
   * The leader's end of the connection closed, so its process is likely gone: do not wait it out.
   */
  handlePeerLost(peer: ReplicaId): void {
    const replica = this.#replica
    if (replica.leader !== peer) return
    replica.distrustLeader()
    const pauseMs = replica.random.nextInt(replica.options.heartbeatIntervalMs)
    const soon = after(replica.now, pauseMs)
    if (soon < this.#electionAt) this.#electionAt = soon
    replica.record('leaderConnectionLost', peer, `campaign in ${pauseMs} ms`)
  }

  nextDeadline(): MonotonicMs {
    return this.#replica.isElectable && this.#replica.isCandidacyAllowed ? this.#electionAt : NEVER
  }

  /**
   * The leader counts as heard when its host was. A silence that is long enough already is followed
   * by a campaign, after a moment for what may wait to be read.
   */
  resume(heardAt: HeardAt): void {
    const replica = this.#replica
    const { leader, now, options } = replica
    const heard = leader === null ? now : heardAt(leader, true)
    if (leader !== null) replica.noteLeaderHeard(heard)
    const at = after(heard, replica.drawElectionTimeoutMs())
    const soon = after(now, replica.random.nextInt(options.heartbeatIntervalMs))
    this.#electionAt = Math.max(at, soon) as MonotonicMs
  }

  isLeaderAtWork(): boolean {
    const silentMs = this.#replica.leaderSilentMs
    return silentMs !== null && silentMs < this.#replica.options.electionTimeoutMinMs
  }

  leave(): void {}

  #follow(leader: ReplicaId): void {
    this.#replica.setLeader(leader)
    this.postponeElection()
  }

  #handleAppend(message: AppendEntries): void {
    const replica = this.#replica
    const { log, commitIndex } = replica
    if (!isWellFormed(message)) {
      replica.messagesIgnored++
    } else if (message.prevIndex < commitIndex) {
      this.#accept(message, commitIndex)
    } else if (log.termAt(message.prevIndex) !== message.prevTerm) {
      this.#reject(message)
    } else {
      const different = log.firstDifferent(message.entries)
      if (different !== null) {
        this.#append(message.entries.slice(different.index - message.prevIndex - 1))
      }
      const matched = (message.prevIndex + message.entries.length) as LogIndex
      replica.commitTo(Math.min(message.commitIndex, matched) as LogIndex)
      this.#accept(message, matched)
    }
  }

  /** May make a voter of a learner, or the reverse. */
  #append(entries: readonly LogEntry[]): void {
    const replica = this.#replica
    const before = this.name
    replica.append(entries)
    const { name: role } = this
    if (role === before) return
    const { term, leader } = replica
    const reason = 'configurationChanged'
    replica.record(role === RaftRoles.Follower ? 'mayVote' : 'mayNotVote', leader, reason)
    replica.effects.emit({ type: 'RoleChanged', term, role, leader, reason })
  }

  #accept(message: AppendEntries, index: LogIndex): void {
    this.#replica.effects.sendAfterPersist({
      kind: 'appendEntriesResponse',
      ...this.#replica.envelope(message.from),
      rejected: false,
      index,
      hintIndex: index,
      hintTerm: message.term
    })
  }

  #reject(message: AppendEntries): void {
    const { log } = this.#replica
    const hintIndex = log.lastIndexBelowTerm(message.prevIndex, message.prevTerm)
    this.#replica.reply({
      kind: 'appendEntriesResponse',
      ...this.#replica.envelope(message.from),
      rejected: true,
      index: message.prevIndex,
      hintIndex,
      hintTerm: log.termAt(hintIndex) ?? message.prevTerm
    })
  }

  #handleHeartbeat(message: Heartbeat): void {
    this.#replica.commitTo(message.commitIndex)
    this.#replica.reply({
      kind: 'heartbeatResponse',
      ...this.#replica.envelope(message.from),
      readContext: message.readContext
    })
  }

  #handleTimeoutNow(message: TimeoutNow): void {
    const replica = this.#replica
    const isHonoured = message.from === replica.leader && replica.mayCampaign
    replica.record('timeoutNow', message.from, isHonoured ? 'campaigns' : 'ignored')
    if (isHonoured) this.#transitions.becomeCandidate(true, 'leadershipTransferred')
    else replica.messagesIgnored++
  }
}

/** Contiguous entries whose terms do not fall and are no later than the leader's. */
function isWellFormed(message: AppendEntries): boolean {
  let index: number = message.prevIndex
  let term: number = message.prevTerm
  for (const entry of message.entries) {
    if (entry.index !== ++index || entry.term < term) return false
    term = entry.term
  }
  return term <= message.term
}
