/**
 * The fence of terms: a query that must run on the leader says in which term the router chose this
 * node, and runs only where the replica is in that very term. Routing, elections and failover thus
 * share one epoch, (group, term): what was decided in another one is refused before it does
 * anything, with the leader that the refusing node knows.
 *
 * 1. A later term here: the router's view is old, though this node may lead again by now.
 * 2. A later term there: this node has missed an election. It cannot commit anything any more, but
 *    could begin to, or answer a `leader` read with what is out of date.
 * 3. What any replica may answer is not fenced: a linearizable read asks the leader of the present
 *    term for itself, a local one promises nothing.
 */
import { type SkeinError, StaleRouteError } from '../core/errors.js'
import type { Term } from '../core/ids.js'
import { isForLeader } from './eligibility.js'
import type { QueryBody } from './messages.js'
import type { Placement } from './placement-table.js'

type Here = Pick<Placement, 'term' | 'leader'>

/** @throws StaleRouteError */
export function assertSameTerm(body: QueryBody, status: () => Here): void {
  const { term } = body
  if (term === undefined || !isForLeader(body.kind, body.consistency)) return
  const here = status()
  if (term === here.term) return
  throw new StaleRouteError(
    `routed in term ${term} of group ${body.group}, this node is in term ${here.term}`,
    {
      details: { term: here.term, routedIn: term },
      ...(here.leader === null || term > here.term ? {} : { leaderHint: here.leader })
    }
  )
}

/** The term of the node that refused, as the error tells it. */
export function termOfRefusal(error: SkeinError): Term | null {
  const { term } = error.details ?? {}
  return typeof term === 'number' && Number.isSafeInteger(term) ? (term as Term) : null
}
