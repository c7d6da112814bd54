import {
  type BroadcastOutcome,
  type BroadcastReport,
  type BroadcastSkip,
  Reliabilities,
  type Reliability
} from '../../core/delivery.js'
import { InternalError, SkeinError } from '../../core/errors.js'
import { compareText, type NodeId } from '../../core/ids.js'
import { Lifecycles, Livenesses, type Member } from '../../core/member.js'

/**
 * The same to every member, all at once; one outcome for each, whatever became of the others. A
 * suspect may be alive and is tried; who is dead, or has left, is not.
 */
export async function broadcastTo(
  members: readonly Member[],
  self: NodeId,
  reliability: Reliability,
  send: (to: NodeId) => Promise<void>
): Promise<BroadcastReport> {
  const sorted = [...members].sort((a, b) => compareText(a.nodeId, b.nodeId))
  const outcomes = await Promise.all(
    sorted.map((member): BroadcastOutcome | Promise<BroadcastOutcome> => {
      const { nodeId } = member
      const reason = skipOf(member, self)
      return reason === null ? outcomeOf(nodeId, reliability, send) : skipped(nodeId, reason)
    })
  )
  return { outcomes, complete: outcomes.every(({ kind }) => kind !== 'failed') }
}

function skipOf({ nodeId, liveness, lifecycle }: Member, self: NodeId): BroadcastSkip | null {
  if (nodeId === self) return 'self'
  if (lifecycle === Lifecycles.Left) return 'left'
  return liveness === Livenesses.Dead ? 'dead' : null
}

const skipped = (nodeId: NodeId, reason: BroadcastSkip): BroadcastOutcome => ({
  kind: 'skipped',
  nodeId,
  reason
})

async function outcomeOf(
  nodeId: NodeId,
  reliability: Reliability,
  send: (to: NodeId) => Promise<void>
): Promise<BroadcastOutcome> {
  try {
    await send(nodeId)
    return { kind: reliability === Reliabilities.None ? 'queued' : 'delivered', nodeId }
  } catch (error) {
    return { kind: 'failed', nodeId, error: toSkeinError(error) }
  }
}

function toSkeinError(error: unknown): SkeinError {
  if (error instanceof SkeinError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new InternalError(message, { cause: error })
}
