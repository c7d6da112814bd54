/**
 * Who a data directory is, as one small file of text:
 *
 *   line 1: "skein identity 1"
 *   line 2: JSON of node id, storage id, cluster name, founding voters (null before the founding)
 *   line 3: CRC-32C of the two lines before, line breaks included, in eight hex digits
 *
 * The cluster id is not stored: it is a hash of the cluster's name and the founding voters.
 */
import { LogCorruptedError } from '../../core/errors.js'
import {
  type ClusterId,
  compareText,
  type NodeId,
  type ReplicaId,
  replicaIdOf,
  type StorageId,
  toClusterId,
  toNodeId,
  toReplicaId,
  toStorageId
} from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { crc32c } from '../../wire/crc32c.js'

export interface ReplicaIdentity {
  readonly nodeId: NodeId
  readonly storageId: StorageId
  readonly clusterName: string
  /**
   * The founding this directory has pledged itself to, sorted; it can join no other. Null until
   * every founder's storage id is known, and for ever on a node that founds nothing.
   */
  readonly founders: readonly ReplicaId[] | null
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
  founders: null
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
  const { nodeId, storageId, clusterName, founders } = identity
  const lines = `${firstLine}\n${JSON.stringify({ nodeId, storageId, clusterName, founders })}\n`
  return textEncoder.encode(`${lines}${checksumOf(lines)}\n`)
}

/** @throws LogCorruptedError not what was once written here */
export function decodeIdentity(bytes: Uint8Array): ReplicaIdentity {
  try {
    const [first, json, checksum] = new TextDecoder('utf-8', { fatal: true })
      .decode(bytes)
      .split('\n')
    if (first !== firstLine || checksum !== checksumOf(`${first}\n${json}\n`)) {
      throw new Error('the checksum does not fit')
    }
    const fields = JSON.parse(json as string) as Record<string, unknown>
    return {
      nodeId: toNodeId(String(fields.nodeId)),
      storageId: toStorageId(String(fields.storageId)),
      clusterName: String(fields.clusterName),
      founders: Array.isArray(fields.founders)
        ? fields.founders.map((founder) => toReplicaId(String(founder)))
        : null
    }
  } catch (cause) {
    throw new LogCorruptedError('the identity of the data directory cannot be read', { cause })
  }
}

const checksumOf = (lines: string): string =>
  crc32c(textEncoder.encode(lines)).toString(16).padStart(8, '0')

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
