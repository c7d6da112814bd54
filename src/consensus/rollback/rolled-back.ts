/** What an operator reads when a data directory was put back to an older copy. */
import { RolledBackError } from '../../core/errors.js'
import { type GroupId, type NodeId, nodeOf } from '../../core/ids.js'
import type { LostState } from '../raft/types.js'
import type { StartMark } from './start-mark.js'

const whatToDo =
  'nothing that it holds counts any more: give this node an empty data directory, start it and ' +
  'add it again (skein members add), or restore the whole cluster (skein restore)'

/** `peer` has heard of a start that the directory does not know of. */
export const outlivedError = (peer: NodeId, own: StartMark, heard: StartMark): RolledBackError =>
  rolledBack(
    `${peer} has heard of start ${heard.count} of it, this is ${
      own.count === heard.count ? 'another one under that number' : `start ${own.count}`
    }`,
    peer,
    { proof: 'start', start: own.count, heard: heard.count }
  )

/** The leader of a group has been told more than the replica has. */
export const lostStateError = (group: GroupId, lost: LostState): RolledBackError => {
  const { found, index, term } = lost
  const leader = nodeOf(lost.leader)
  return rolledBack(
    `it has acknowledged entry ${index} of group ${group} to ${leader}, who leads term ${term}, ` +
      `and holds entry ${found.lastIndex} in term ${found.term}`,
    leader,
    { proof: 'acknowledged', group, index, term, lastIndex: found.lastIndex, ownTerm: found.term }
  )
}

const rolledBack = (
  what: string,
  nodeId: NodeId,
  details: Readonly<Record<string, string | number>>
): RolledBackError =>
  new RolledBackError(`the data directory was put back to an older copy (${what}); ${whatToDo}`, {
    nodeId,
    details
  })
