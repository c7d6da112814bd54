import type { FacadeEvent } from './events.js'
import type { NodeId } from './ids.js'
import type { GroupStatus } from './ports/replicated-group.js'

/**
 * The event that tells that the failure detector's and consensus' views of a node differ, or null.
 * Neither overrules the other: who leads and who votes is Raft's to say, where new work goes is
 * not.
 */
export function viewsDisagree(dead: NodeId, groups: readonly GroupStatus[]): FacadeEvent | null {
  const answering = groups.some(({ progress }) =>
    progress.some(({ nodeId, active }) => nodeId === dead && active)
  )
  if (!answering) return null
  return { type: 'ViewsDisagree', nodeId: dead, membership: 'dead', consensus: 'answering' }
}
