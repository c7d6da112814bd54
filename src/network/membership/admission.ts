/** Who may join, as values; the name's claim itself is the core's to judge. */
import type { ClusterId, NodeId } from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import type { VersionRange } from '../../core/versions.js'
import type { TypeOf } from '../../wire/codec.js'
import { type joinRequest, statementBytes, statementBytesMax } from './messages.js'

export type JoinRequestBody = TypeOf<(typeof joinRequest)['codec']>

export interface Household {
  readonly clusterName: string
  readonly clusterId: ClusterId | null
  /** What the software here speaks. */
  readonly versions: VersionRange
  /** What everybody has to speak; null: it is not known here. */
  readonly clusterVersion: number | null
}

/** Everything that speaks against it; a cluster id that one side does not know yet does not. */
export function refusalsOfJoin(
  request: JoinRequestBody,
  from: NodeId,
  household: Household
): string[] {
  const { statement } = request
  if (statement.nodeId !== from) return [`${from} speaks for ${statement.nodeId}`]
  const { min, max } = household.versions
  const { versionMin, versionMax } = statement
  const faults: string[] = []
  if (request.clusterName !== household.clusterName) {
    faults.push(`cluster name: ${household.clusterName} here, ${request.clusterName} there`)
  }
  if (isForeign(request.clusterId, household.clusterId)) {
    faults.push(`cluster id: ${household.clusterId} here, ${request.clusterId} there`)
  }
  if (versionMax < min || versionMin > max || versionMin > versionMax) {
    faults.push(`versions: ${min} to ${max} here, ${versionMin} to ${versionMax} there`)
  }
  if (household.clusterVersion !== null && versionMax < household.clusterVersion) {
    const spoken = `${versionMin} to ${versionMax}`
    faults.push(`cluster version: ${household.clusterVersion} here, ${spoken} spoken there`)
  }
  if (statement.lifecycle === Lifecycles.Left) faults.push('it says that it left')
  if (statementBytes(statement) > statementBytesMax) {
    faults.push(`its statement is above ${statementBytesMax} bytes`)
  }
  return faults
}

export const isForeign = (theirs: ClusterId | null, ours: ClusterId | null): boolean =>
  theirs !== null && ours !== null && theirs !== ours
