/**
 * How pairs get from their owner to everybody: changes as rumours, a datagram each, and whatever
 * rumours missed by comparing versions over the stream.
 *
 * 1. A rumour never exceeds `metadataRumourBytesMax`; it holds the newest changes of its owner, as
 *    many as fit.
 * 2. Pairs of nodes that are no members are nobody's, and dropped.
 */
import type { MonotonicMs } from '../../../core/ids.js'
import { shuffle } from '../../../core/splittable-random.js'
import type { SwimState } from '../swim-state.js'
import {
  entryBytes,
  type MetadataChange,
  type MetadataDelta,
  type MetadataDigest,
  type VersionedEntry
} from './metadata-store.js'

/** One rumour of pairs, so that it always fits a datagram beside a probe. */
export const metadataRumourBytesMax = 1_024
/** Pairs of all members in one answer; the rest comes in a later one. */
export const metadataDeltasBytesMax = 512 * 1024

const deltaOverheadBytes = 96

export interface MetadataAnswer {
  readonly deltas: readonly MetadataDelta[]
  /** Where the other side holds more. */
  readonly wanted: readonly MetadataDigest[]
}

export class MetadataSpread {
  readonly #state: SwimState

  constructor(state: SwimState) {
    this.#state = state
  }

  /** @throws InvalidArgumentError out of bounds */
  set(key: string, value: string, now: MonotonicMs): void {
    this.#tell(this.#state.metadata.set(key, value), now)
  }

  delete(key: string, now: MonotonicMs): boolean {
    const change = this.#state.metadata.delete(key)
    if (change !== null) this.#tell(change, now)
    return change !== null
  }

  /** What this node said in an earlier life. */
  restore(version: number, entries: readonly VersionedEntry[]): void {
    for (const change of this.#state.metadata.restore(version, entries)) {
      this.#state.effects.emit({ type: 'MetadataChanged', ...change })
    }
  }

  handleRumour(delta: MetadataDelta, now: MonotonicMs): void {
    if (this.#take(delta)) this.#broadcast(delta, now)
  }

  /** Answers what another node holds with what it lacks. */
  answer(digests: readonly MetadataDigest[]): MetadataAnswer {
    const { metadata, table, random, nodeId } = this.#state
    const theirs = new Map(digests.map(({ owner, version }) => [owner, version]))
    const own = theirs.get(nodeId)
    if (own !== undefined) metadata.maybeOutdo(own)
    const wanted = digests
      .filter(({ owner }) => owner !== nodeId && table.get(owner) !== undefined)
      .filter(({ owner, version }) => version > metadata.versionOf(owner))
      .map(({ owner }) => ({ owner, version: metadata.versionOf(owner) }))
    const lacking = metadata
      .digests()
      .map(({ owner, version }) => ({ owner, ours: version, version: theirs.get(owner) ?? 0 }))
      // Whoever holds nothing of an owner without pairs lacks nothing.
      .filter(({ owner, version }) => version > 0 || metadata.markOf(owner) > 0)
      .filter(({ ours, version }) => ours > version)
    return { deltas: this.supply(shuffle(random, lacking)), wanted }
  }

  /** What goes beyond the versions that are told; as much as one message takes. */
  supply(wanted: readonly MetadataDigest[]): MetadataDelta[] {
    const deltas: MetadataDelta[] = []
    let leftBytes = metadataDeltasBytesMax
    for (const { owner, version } of wanted) {
      const delta = this.#state.metadata.deltaSince(owner, version)
      if (delta === null) continue
      leftBytes -= sizeOf(delta)
      if (leftBytes < 0) break
      deltas.push(delta)
    }
    return deltas
  }

  /** Over the stream; nobody waits to hear of it from this node. */
  merge(deltas: readonly MetadataDelta[]): void {
    for (const delta of deltas) this.#take(delta)
  }

  /** Whether anything of it was new. */
  #take(delta: MetadataDelta): boolean {
    const { metadata, table, counters, effects, nodeId } = this.#state
    if (delta.owner === nodeId) {
      metadata.maybeOutdo(delta.version)
      return false
    }
    if (table.get(delta.owner) === undefined) return false
    const changes: MetadataChange[] = []
    const outcome = metadata.apply(delta, changes)
    if (outcome === 'refused') counters.add('metadata_refused')
    for (const change of changes) effects.emit({ type: 'MetadataChanged', ...change })
    return outcome === 'applied'
  }

  #tell(change: MetadataChange, now: MonotonicMs): void {
    const { metadata, effects } = this.#state
    effects.emit({ type: 'MetadataChanged', ...change })
    // Earlier changes beside it: whoever missed the rumour of them needs no comparison.
    const delta = metadata.latestDelta(change.nodeId, metadataRumourBytesMax - deltaOverheadBytes)
    if (delta !== null) this.#broadcast(delta, now)
  }

  #broadcast(delta: MetadataDelta, now: MonotonicMs): void {
    if (sizeOf(delta) > metadataRumourBytesMax) return
    this.#state.broadcast(`metadata:${delta.owner}`, { kind: 'metadata', ...delta }, now)
  }
}

const sizeOf = ({ entries }: MetadataDelta): number =>
  entries.reduce((sum, entry) => sum + entryBytes(entry), deltaOverheadBytes)
