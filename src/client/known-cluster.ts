/**
 * What a client was told of the cluster: who the members are, where they are found, who told it.
 *
 * 1. A member that others hold for dead is only suspected here: whoever told so may itself be the
 *    one that is cut off. Whether a node answers, the client finds out by asking it.
 * 2. A node that answered at a seed address is found there until a member tells its address.
 */
import type { ClusterId, NodeId } from '../core/ids.js'
import { compareText, type Incarnation, type MonotonicMs } from '../core/ids.js'
import { Livenesses, type Member, unstatedCapacity } from '../core/member.js'
import type { Address } from '../core/ports/stream-network.js'
import type { ClusterAnswer } from '../routing/index.js'

export class KnownCluster {
  readonly #seeds = new Map<NodeId, Address>()
  readonly #told = new Map<NodeId, { readonly revision: number }>()
  #members: readonly Member[] = []
  #byId = new Map<NodeId, Member>()
  #clusterId: ClusterId | null = null
  #fingerprint = ''

  members(): readonly Member[] {
    return this.#members
  }

  get clusterId(): ClusterId | null {
    return this.#clusterId
  }

  addressOf(nodeId: NodeId): Address | undefined {
    return this.#byId.get(nodeId)?.address ?? this.#seeds.get(nodeId)
  }

  /** Members, and nodes that answered at a seed address; sorted. */
  nodeIds(): NodeId[] {
    return [...new Set([...this.#byId.keys(), ...this.#seeds.keys()])].sort(compareText)
  }

  /** What the client knows of this node's view; zero: nothing. */
  revisionOf(nodeId: NodeId): number {
    return this.#told.get(nodeId)?.revision ?? 0
  }

  learnSeed(nodeId: NodeId, address: Address): void {
    this.#seeds.set(nodeId, address)
  }

  learnClusterId(clusterId: ClusterId): void {
    this.#clusterId ??= clusterId
  }

  /** Answers whether the members are others, elsewhere or in another state than before. */
  learn(answer: ClusterAnswer, now: MonotonicMs): boolean {
    this.#told.clear()
    this.#told.set(answer.node, answer)
    if (answer.clusterId !== null) this.learnClusterId(answer.clusterId)
    this.#members = answer.members.map((told) => memberOf(told, now))
    this.#byId = new Map(this.#members.map((member) => [member.nodeId, member]))
    for (const nodeId of this.#seeds.keys()) if (this.#byId.has(nodeId)) this.#seeds.delete(nodeId)
    const fingerprint = JSON.stringify(answer.members)
    const isChanged = fingerprint !== this.#fingerprint
    this.#fingerprint = fingerprint
    return isChanged
  }
}

function memberOf(told: ClusterAnswer['members'][number], now: MonotonicMs): Member {
  const liveness = told.liveness === Livenesses.Dead ? Livenesses.Suspect : told.liveness
  return {
    ...told,
    liveness,
    incarnation: 0 as Incarnation,
    metadata: {},
    // A client is told where nodes are, not what they can bear.
    capacity: unstatedCapacity,
    tags: [],
    lastSeen: now
  }
}
