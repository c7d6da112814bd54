/**
 * A campaign: first a forecast (pre-vote), which raises no term, then the vote itself.
 *
 * A pre-candidate has forgotten its leader, so that two survivors grant one another (R-E16). A
 * candidate counts its own vote when that is durable, and asks for others' no sooner.
 */
import { after } from '../../core/deadlines.js'
import { type RaftRole, RaftRoles } from '../../core/events.js'
import type { MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import { electorateOf } from '../configuration.js'
import type { RaftMessage } from '../messages.js'
import { tallyVotes } from './quorum.js'
import type { Replica } from './replica.js'
import { leadershipTransferred, type Role, type Transitions } from './role.js'

export class Candidate implements Role {
  readonly name: RaftRole
  readonly #replica: Replica
  readonly #transitions: Transitions
  readonly #isForecast: boolean
  readonly #transfer: boolean
  readonly #answers = new Map<ReplicaId, boolean>()
  readonly #campaignEndsAt: MonotonicMs

  constructor(
    replica: Replica,
    transitions: Transitions,
    campaign: { readonly isForecast: boolean; readonly transfer: boolean }
  ) {
    this.name = campaign.isForecast ? RaftRoles.PreCandidate : RaftRoles.Candidate
    this.#replica = replica
    this.#transitions = transitions
    this.#isForecast = campaign.isForecast
    this.#transfer = campaign.transfer
    this.#campaignEndsAt = after(replica.now, replica.drawElectionTimeoutMs())
  }

  start(): void {
    const replica = this.#replica
    if (!this.#isForecast) {
      replica.adoptTerm((replica.term + 1) as Term)
      replica.castVote(replica.self)
    }
    replica.setLeader(null)
    for (const voter of electorateOf(replica.configuration)) {
      if (voter !== replica.self) this.#ask(voter)
    }
    if (this.#isForecast) this.#answers.set(replica.self, true)
  }

  /** May win or lose at once; called when the replica is in this role. */
  count(): void {
    const tally = tallyVotes(this.#replica.configuration, this.#answers)
    if (tally === 'pending') return
    if (tally === 'lost') this.#transitions.becomeFollower(this.#replica.term, null, 'voteLost')
    else if (this.#isForecast) this.#transitions.becomeCandidate(this.#transfer, 'preVoteWon')
    else this.#transitions.becomeLeader(this.#transfer ? leadershipTransferred : 'voteWon')
  }

  receive(message: RaftMessage): void {
    if (message.kind !== (this.#isForecast ? 'preVoteResponse' : 'voteResponse')) return
    // A grant stands, whatever a duplicated or overtaken answer says.
    if (!this.#answers.get(message.from)) this.#answers.set(message.from, message.granted)
    this.count()
  }

  handleTimeout(): void {
    if (this.#replica.now < this.#campaignEndsAt) return
    const { mayCampaign, term } = this.#replica
    // What was promised before the campaign, it has outlasted.
    if (mayCampaign) this.#transitions.becomePreCandidate('campaignTimedOut')
    else this.#transitions.becomeFollower(term, null, 'mayNotCampaign')
  }

  handlePersisted(): void {
    if (this.#isForecast || !this.#replica.persists.isHardStateDurable) return
    this.#answers.set(this.#replica.self, true)
    this.count()
  }

  handlePeerLost(_peer: ReplicaId): void {}

  nextDeadline(): MonotonicMs {
    return this.#campaignEndsAt
  }

  /** Who campaigns does not sleep. */
  resume(): void {}

  isLeaderAtWork(): boolean {
    return false
  }

  leave(): void {}

  #ask(voter: ReplicaId): void {
    const replica = this.#replica
    const { lastIndex, lastTerm } = replica.log
    const envelope = replica.envelope(voter)
    if (this.#isForecast) {
      const term = (replica.term + 1) as Term
      replica.reply({ kind: 'preVote', ...envelope, term, lastIndex, lastTerm, transfer: false })
    } else {
      const transfer = this.#transfer
      replica.effects.sendAfterPersist({ kind: 'vote', ...envelope, lastIndex, lastTerm, transfer })
    }
  }
}
