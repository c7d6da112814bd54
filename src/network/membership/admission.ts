/** Who may join, as values; the name's claim itself is the core's to judge. */
import type { ClusterId, NodeId } from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import type { TypeOf } from '../../wire/codec.js'
import {
  type joinRequest,
  membershipVersions,
  statementBytes,
  statementBytesMax
} from './messages.js'

export type JoinRequestBody = TypeOf<(typeof joinRequest)['codec']>

export interface Household {
  readonly clusterName: string
  readonly clusterId: ClusterId | null
}

/** Null when nothing speaks against it; a cluster id that one side does not know yet does not. */
export function refusalOfJoin(
  request: JoinRequestBody,
  from: NodeId,
  household: Household
): string | null {
  const { statement } = request
  if (statement.nodeId !== from) return `${from} speaks for ${statement.nodeId}`
  if (request.clusterName !== household.clusterName) {
    return `cluster ${request.clusterName} is not ${household.clusterName}`
  }
  if (isForeign(request.clusterId, household.clusterId)) {
    return `cluster id ${request.clusterId} is not ${household.clusterId}`
  }
  if (
    statement.versionMax < membershipVersions.min ||
    statement.versionMin > membershipVersions.max ||
    statement.versionMin > statement.versionMax
  ) {
    const { min, max } = membershipVersions
    return `versions ${statement.versionMin} to ${statement.versionMax} are not ${min} to ${max}`
  }
  if (statement.lifecycle === Lifecycles.Left) return 'it says that it left'
  if (statementBytes(statement) > statementBytesMax) {
    return `its statement is above ${statementBytesMax} bytes`
  }
  return null
}

export const isForeign = (theirs: ClusterId | null, ours: ClusterId | null): boolean =>
  theirs !== null && ours !== null && theirs !== ours
