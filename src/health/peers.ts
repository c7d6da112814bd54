import type { Config } from '../core/config/schema.js'
import { compareText, type NodeId } from '../core/ids.js'
import { Lifecycles, Livenesses, type Member } from '../core/member.js'
import { neighboursOf } from './neighbours.js'
import { PeerHealth } from './peer-health.js'

/** The measured peers: follows the members, forgets who is gone. */
export class Peers {
  readonly #self: NodeId
  readonly #config: Config['health']
  readonly #peers = new Map<NodeId, PeerHealth>()
  #nextTag = 0

  constructor(self: NodeId, config: Config['health']) {
    this.#self = self
    this.#config = config
  }

  /** Those to be measured now, in the order of their names; and whom nobody needs any more. */
  sync(members: readonly Member[]): {
    readonly neighbours: PeerHealth[]
    readonly gone: PeerHealth[]
  } {
    const present = members.filter(isPresent).map(({ nodeId }) => nodeId)
    const names = neighboursOf(this.#self, present, {
      allBelow: this.#config.neighboursAllBelow,
      count: this.#config.neighbours
    })
    const gone = [...this.#peers.values()].filter(({ nodeId }) => !present.includes(nodeId))
    for (const { nodeId } of gone) this.#peers.delete(nodeId)
    const neighbours = names.flatMap((nodeId) => this.obtain(nodeId) ?? [])
    return { neighbours, gone }
  }

  get size(): number {
    return this.#peers.size
  }

  get(nodeId: NodeId): PeerHealth | undefined {
    return this.#peers.get(nodeId)
  }

  /** Also of one that is no neighbour: it measures us, or was heard of in passing. */
  obtain(nodeId: NodeId): PeerHealth | null {
    let peer = this.#peers.get(nodeId)
    if (peer === undefined) {
      if (nodeId === this.#self || this.#peers.size >= this.#config.peersMax) return null
      peer = new PeerHealth(nodeId, this.#nextTag++, this.#config)
      this.#peers.set(nodeId, peer)
    }
    return peer
  }

  byTag(tag: number): PeerHealth | undefined {
    for (const peer of this.#peers.values()) if (peer.tag === tag) return peer
    return undefined
  }

  /** In the order of the names. */
  all(): PeerHealth[] {
    return [...this.#peers.values()].sort((a, b) => compareText(a.nodeId, b.nodeId))
  }
}

const isPresent = ({ liveness, lifecycle }: Member): boolean =>
  liveness !== Livenesses.Dead && lifecycle !== Lifecycles.Left && lifecycle !== Lifecycles.Joining
