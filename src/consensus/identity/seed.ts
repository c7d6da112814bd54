/**
 * A cluster that begins with data: its founders are made together, each with the founding already
 * pledged and with groups whose engines hold everything up to a base. They start as replicas do
 * whose engines were restored from a snapshot, and found nothing.
 *
 * 1. Storage ids are new, so the cluster id is, and no replica of another cluster is a member.
 * 2. Founders are the voters of every group. A group without a base begins empty, by the first
 *    entry that each founder writes at its start.
 */
import { InvalidArgumentError } from '../../core/errors.js'
import {
  type ClusterId,
  compareText,
  type GroupId,
  type LogIndex,
  type NodeId,
  type Term
} from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { LogBase, PersistRequest } from '../../core/ports/log-store.js'
import { configurationMembersMax, configurationOf } from '../configuration.js'
import { encodeConfiguration } from '../entry.js'
import { clusterIdOf, freshIdentity, type ReplicaIdentity, selfOf } from './replica-identity.js'

export interface SeedRequest {
  readonly clusterName: string
  readonly nodes: readonly NodeId[]
  /** All of the cluster, the control group among them. */
  readonly groups: readonly GroupId[]
}

export interface ClusterSeed {
  readonly clusterId: ClusterId
  /** One for each node, in the order of their ids. */
  readonly identities: readonly ReplicaIdentity[]
}

/** What a group's engine has applied. */
export interface SeededGroup {
  readonly group: GroupId
  readonly index: LogIndex
  readonly term: Term
}

/** @throws InvalidArgumentError no node, too many, or one twice */
export function planSeed(crypto: Crypto, { clusterName, nodes, groups }: SeedRequest): ClusterSeed {
  const sorted = [...nodes].sort(compareText)
  if (sorted.length === 0 || sorted.length > configurationMembersMax) {
    throw new InvalidArgumentError('nodes', `1 to ${configurationMembersMax} are needed`)
  }
  const twice = sorted.find((node, i) => node === sorted[i - 1])
  if (twice !== undefined) throw new InvalidArgumentError('nodes', `${twice} is named twice`)
  const fresh = sorted.map((node) => freshIdentity(crypto, node, clusterName))
  const founders = fresh.map(selfOf).sort(compareText)
  const all = [...groups].sort((a, b) => a - b)
  return {
    clusterId: clusterIdOf(crypto, clusterName, founders),
    identities: fresh.map((identity) => ({ ...identity, founders, groups: all }))
  }
}

/** What a founder's log says of its groups. */
export function seedRequests(
  { founders }: ReplicaIdentity,
  groups: readonly SeededGroup[]
): readonly PersistRequest[] {
  const configuration = encodeConfiguration(configurationOf(founders ?? []))
  return groups.map(({ group, index, term }) => {
    const base: LogBase = { index, term, configurationIndex: index, configuration }
    const hardState = { term, vote: null }
    return { group, hardState, base: { base, replacesLog: true }, entries: [] }
  })
}
