/**
 * Versioned pairs of every node, each owned by one: scuttlebutt reconciliation (van Renesse et al.,
 * LADIS 2008), with a floor in the place of deletions that must be kept for ever.
 *
 * 1. Only its owner changes a pair; each change takes the owner's next version.
 * 2. A node that holds an owner's `version` holds every change up to it, so that two nodes with the
 *    same version of an owner hold the same pairs of it.
 * 3. Pairs at or below the owner's floor are void. A delta that begins at the floor is whole.
 * 4. What is held per owner is bounded; a delta beyond the bounds changes nothing.
 */
import { InvalidArgumentError } from '../../../core/errors.js'
import { compareText, type NodeId } from '../../../core/ids.js'
import {
  memberEntriesBytesMax,
  memberEntriesMax,
  memberEntryKeyBytesMax,
  memberEntryValueBytesMax
} from '../../../core/limits.js'

/** `value` is null where the pair was deleted. */
export interface VersionedEntry {
  readonly key: string
  readonly value: string | null
  readonly version: number
}

/** Every change of `owner` after `from` up to `version`, the oldest first. */
export interface MetadataDelta {
  readonly owner: NodeId
  readonly floor: number
  readonly from: number
  readonly version: number
  readonly entries: readonly VersionedEntry[]
}

export interface MetadataDigest {
  readonly owner: NodeId
  readonly version: number
}

export interface MetadataChange {
  readonly nodeId: NodeId
  readonly key: string
  readonly value: string | null
  readonly version: number
}

/** `refused`: out of bounds or of order. `gap`: what came before is missing; nothing is used. */
export type ApplyOutcome = 'refused' | 'old' | 'gap' | 'applied'

interface Held {
  floor: number
  version: number
  readonly byKey: Map<string, VersionedEntry>
}

/** Versions begin at the wall clock, which may have been this far off in an earlier life. */
const versionJumpMax = 2 ** 41

export class MetadataStore {
  readonly #self: NodeId
  readonly #own: Held
  readonly #byOwner = new Map<NodeId, Held>()
  #revision = 0

  /** @param base versions begin above it: higher than any of an earlier life, as far as is known */
  constructor(self: NodeId, base: number) {
    this.#self = self
    this.#own = { floor: base, version: base, byKey: new Map() }
    this.#byOwner.set(self, this.#own)
  }

  /** Changes with the store. */
  get revision(): number {
    return this.#revision
  }

  /** @throws InvalidArgumentError out of bounds; nothing has changed */
  set(key: string, value: string): MetadataChange {
    assertKey(key)
    assertValue(value)
    const { byKey } = this.#own
    const live = [...byKey.values()].filter((entry) => entry.value !== null && entry.key !== key)
    const changed = { key, value, version: this.#own.version + 1 }
    if (live.length + 1 > memberEntriesMax) {
      throw new InvalidArgumentError('metadata', `${memberEntriesMax} keys at most`)
    }
    if (bytesOf([...live, changed]) > memberEntriesBytesMax) {
      throw new InvalidArgumentError('metadata', `${memberEntriesBytesMax} bytes in all at most`)
    }
    if (!byKey.has(key) && byKey.size >= memberEntriesMax) this.#restate(this.#own.version)
    return this.#change(key, value)
  }

  /** Null: there was none. */
  delete(key: string): MetadataChange | null {
    const value = this.#own.byKey.get(key)?.value
    return value === undefined || value === null ? null : this.#change(key, null)
  }

  /** What an earlier life of this node left; what it says now goes above it. */
  restore(version: number, entries: readonly VersionedEntry[]): MetadataChange[] {
    for (const entry of entries) this.#own.byKey.set(entry.key, entry)
    this.#restate(Math.max(this.#own.version, version))
    return [...this.#own.byKey.values()].map((entry) => ({ nodeId: this.#self, ...entry }))
  }

  /** Live pairs, by key. */
  entriesOf(owner: NodeId): VersionedEntry[] {
    const held = this.#byOwner.get(owner)
    if (held === undefined) return []
    const live = [...held.byKey.values()].filter(({ value }) => value !== null)
    return live.sort((a, b) => compareText(a.key, b.key))
  }

  get(owner: NodeId, key: string): string | undefined {
    return this.#byOwner.get(owner)?.byKey.get(key)?.value ?? undefined
  }

  versionOf(owner: NodeId): number {
    return this.#byOwner.get(owner)?.version ?? 0
  }

  /** Zero where nothing is held, so that a node without pairs is the same to all. */
  markOf(owner: NodeId): number {
    const held = this.#byOwner.get(owner)
    return held === undefined || held.byKey.size === 0 ? 0 : held.version
  }

  /** In the order of their owners. */
  digests(): MetadataDigest[] {
    return [...this.#byOwner]
      .map(([owner, { version }]) => ({ owner, version }))
      .sort((a, b) => compareText(a.owner, b.owner))
  }

  /** Null: nothing is held beyond `since`. */
  deltaSince(owner: NodeId, since: number): MetadataDelta | null {
    const held = this.#byOwner.get(owner)
    if (held === undefined || held.version <= since) return null
    const { floor, version } = held
    const from = Math.max(floor, since)
    const entries = [...held.byKey.values()].filter((entry) => entry.version > from)
    entries.sort((a, b) => a.version - b.version)
    return { owner, floor, from, version, entries }
  }

  /** As `deltaSince`, with as many earlier changes as go into so many bytes; null: not even one. */
  latestDelta(owner: NodeId, bytesMax: number): MetadataDelta | null {
    const whole = this.deltaSince(owner, 0)
    if (whole === null) return null
    let first = whole.entries.length
    let leftBytes = bytesMax
    while (first > 0) {
      leftBytes -= entryBytes(whole.entries[first - 1] as VersionedEntry)
      if (leftBytes < 0) break
      first--
    }
    if (first === whole.entries.length && first > 0) return null
    const from = first === 0 ? whole.floor : (whole.entries[first - 1] as VersionedEntry).version
    return { ...whole, from, entries: whole.entries.slice(first) }
  }

  /** Another node holds this version of this node's pairs: they are restated above it. */
  maybeOutdo(version: number): boolean {
    if (version <= this.#own.version || version > this.#own.version + versionJumpMax) return false
    this.#restate(version)
    return true
  }

  /** Of another's pairs; the changes are told in the order in which they were made. */
  apply(delta: MetadataDelta, changes: MetadataChange[]): ApplyOutcome {
    const held = this.#byOwner.get(delta.owner) ?? { floor: 0, version: 0, byKey: new Map() }
    if (delta.owner === this.#self || !isSound(delta, held)) return 'refused'
    if (delta.version <= held.version) return 'old'
    if (delta.from > Math.max(held.version, delta.floor)) return 'gap'
    const byKey = new Map(held.byKey)
    const changed: MetadataChange[] = []
    if (delta.floor > held.floor) dropVoid(byKey, delta, changed)
    for (const entry of delta.entries) {
      const before = byKey.get(entry.key)
      if (before !== undefined && before.version >= entry.version) continue
      byKey.set(entry.key, entry)
      if ((before?.value ?? null) === entry.value) continue
      changed.push({ nodeId: delta.owner, ...entry })
    }
    if (byKey.size > memberEntriesMax || bytesOf([...byKey.values()]) > memberEntriesBytesMax) {
      return 'refused'
    }
    this.#byOwner.set(delta.owner, {
      floor: Math.max(held.floor, delta.floor),
      version: delta.version,
      byKey
    })
    this.#revision++
    changes.push(...changed)
    return 'applied'
  }

  /** With the member itself. */
  forget(owner: NodeId): void {
    if (owner === this.#self || !this.#byOwner.delete(owner)) return
    this.#revision++
  }

  #change(key: string, value: string | null): MetadataChange {
    const entry = { key, value, version: ++this.#own.version }
    this.#own.byKey.set(key, entry)
    this.#revision++
    return { nodeId: this.#self, ...entry }
  }

  /** Everything up to `floor` is void; what is live is said again above it. */
  #restate(floor: number): void {
    const own = this.#own
    const live = [...own.byKey.values()].filter(({ value }) => value !== null)
    own.byKey.clear()
    own.floor = floor
    own.version = floor
    for (const { key, value } of live.sort((a, b) => a.version - b.version)) {
      own.byKey.set(key, { key, value, version: ++own.version })
    }
    this.#revision++
  }
}

const encoder = new TextEncoder()

/** UTF-8. */
export const textBytes = (text: string): number => encoder.encode(text).length

const bytesOf = (entries: readonly VersionedEntry[]): number =>
  entries.reduce((sum, { key, value }) => sum + textBytes(key) + textBytes(value ?? ''), 0)

const entryOverheadBytes = 13

/** In a message, at most. */
export const entryBytes = ({ key, value }: VersionedEntry): number =>
  textBytes(key) + textBytes(value ?? '') + entryOverheadBytes

function dropVoid(
  byKey: Map<string, VersionedEntry>,
  delta: MetadataDelta,
  changes: MetadataChange[]
): void {
  const restated = new Set(delta.entries.map(({ key }) => key))
  for (const { key, value, version } of [...byKey.values()]) {
    if (version > delta.floor) continue
    if (restated.has(key)) continue
    byKey.delete(key)
    if (value === null) continue
    changes.push({ nodeId: delta.owner, key, value: null, version: delta.floor })
  }
}

function isSound({ floor, from, version, entries }: MetadataDelta, held: Held): boolean {
  if (!(floor <= from && from <= version)) return false
  if (held.version > 0 && version > held.version + versionJumpMax) return false
  if (version > Number.MAX_SAFE_INTEGER - versionJumpMax) return false
  let last = from
  for (const entry of entries) {
    if (entry.version <= last || entry.version > version) return false
    last = entry.version
    if (faultOfKey(entry.key) !== null || faultOfValue(entry.value ?? '') !== null) return false
  }
  return new Set(entries.map(({ key }) => key)).size === entries.length
}

function assertKey(key: string): void {
  const fault = faultOfKey(key)
  if (fault !== null) throw new InvalidArgumentError('key', fault)
}

function assertValue(value: string): void {
  const fault = faultOfValue(value)
  if (fault !== null) throw new InvalidArgumentError('value', fault)
}

function faultOfKey(key: string): string | null {
  if (typeof key !== 'string' || key.length === 0) return 'a text of at least one character'
  if (textBytes(key) > memberEntryKeyBytesMax) return `${memberEntryKeyBytesMax} bytes at most`
  for (const char of key) {
    const code = char.codePointAt(0) ?? 0
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return 'no control characters'
  }
  return isWellFormed(key) ? null : 'half of a surrogate pair'
}

function faultOfValue(value: string): string | null {
  if (typeof value !== 'string') return 'a text'
  if (textBytes(value) > memberEntryValueBytesMax)
    return `${memberEntryValueBytesMax} bytes at most`
  return isWellFormed(value) ? null : 'half of a surrogate pair'
}

function isWellFormed(text: string): boolean {
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    if (code >= 0xd800 && code <= 0xdfff) return false
  }
  return true
}
