/** How a replica answers those who ask for its vote, whatever its own role. */
import type { PreVote, Vote } from '../messages.js'
import type { Replica } from './replica.js'

/** Changes nothing here but the record: a grant is a forecast, not a promise. */
export function answerPreVote(replica: Replica, message: PreVote, isLeaderAtWork: boolean): void {
  const isLoyal = isLeaderAtWork || replica.isPromised
  const refusal = isLoyal ? 'leaderAtWork' : preVoteRefusal(replica, message)
  replica.record(
    refusal === null ? 'preVoteGranted' : 'preVoteRefused',
    message.from,
    refusal ?? ''
  )
  const granted = refusal === null
  replica.reply({
    kind: 'preVoteResponse',
    ...replica.envelope(message.from),
    term: granted ? message.term : replica.term,
    granted
  })
}

/** The message has this replica's term. True when granted; the answer leaves behind the vote. */
export function answerVote(replica: Replica, message: Vote): boolean {
  // The term may have risen since the promise, by anybody's message.
  const isBound = replica.isPromised && !message.transfer
  const refusal = isBound ? 'promised' : voteRefusal(replica, message)
  replica.record(refusal === null ? 'voteGranted' : 'voteRefused', message.from, refusal ?? '')
  if (refusal === null) replica.castVote(message.from)
  replica.effects.sendAfterPersist({
    kind: 'voteResponse',
    ...replica.envelope(message.from),
    granted: refusal === null
  })
  return refusal === null
}

function preVoteRefusal(replica: Replica, message: PreVote): string | null {
  if (message.term < replica.term) return 'staleTerm'
  if (message.term === replica.term) return voteRefusal(replica, message)
  return replica.log.isUpToDate(message.lastIndex, message.lastTerm) ? null : 'logBehind'
}

function voteRefusal(replica: Replica, message: PreVote | Vote): string | null {
  if (replica.vote !== null && replica.vote !== message.from) return 'votedForAnother'
  if (replica.vote === null && replica.leader !== null) return 'leaderOfTermKnown'
  return replica.log.isUpToDate(message.lastIndex, message.lastTerm) ? null : 'logBehind'
}
