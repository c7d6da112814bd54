/** Strikes of several families that overlap: what each of them survives alone, all at once. */
import { type SplittableRandom, shuffle } from '../../src/core/index.js'
import { holdMs, type NemesisKind, type Strike, strikeIntervalMs } from './nemesis.js'

/** Of one family there is one strike at a time: what heals one heals them all. */
export const families = ['kill', 'pause', 'network', 'handover', 'members'] as const
export type Family = (typeof families)[number]

export function familyOf(kind: NemesisKind): Family {
  switch (kind) {
    case 'kill_leader':
    case 'kill_follower':
    case 'kill_minority':
    case 'kill_majority':
    case 'kill_all':
      return 'kill'
    case 'pause_leader':
    case 'pause_follower':
    case 'pause_majority':
    case 'pause_all':
      return 'pause'
    case 'handover':
      return 'handover'
    case 'member_change':
      return 'members'
    case 'partition_leader':
    case 'partition_halves':
    case 'partition_bridge':
    case 'partition_ring':
    case 'one_way':
      return 'network'
  }
}

/** All of a wave have begun by then, and none of them has ended. */
const waveSpreadMs = 500

/**
 * Waves of `atOnce` strikes, or of as many families as there are, each of a family of its own. Of
 * each family each kind comes once before any comes again.
 */
export function planWaves(
  random: SplittableRandom,
  kinds: readonly NemesisKind[],
  { durationMs, atOnce }: { readonly durationMs: number; readonly atOnce: number }
): Strike[] {
  const decks = new Map<Family, NemesisKind[]>()
  const present = families.filter((family) => kinds.some((kind) => familyOf(kind) === family))
  const draw = (family: Family): NemesisKind[] => {
    const left = decks.get(family) ?? []
    const ofFamily = kinds.filter((kind) => familyOf(kind) === family)
    const deck = left.length > 0 ? left : shuffle(random, ofFamily)
    decks.set(family, deck.slice(1))
    return deck.slice(0, 1)
  }
  const strikes: Strike[] = []
  for (let beginMs = strikeIntervalMs / 5; beginMs < durationMs; beginMs += strikeIntervalMs) {
    const wave = shuffle(random, [...present])
      .slice(0, atOnce)
      .flatMap(draw)
    const begins = wave.map(() => beginMs + random.nextInt(waveSpreadMs)).sort((a, b) => a - b)
    for (const [i, kind] of wave.entries()) {
      const hold = holdMs.min + random.nextInt(holdMs.max - holdMs.min)
      const name = `${kind} ${strikes.length}`
      strikes.push({ kind, atMs: begins[i] ?? beginMs, holdMs: hold, name })
    }
  }
  return strikes
}
