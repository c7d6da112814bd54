import type { NodeId } from '../../core/ids.js'
import { compareText } from '../../core/ids.js'
import { Lifecycles, Livenesses, type Member } from '../../core/member.js'

/** The node with the fewest sessions that may take some; null: there is none but this one. */
export function chooseTarget(
  members: readonly Member[],
  sessionsOn: ReadonlyMap<NodeId, number>,
  self: NodeId
): NodeId | null {
  const able = members.filter(
    ({ nodeId, liveness, lifecycle }) =>
      nodeId !== self && liveness === Livenesses.Alive && lifecycle === Lifecycles.Up
  )
  const load = (nodeId: NodeId) => sessionsOn.get(nodeId) ?? 0
  const [best] = able
    .map(({ nodeId }) => nodeId)
    .sort((a, b) => load(a) - load(b) || compareText(a, b))
  return best ?? null
}
