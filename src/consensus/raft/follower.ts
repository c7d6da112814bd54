/**
 * Follows a leader: takes its entries, cuts its own log back only where the two differ, has its
 * engine restored where the leader's log begins behind its own, and campaigns when the leader has
 * been silent for a randomised time. A learner follows and never campaigns.
 */
import { after, NEVER } from '../../core/deadlines.js'
import { type RaftRole, RaftRoles } from '../../core/events.js'
import type { LogIndex, MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import type { LogBase, LogEntry } from '../../core/ports/log-store.js'
import { configurationFault } from '../configuration.js'
import { encodeConfiguration } from '../entry.js'
import type {
  AppendEntries,
  Heartbeat,
  InstallSnapshot,
  RaftMessage,
  TimeoutNow
} from '../messages.js'
import { snapshotHashBytes } from '../raft-bodies.js'
import type { Replica } from './replica.js'
import { leadershipTransferred, type Role, type Transitions } from './role.js'
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
      case 'installSnapshot':
        this.#follow(message.from)
        this.#handleOffer(message)
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
    if (replica.isPromised) this.#electionAt = this.#soonestCampaignAt()
    else if (replica.mayCampaign) this.#transitions.becomePreCandidate('leaderSilent')
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
    const soon = this.#soonestCampaignAt()
    if (soon < this.#electionAt) this.#electionAt = soon
    const waitMs = Math.round(soon - replica.now)
    replica.record('leaderConnectionLost', peer, `campaign in ${waitMs} ms`)
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

  /** The engine has been restored; whoever leads goes on behind it. */
  handleRestored(base: LogBase): void {
    const replica = this.#replica
    this.#keepingRole(() => replica.restoreTo(base))
    if (replica.leader !== null) this.#accept(replica.leader, replica.term, base.index)
  }

  /** The engine was not restored to `index`. */
  refuseSnapshot(index: LogIndex): void {
    const replica = this.#replica
    const { leader } = replica
    if (leader === null) return
    replica.reply({ kind: 'snapshotRefused', ...replica.envelope(leader), index })
  }

  /** Not before its promise has run out. */
  #soonestCampaignAt(): MonotonicMs {
    const { now, options, promisedUntil, random } = this.#replica
    const at = Math.max(now, promisedUntil) as MonotonicMs
    return after(at, random.nextInt(options.heartbeatIntervalMs))
  }

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
      this.#accept(message.from, message.term, commitIndex)
    } else if (log.termAt(message.prevIndex) !== message.prevTerm) {
      this.#reject(message)
    } else {
      const different = log.firstDifferent(message.entries)
      if (different !== null) {
        this.#append(message.entries.slice(different.index - message.prevIndex - 1))
      }
      const matched = (message.prevIndex + message.entries.length) as LogIndex
      replica.commitTo(Math.min(message.commitIndex, matched) as LogIndex)
      this.#accept(message.from, message.term, matched)
    }
  }

  /**
   * Nothing to do for what is committed here already, nor where the log agrees (R-S05). An offer
   * that contradicts itself is ignored (R-S14).
   */
  #handleOffer(message: InstallSnapshot): void {
    const replica = this.#replica
    const { index, indexTerm, configuration, configurationIndex, from } = message
    if (!isSound(message)) {
      replica.messagesIgnored++
    } else if (index <= replica.commitIndex) {
      this.#accept(from, message.term, replica.commitIndex)
    } else if (replica.log.termAt(index) === indexTerm) {
      replica.commitTo(index)
      this.#accept(from, message.term, index)
    } else {
      const { format, sizeBytes, sha256 } = message
      replica.effects.emit({
        type: 'SnapshotOffered',
        from,
        base: {
          index,
          term: indexTerm,
          configurationIndex,
          configuration: encodeConfiguration(configuration)
        },
        snapshot: { index, format, sizeBytes, sha256: sha256.slice() }
      })
    }
  }

  #append(entries: readonly LogEntry[]): void {
    this.#keepingRole(() => this.#replica.append(entries))
  }

  /** May make a voter of a learner, or the reverse. */
  #keepingRole(change: () => void): void {
    const replica = this.#replica
    const before = this.name
    change()
    const { name: role } = this
    if (role === before) return
    const { term, leader } = replica
    const reason = 'configurationChanged'
    replica.record(role === RaftRoles.Follower ? 'mayVote' : 'mayNotVote', leader, reason)
    replica.effects.emit({ type: 'RoleChanged', term, role, leader, reason })
  }

  #accept(leader: ReplicaId, term: Term, index: LogIndex): void {
    this.#replica.effects.sendAfterPersist({
      kind: 'appendEntriesResponse',
      ...this.#replica.envelope(leader),
      rejected: false,
      index,
      hintIndex: index,
      hintTerm: term
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
    const { from, promiseMs, readContext } = message
    this.#replica.commitTo(message.commitIndex)
    const promised = promiseMs !== undefined && this.#replica.promise(promiseMs)
    this.#replica.reply({
      kind: 'heartbeatResponse',
      ...this.#replica.envelope(from),
      readContext,
      ...(promised ? { promised } : {})
    })
  }

  #handleTimeoutNow(message: TimeoutNow): void {
    const replica = this.#replica
    const isHonoured = message.from === replica.leader && replica.mayCampaign
    replica.record('timeoutNow', message.from, isHonoured ? 'campaigns' : 'ignored')
    if (!isHonoured) {
      replica.messagesIgnored++
      return
    }
    if (message.commitIndex !== undefined) replica.commitTo(message.commitIndex)
    this.#transitions.becomeCandidate(true, leadershipTransferred)
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

/** Of something that can have been committed, with a configuration that can have been in force. */
const isSound = (offer: InstallSnapshot): boolean =>
  offer.index > 0 &&
  offer.indexTerm <= offer.term &&
  offer.configurationIndex <= offer.index &&
  offer.sha256.length === snapshotHashBytes &&
  configurationFault(offer.configuration) === null
