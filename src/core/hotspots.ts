/** Where queries crowd: what `manager.hotspots` tells, and events name. */
import type { NodeId } from './ids.js'

export interface KeyRate {
  readonly key: string
  /** Over the newest seconds; counted for certain, the truth may be higher. */
  readonly ratePerSecond: number
}

export interface NodeRate {
  readonly node: NodeId
  readonly ratePerSecond: number
}

export interface HotNode {
  readonly scope: 'node'
  readonly node: NodeId
  /** Queries that it executed, over the newest seconds. */
  readonly ratePerSecond: number
  /** The same over `routing.hotspotWindowMs`. */
  readonly windowPerSecond: number
  /** Of the nodes that hold data, over the newest seconds. */
  readonly medianPerSecond: number
  /** Its busiest keys, the busiest first. */
  readonly keys: readonly KeyRate[]
}

export interface HotKey {
  readonly scope: 'key'
  readonly key: string
  /** In the whole cluster, over the newest seconds. */
  readonly ratePerSecond: number
  readonly windowPerSecond: number
  /** Where it was executed, the busiest first. */
  readonly nodes: readonly NodeRate[]
}

export type Hotspot = HotNode | HotKey

export type HotspotEvent =
  | { readonly type: 'HotspotDetected'; readonly hotspot: Hotspot }
  | { readonly type: 'HotspotCleared'; readonly hotspot: Hotspot; readonly lastedMs: number }
  | {
      readonly type: 'HotspotMitigated'
      readonly hotspot: Hotspot
      readonly action: 'spreadReads' | 'moveLeader'
      /** Who is to lead; null when reads are spread. */
      readonly target: NodeId | null
      readonly reason: string
    }

/** What a node executes, as far as the asked node knows. */
export interface NodeLoad {
  readonly node: NodeId
  readonly ratePerSecond: number
  readonly windowPerSecond: number
  /** The part of `ratePerSecond` that only a leader can do. */
  readonly leaderPerSecond: number
  readonly keys: readonly KeyRate[]
  /** How long ago it was true. */
  readonly ageMs: number
}

/** `manager.hotspots`: each node sees the whole cluster, as fresh as its members' last words. */
export interface Hotspots {
  /** Hot now: nodes before keys, each by name. */
  current(): readonly Hotspot[]
  /** By node id; quiet nodes are absent. */
  loads(): readonly NodeLoad[]
  /**
   * Calls back at each event about a hotspot, until the answered function is called. What the
   * callback throws is logged and goes nowhere else.
   * @throws BackpressureError at 64 callbacks
   */
  onHotspot(callback: (event: HotspotEvent) => void): () => void
}
