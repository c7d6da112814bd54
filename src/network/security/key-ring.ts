/**
 * The group's gossip keys as one value that changes whole, and what may follow what: install → use
 * → remove (Serf's key manager is the model). All verbs are idempotent.
 *
 * 1. A ring has its primary among its keys; the primary is never removed.
 * 2. A key is used only when it is installed.
 * 3. While a rotation is under way (`rotating`) no other key is installed or used.
 * 4. Of two rings the one with the higher version counts; each change makes it higher.
 *
 * Owner's duties: change it under the lock that a majority of the members granted, durably before
 * it is put to use; `use` only when all members have the key, `remove` when none seals with it.
 */
import { compareText } from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { keyIdOf } from './datagram-header.js'
import { gossipKeysMax } from './datagram-keyring.js'
import type { CarriedKeyRing, KeyRingState } from './messages.js'

export interface KeyRing extends CarriedKeyRing {
  /** In the order of `keys`. */
  readonly ids: readonly number[]
}

export type RingChange =
  | { readonly kind: 'changed'; readonly ring: KeyRing }
  /** It was so already. */
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly reason: string }

/** Rings of key files are all as old as one another. */
const firstVersion = 1

export const ringOfKeys = (crypto: Crypto, keys: readonly Uint8Array[]): KeyRing => {
  const ids = keys.map((key) => keyIdOf(crypto, key))
  const primary = ids[0] as number
  return { version: firstVersion, writer: '', primary, rotating: null, keys: [...keys], ids }
}

/** Null: no ring that was ever written; its sender lies or errs. */
export function ringOfCarried(crypto: Crypto, carried: CarriedKeyRing): KeyRing | null {
  const ids = carried.keys.map((key) => keyIdOf(crypto, key))
  const isWhole = carried.keys.every((key) => key.length === 32) && new Set(ids).size === ids.length
  return isWhole && ids.includes(carried.primary) ? { ...carried, ids } : null
}

export const stateOf = ({ version, primary, rotating, ids }: KeyRing): KeyRingState => ({
  version,
  primary,
  rotating,
  keys: ids
})

/** The primary first, as the datagrams' sealer wants them. */
export const keysInOrder = ({ keys, ids, primary }: KeyRing): readonly Uint8Array[] => [
  ...keys.filter((_, i) => ids[i] === primary),
  ...keys.filter((_, i) => ids[i] !== primary)
]

type Versioned = Pick<KeyRing, 'version' | 'writer'>

export const isNewer = (ring: Versioned, than: Versioned): boolean =>
  ring.version > than.version ||
  (ring.version === than.version && compareText(ring.writer, than.writer) > 0)

export function install(
  ring: KeyRing,
  key: { readonly id: number; readonly bytes: Uint8Array; readonly rotates: boolean },
  writer: string
): RingChange {
  const { rotating, ids, keys } = ring
  if (rotating !== null && rotating !== key.id) {
    return refused(`a rotation to ${keyName(rotating)} is under way; finish it, or remove that key`)
  }
  const isInstalled = ids.includes(key.id)
  const rotates = key.rotates && ring.primary !== key.id ? key.id : rotating
  if (isInstalled && rotates === rotating) return { kind: 'same' }
  if (!isInstalled && keys.length >= gossipKeysMax) {
    return refused(`there are ${keys.length} keys already; remove one`)
  }
  const added = isInstalled ? ring : { keys: [...keys, key.bytes], ids: [...ids, key.id] }
  return changed({ ...ring, ...added, rotating: rotates }, writer)
}

export function use(ring: KeyRing, id: number, writer: string): RingChange {
  if (ring.primary === id) return { kind: 'same' }
  if (!ring.ids.includes(id)) return refused(`key ${keyName(id)} is not installed`)
  if (ring.rotating !== null && ring.rotating !== id) {
    return refused(`a rotation to ${keyName(ring.rotating)} is under way`)
  }
  return changed({ ...ring, primary: id }, writer)
}

export function remove(ring: KeyRing, id: number, writer: string): RingChange {
  if (ring.primary === id) return refused(`key ${keyName(id)} is the primary; use another first`)
  if (!ring.ids.includes(id)) return { kind: 'same' }
  const keys = ring.keys.filter((_, i) => ring.ids[i] !== id)
  const ids = ring.ids.filter((other) => other !== id)
  const isOver = ring.rotating === id || (ring.rotating === ring.primary && ids.length === 1)
  return changed({ ...ring, keys, ids, rotating: isOver ? null : ring.rotating }, writer)
}

export const keyName = (id: number): string => id.toString(16).padStart(8, '0')

/** Null: not the name of a key. */
export const keyIdOfName = (name: string): number | null =>
  /^[0-9a-f]{8}$/.test(name) ? Number.parseInt(name, 16) : null

const refused = (reason: string): RingChange => ({ kind: 'refused', reason })

const changed = (ring: KeyRing, writer: string): RingChange => ({
  kind: 'changed',
  ring: { ...ring, version: ring.version + 1, writer }
})
