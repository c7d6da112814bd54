/**
 * Replica ids from their two parts, and apart again. Messages name storages alone, many times a
 * second and always the same few: each is cut and joined once, so that equal ids are one string.
 */
import {
  type NodeId,
  nodeOf,
  type ReplicaId,
  replicaIdOf,
  type StorageId,
  storageOf
} from '../../core/ids.js'

/** Replicas remembered; at the bound all are forgotten, and come back as they are needed. */
export const replicaNamesMax = 1_024

export interface ReplicaParts {
  readonly replica: ReplicaId
  readonly node: NodeId
  readonly storage: StorageId
}

export class ReplicaNames {
  readonly #byReplica = new Map<ReplicaId, ReplicaParts>()
  /** The last one of each node: a node changes its storage once in a lifetime. */
  readonly #byNode = new Map<NodeId, ReplicaParts>()

  partsOf(replica: ReplicaId): ReplicaParts {
    const known = this.#byReplica.get(replica)
    if (known !== undefined) return known
    const parts = { replica, node: nodeOf(replica), storage: storageOf(replica) }
    remember(this.#byReplica, replica, parts)
    return parts
  }

  replicaOf(node: NodeId, storage: StorageId): ReplicaId {
    const known = this.#byNode.get(node)
    if (known !== undefined && known.storage === storage) return known.replica
    const parts = { replica: replicaIdOf(node, storage), node, storage }
    remember(this.#byNode, node, parts)
    return parts.replica
  }

  get size(): number {
    return this.#byReplica.size + this.#byNode.size
  }
}

function remember<Key>(map: Map<Key, ReplicaParts>, key: Key, parts: ReplicaParts): void {
  if (map.size >= replicaNamesMax) map.clear()
  map.set(key, parts)
}
