/**
 * How two states relate, by whose changes each has in it: Parker's version vectors. An origin that
 * a vector does not name has count zero.
 */
import { InvalidArgumentError } from '../../core/errors.js'
import { compareText, isNodeId, type NodeId } from '../../core/ids.js'
import type { VersionVector } from '../../core/state-sync.js'
import { versionOriginsMax } from './messages.js'

export const VersionOrders = {
  Equal: 'equal',
  /** The second has everything that the first has, and more. */
  Older: 'older',
  Newer: 'newer',
  /** Each has what the other has not. */
  Concurrent: 'concurrent'
} as const
export type VersionOrder = (typeof VersionOrders)[keyof typeof VersionOrders]

/** As it travels: sorted by origin, without zeros. */
export interface WireVersion {
  readonly origin: NodeId
  readonly version: number
}

/** What `a` is beside `b`. */
export function compareVersions(a: VersionVector, b: VersionVector): VersionOrder {
  const isBehind = (one: VersionVector, other: VersionVector) =>
    Object.entries(other).some(([origin, count]) => countOf(one, origin) < count)
  const isOlder = isBehind(a, b)
  const isNewer = isBehind(b, a)
  if (isOlder) return isNewer ? VersionOrders.Concurrent : VersionOrders.Older
  return isNewer ? VersionOrders.Newer : VersionOrders.Equal
}

/** The least vector that is behind neither. */
export function joinVersions(a: VersionVector, b: VersionVector): VersionVector {
  const joined: Record<string, number> = { ...a }
  for (const [origin, count] of Object.entries(b)) {
    joined[origin] = Math.max(countOf(joined, origin), count)
  }
  return joined
}

/** One change more by `origin`. */
export const advanced = (version: VersionVector, origin: NodeId): VersionVector => ({
  ...version,
  [origin]: countOf(version, origin) + 1
})

/** Changes in all. */
export const totalOf = (version: VersionVector): number =>
  Object.values(version).reduce((sum, count) => sum + count, 0)

/** @throws InvalidArgumentError what a service says is no version */
export function toWireVersion(version: VersionVector): readonly WireVersion[] {
  const entries = Object.entries(version).filter(([, count]) => count !== 0)
  if (entries.length > versionOriginsMax) {
    throw new InvalidArgumentError('version', `names more than ${versionOriginsMax} origins`)
  }
  for (const [origin, count] of entries) {
    if (isNodeId(origin) && Number.isSafeInteger(count) && count > 0) continue
    throw new InvalidArgumentError('version', 'must be counts of changes by node id')
  }
  return entries
    .map(([origin, count]) => ({ origin: origin as NodeId, version: count }))
    .sort((a, b) => compareText(a.origin, b.origin))
}

export const fromWireVersion = (entries: readonly WireVersion[]): VersionVector =>
  Object.fromEntries(entries.map(({ origin, version }) => [origin, version]))

const countOf = (version: VersionVector, origin: string): number =>
  Object.hasOwn(version, origin) ? (version[origin] as number) : 0
