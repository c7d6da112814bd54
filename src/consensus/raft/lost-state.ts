/**
 * What a leader's message proves of the replica that it comes to: that this one has lost terms or
 * entries which it had promised. Only a storage that was put back to an older copy does that.
 *
 * 1. A leader says what the receiver itself has acknowledged to it, in this term: `acknowledged`
 *    with an append, and a heartbeat's commit index, which is never above that.
 * 2. The receiver judges itself. It had that term, and the leader's log up to that index, durably
 *    before the message was made. In a term it gives up nothing of what its leader gave it, and in
 *    a later one the message is not heard: so at no later moment does it lack them, however late,
 *    doubled or out of order the message comes.
 * 3. What is at or below the own commit index is there, in the log or in the engine.
 * 4. Another leader, or the same one in another term, has been told nothing yet, and says nothing.
 *    A member that is added again, with the same storage, has told nothing either.
 */
import type { LogIndex, Term } from '../../core/ids.js'
import type { RaftMessage } from '../messages.js'
import type { Replica } from './replica.js'
import type { LostState } from './types.js'

/** Null: nothing is proven. The message's term is not below the own. */
export function lostStateShownBy(replica: Replica, message: RaftMessage): LostState | null {
  if (message.kind === 'heartbeat') {
    const { commitIndex } = message
    return commitIndex > 0 && lacks(replica, message.term, commitIndex, null)
      ? lostState(replica, message, commitIndex)
      : null
  }
  if (message.kind !== 'appendEntries' || message.acknowledged !== true) return null
  const { prevIndex, prevTerm } = message
  return lacks(replica, message.term, prevIndex, prevTerm)
    ? lostState(replica, message, prevIndex)
    : null
}

/** @param entryTerm of the leader's entry at `index`; null: it is not told */
function lacks(replica: Replica, term: Term, index: LogIndex, entryTerm: Term | null): boolean {
  if (term > replica.term) return true
  if (index <= replica.commitIndex) return false
  const { log } = replica
  return entryTerm === null ? index > log.lastIndex : log.termAt(index) !== entryTerm
}

const lostState = ({ log, term }: Replica, message: RaftMessage, index: LogIndex): LostState => ({
  leader: message.from,
  term: message.term,
  index,
  found: { term, lastIndex: log.lastIndex }
})
