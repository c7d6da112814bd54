/**
 * Which nodes and keys are hot, from what every node executes.
 *
 * A node is hot from a floor of queries per second on, when that is also so many times the median
 * of the nodes that hold data: a busy cluster has no hotspot, an uneven one has. The median is the
 * middle rate, of an even number the lower one of the two. A key is hot from a floor of queries per
 * second on, summed over all nodes: spreading its reads does not make it look colder.
 *
 * 1. What heats up is seen in the newest seconds (`burst`); cold is only what is below
 *    `leaveRatio` of the thresholds both in the newest seconds and over the whole window.
 * 2. A node of which nothing is known executes nothing.
 * 3. The events of one node or key alternate: detected, cleared, detected, …
 *
 * Source: seed 001 section 3; the split thresholds of CockroachDB (load-based splitting) for the
 * floor; the two windows are those of multi-window alerts (Google SRE workbook, chapter 5).
 */
import { must } from '../../core/assert.js'
import type { HotKey, HotNode, Hotspot, HotspotEvent } from '../../core/hotspots.js'
import { compareText, type MonotonicMs, type NodeId } from '../../core/ids.js'
import { Hysteresis } from './hysteresis.js'
import type { LoadRow } from './load-table.js'
import { heatOf, type Rates } from './load-window.js'

/** Keys that are hot, or were lately; further ones wait until one is forgotten. */
export const watchedKeysMax = 256

export interface HotspotOptions {
  readonly hotspotFloorPerSecond: number
  readonly hotspotMedianFactor: number
  readonly hotspotKeyFloorPerSecond: number
  readonly hotspotLeaveRatio: number
  readonly hotspotDwellMs: number
}

interface Watched<Spot extends Hotspot> {
  readonly state: Hysteresis
  hotspot: Spot
}

export class HotspotDetector {
  readonly #options: HotspotOptions
  readonly #nodes = new Map<NodeId, Watched<HotNode>>()
  readonly #keys = new Map<string, Watched<HotKey>>()

  constructor(options: HotspotOptions) {
    this.#options = options
  }

  /** Nodes before keys, each by name. */
  current(): readonly Hotspot[] {
    const hot = <Spot extends Hotspot>(watched: ReadonlyMap<string, Watched<Spot>>): Spot[] =>
      [...watched]
        .filter(([, { state }]) => state.isHot)
        .sort(([one], [other]) => compareText(one, other))
        .map(([, { hotspot }]) => hotspot)
    return [...hot(this.#nodes), ...hot(this.#keys)]
  }

  isHotKey(key: string): boolean {
    return this.#keys.get(key)?.state.isHot ?? false
  }

  hotNode(node: NodeId): HotNode | null {
    const watched = this.#nodes.get(node)
    return watched?.state.isHot ? watched.hotspot : null
  }

  /**
   * @param rows what nodes execute, by node id
   * @param holders nodes that hold data and serve
   */
  evaluate(
    rows: readonly LoadRow[],
    holders: readonly NodeId[],
    now: MonotonicMs
  ): readonly HotspotEvent[] {
    const events: HotspotEvent[] = []
    this.#evaluateNodes(rows, holders, now, events)
    this.#evaluateKeys(rows, now, events)
    return events
  }

  #evaluateNodes(
    rows: readonly LoadRow[],
    holders: readonly NodeId[],
    now: MonotonicMs,
    events: HotspotEvent[]
  ): void {
    const { hotspotFloorPerSecond: floor, hotspotMedianFactor: factor } = this.#options
    const known = new Map(rows.map((row) => [row.node, row]))
    const ratesOf = (node: NodeId): Rates => known.get(node) ?? nothing
    const burstMedian = median(holders.map((node) => ratesOf(node).burstPerSecond))
    const windowMedian = median(holders.map((node) => ratesOf(node).windowPerSecond))
    for (const node of new Set([...this.#nodes.keys(), ...holders].sort(compareText))) {
      const row = known.get(node)
      const hotspot: HotNode = {
        scope: 'node',
        node,
        ratePerSecond: row?.burstPerSecond ?? 0,
        windowPerSecond: row?.windowPerSecond ?? 0,
        medianPerSecond: burstMedian,
        keys: (row?.keys ?? []).map(({ key, burstPerSecond }) => ({
          key,
          ratePerSecond: burstPerSecond
        }))
      }
      const { burstPerSecond, windowPerSecond } = ratesOf(node)
      const isHotter = (rate: number, middle: number, share: number) =>
        rate >= floor * share && rate >= factor * middle * share
      const enters = holders.includes(node) && isHotter(burstPerSecond, burstMedian, 1)
      const share = this.#options.hotspotLeaveRatio
      const stays =
        holders.includes(node) &&
        (isHotter(burstPerSecond, burstMedian, share) ||
          isHotter(windowPerSecond, windowMedian, share))
      this.#update(this.#nodes, node, hotspot, { enters, stays, now, events })
    }
  }

  #evaluateKeys(rows: readonly LoadRow[], now: MonotonicMs, events: HotspotEvent[]): void {
    const { hotspotKeyFloorPerSecond: floor, hotspotLeaveRatio } = this.#options
    const sums = sumKeys(rows)
    for (const key of new Set([...this.#keys.keys(), ...sums.keys()].sort(compareText))) {
      const hotspot = sums.get(key) ?? coldKey(key)
      const enters = hotspot.ratePerSecond >= floor
      const stays =
        Math.max(hotspot.ratePerSecond, hotspot.windowPerSecond) >= floor * hotspotLeaveRatio
      if (!enters && !this.#keys.has(key)) continue
      if (!this.#keys.has(key) && this.#keys.size >= watchedKeysMax) continue
      this.#update(this.#keys, key, hotspot, { enters, stays, now, events })
    }
  }

  #update<Name extends string, Spot extends Hotspot>(
    watched: Map<Name, Watched<Spot>>,
    name: Name,
    hotspot: Spot,
    at: {
      readonly enters: boolean
      readonly stays: boolean
      readonly now: MonotonicMs
      readonly events: HotspotEvent[]
    }
  ): void {
    const { enters, stays, now, events } = at
    const known = watched.get(name)
    if (known === undefined && !enters) return
    const entry = known ?? { state: this.#newState(), hotspot }
    if (known === undefined) watched.set(name, entry)
    entry.hotspot = hotspot
    const since = entry.state.since
    const change = entry.state.update(enters, stays, now)
    if (change === 'heated') events.push({ type: 'HotspotDetected', hotspot })
    if (change === 'cooled') {
      events.push({ type: 'HotspotCleared', hotspot, lastedMs: Math.round(now - since) })
    }
    if (entry.state.isForgettable(now)) watched.delete(name)
  }

  #newState(): Hysteresis {
    return new Hysteresis({ dwellMs: this.#options.hotspotDwellMs })
  }
}

const nothing: Rates = { burstPerSecond: 0, windowPerSecond: 0 }

const coldKey = (key: string): HotKey => ({
  scope: 'key',
  key,
  ratePerSecond: 0,
  windowPerSecond: 0,
  nodes: []
})

/** Over all nodes. */
function sumKeys(rows: readonly LoadRow[]): Map<string, HotKey> {
  const sums = new Map<string, HotKey>()
  for (const { node, keys } of rows) {
    for (const rates of keys) {
      if (heatOf(rates) <= 0) continue
      const { key, burstPerSecond, windowPerSecond } = rates
      const sum = sums.get(key) ?? coldKey(key)
      sums.set(key, {
        ...sum,
        ratePerSecond: sum.ratePerSecond + burstPerSecond,
        windowPerSecond: sum.windowPerSecond + windowPerSecond,
        nodes: [...sum.nodes, { node, ratePerSecond: burstPerSecond }].sort(
          (one, other) => other.ratePerSecond - one.ratePerSecond
        )
      })
    }
  }
  return sums
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((one, other) => one - other)
  return must(sorted[(sorted.length - 1) >> 1], 'middle value')
}
