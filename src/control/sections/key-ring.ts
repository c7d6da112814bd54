/**
 * Which gossip keys the cluster has, by their ids, and which of them seals: what a node's own ring
 * is held against when it has slept through a change.
 *
 * Ids alone, never keys, sealed or not. The log, its snapshots and backups outlive a rotation and
 * leave the node's directory; a key that was removed because it leaked must not be found in them,
 * and a key to seal the keys with would have to be handed around in its turn. Keys travel over
 * mutual TLS and lie in `security/keyring` of each node (docs/security.md).
 *
 * 1. The higher version counts, and of two equal ones the greater name of the writer, as among the
 *    members themselves.
 */
import { compareText } from '../../core/ids.js'
import { list, nullable, oneOf, struct, type TypeOf, text, u64 } from '../../wire/codec.js'
import { wallMs } from '../change-command.js'
import type { ControlSection } from '../section.js'

/** As many as a ring may hold. */
export const ringKeysMax = 8

/** 8 lower-case hex digits. */
const keyId = text(8)

const ring = {
  version: u64,
  /** Who made this version; empty: it comes from the key files. */
  writer: text(63),
  primary: keyId,
  keys: list(keyId, ringKeysMax)
} as const

const change = struct(ring)
export type KeyRingChange = TypeOf<typeof change>

const state = struct({ ring: nullable(struct({ ...ring, recordedAt: wallMs })) })
export type KeyRingState = TypeOf<typeof state>

const answer = struct({ refusal: nullable(oneOf(['older', 'malformed'])) })
export type KeyRingAnswer = TypeOf<typeof answer>

export const keyRingSection: ControlSection<KeyRingState, KeyRingChange, KeyRingAnswer> = {
  name: 'key-ring',
  state,
  change,
  answer,
  initial: () => ({ ring: null }),
  apply(before, change, { now }) {
    if (!isWhole(change)) return { state: before, answer: { refusal: 'malformed' } }
    if (!isNewerRing(change, before.ring)) return { state: before, answer: { refusal: 'older' } }
    return { state: { ring: { ...change, recordedAt: now } }, answer: { refusal: null } }
  }
}

/** Whether a node's own ring is behind what the cluster has. */
export const isNewerRing = (
  ring: Pick<KeyRingChange, 'version' | 'writer'>,
  than: Pick<KeyRingChange, 'version' | 'writer'> | null
): boolean =>
  than === null ||
  ring.version > than.version ||
  (ring.version === than.version && compareText(ring.writer, than.writer) > 0)

const isWhole = ({ primary, keys }: KeyRingChange): boolean =>
  keys.every((key) => /^[0-9a-f]{8}$/.test(key)) &&
  new Set(keys).size === keys.length &&
  keys.includes(primary)
