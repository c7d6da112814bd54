/**
 * Who a data directory is, as a small checked text (`checked-text.ts`), "skein identity 1": node
 * id, storage id, cluster name, founding voters (null before the founding), groups.
 *
 * The cluster id is not stored: it is a hash of the cluster's name and the founding voters.
 */
import { LogCorruptedError } from '../../core/errors.js'
import {
  type ClusterId,
  compareText,
  DEFAULT_GROUP,
  type GroupId,
  type NodeId,
  type ReplicaId,
  replicaIdOf,
  type StorageId,
  toClusterId,
  toGroupId,
  toNodeId,
  toReplicaId,
  toStorageId
} from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { decodeCheckedText, encodeCheckedText } from './checked-text.js'

export interface ReplicaIdentity {
  readonly nodeId: NodeId
  readonly storageId: StorageId
  readonly clusterName: string
  /**
   * The founding this directory has pledged itself to, sorted; it can join no other. Null until
   * every founder's storage id is known, and for ever on a node that founds nothing.
   */
  readonly founders: readonly ReplicaId[] | null
  /** Of that founding, sorted; nobody's before. Each has a replica here, be it an empty one. */
  readonly groups: readonly GroupId[]
}

const firstLine = 'skein identity 1'
const textEncoder = new TextEncoder()

export const selfOf = (identity: ReplicaIdentity): ReplicaId =>
  replicaIdOf(identity.nodeId, identity.storageId)

export const freshIdentity = (
  crypto: Crypto,
  nodeId: NodeId,
  clusterName: string
): ReplicaIdentity => ({
  nodeId,
  storageId: toStorageId(hex(crypto.randomBytes(8))),
  clusterName,
  founders: null,
  groups: []
})

/** The same on every founder, and never the same for another founding. */
export function clusterIdOf(
  crypto: Crypto,
  clusterName: string,
  founders: readonly ReplicaId[]
): ClusterId {
  const lines = ['skein cluster 1', clusterName, ...[...founders].sort(compareText)]
  return toClusterId(hex(crypto.sha256(textEncoder.encode(lines.join('\n'))).subarray(0, 16)))
}

export function encodeIdentity(identity: ReplicaIdentity): Uint8Array {
  const { nodeId, storageId, clusterName, founders, groups } = identity
  return encodeCheckedText(firstLine, { nodeId, storageId, clusterName, founders, groups })
}

/** @throws LogCorruptedError not what was once written here */
export function decodeIdentity(bytes: Uint8Array): ReplicaIdentity {
  try {
    const fields = decodeCheckedText(firstLine, bytes)
    return {
      nodeId: toNodeId(String(fields.nodeId)),
      storageId: toStorageId(String(fields.storageId)),
      clusterName: String(fields.clusterName),
      founders: Array.isArray(fields.founders)
        ? fields.founders.map((founder) => toReplicaId(String(founder)))
        : null,
      groups: groupsIn(fields)
    }
  } catch (cause) {
    throw new LogCorruptedError('the identity of the data directory cannot be read', { cause })
  }
}

/** A pledge without a list was made before there was more than one group. */
function groupsIn({ founders, groups }: Record<string, unknown>): readonly GroupId[] {
  if (Array.isArray(groups)) return groups.map((group) => toGroupId(Number(group)))
  return founders === null ? [] : [DEFAULT_GROUP]
}

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
