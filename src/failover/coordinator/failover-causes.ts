/**
 * Why a group elected somebody else, from what can be seen of its former leader: when it is called
 * early nothing may show yet, so who asks waits a while first.
 */
import type { GroupId, NodeId, Term } from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import { type ClusterSight, nodeIn } from '../rolling-restart/cluster-view.js'

export interface NewLeader {
  readonly group: GroupId
  readonly term: Term
  readonly to: NodeId
}

export interface FormerLeader {
  readonly node: NodeId
  /** Its process when it was looked at last before; null: it was not. */
  readonly boot: string | null
}

/** As the new leader tells, while it leads; null: it leads no more, or does not tell. */
export function wasHandedOver({ group, term, to }: NewLeader, sight: ClusterSight): boolean | null {
  const status = nodeIn(sight, to)?.status
  const led = status?.groups.find((one) => one.group === group)
  if (led?.role !== 'leader' || led.term !== term) return null
  return status?.handedOver?.includes(group) ?? null
}

/** `handedOver` as `wasHandedOver` has it. */
export function failoverCause(
  { node, boot }: FormerLeader,
  sight: ClusterSight,
  handedOver: boolean | null = null
): string {
  const view = nodeIn(sight, node)
  if (view === null || view.lifecycle === Lifecycles.Left) return `${node} has left the cluster`
  if (!view.alive) return `${node} is not alive`
  if (view.status === null) return `${node} does not answer`
  if (boot !== null && view.status.boot !== boot) return `a new process of ${node} is there`
  if (view.lifecycle === Lifecycles.Draining) return `${node} drains`
  if (view.verdict === 'degraded' || view.verdict === 'unreachable') {
    return `${node} is ${view.verdict}`
  }
  if (handedOver === true) return `${node} answers`
  return handedOver === null
    ? `${node} answers: it handed over, or was out of reach for a while`
    : `${node} answers: it was out of reach for a while`
}

/** Whether waiting longer would tell nothing more. */
export function isCauseClear(former: FormerLeader, sight: ClusterSight): boolean {
  const view = nodeIn(sight, former.node)
  if (view === null || view.lifecycle === Lifecycles.Left || !view.alive) return true
  const { status } = view
  return status !== null && former.boot !== null && status.boot !== former.boot
}
