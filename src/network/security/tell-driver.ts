import { after } from '../../core/deadlines.js'
import { compareText, type NodeId } from '../../core/ids.js'
import { Lifecycles, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Messenger, RequestType } from '../../core/ports/messenger.js'
import { factsOf } from '../../core/remote-error.js'
import type { TellReport } from '../../core/security-manager.js'

/** How long a member may take to answer; one that is gone is known to be before. */
export const tellTimeoutMs = 3_000

export interface TellComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly members: () => readonly Member[]
}

export interface Told<Answer> {
  /** Everybody who was asked, sorted. */
  readonly nodes: readonly NodeId[]
  readonly answers: ReadonlyMap<NodeId, Answer>
  readonly errors: TellReport['errors']
}

/**
 * Everybody who may come back: the dead too, until they are forgotten, but not who has left.
 * Sorted; with this node.
 */
export const membersToTell = ({ members }: Pick<TellComponents, 'members'>): NodeId[] =>
  members()
    .filter(({ lifecycle }) => lifecycle !== Lifecycles.Left)
    .map(({ nodeId }) => nodeId)
    .sort(compareText)

/** Asks each of them at once, and waits until all have answered or failed. */
export async function tellAll<Body, Answer>(
  { clock, messenger }: TellComponents,
  nodes: readonly NodeId[],
  type: RequestType<Body, Answer>,
  body: Body
): Promise<Told<Answer>> {
  const deadline = after(clock.now(), tellTimeoutMs)
  const outcomes = await Promise.allSettled(
    nodes.map((nodeId) => messenger.request(nodeId, type, body, { deadline }))
  )
  const answers = new Map<NodeId, Answer>()
  const errors: TellReport['errors'][number][] = []
  for (const [i, outcome] of outcomes.entries()) {
    const nodeId = nodes[i] as NodeId
    if (outcome.status === 'fulfilled') answers.set(nodeId, outcome.value)
    else {
      const { code, message } = factsOf(outcome.reason)
      errors.push({ nodeId, code, message })
    }
  }
  return { nodes, answers, errors }
}

export const reportOf = ({ nodes, answers, errors }: Told<unknown>): TellReport => ({
  nodes: nodes.length,
  responses: answers.size,
  errors
})
