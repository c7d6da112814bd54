/**
 * When an open connection is replaced by a new one, so that certificates are judged again though
 * nobody restarts. The end that dialled opens the new one; the other end waits longer, and then
 * asks it to by retiring the old one.
 */
import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'

/** The dialler's share of the age, at least; the rest is drawn. */
const earliest = 0.75
/** The acceptor's patience beyond the age. */
const patience = 1.25
/** After a change of trust the dialler goes first, spread over this time. */
export const promptSpreadMs = 2_000
const promptPatienceMs = 15_000
/** Before a replacement that failed is tried again. */
export const renewPauseMs = 10_000

export interface LinkAge {
  readonly isDialer: boolean
  /** Zero: never. */
  readonly linkAgeMaxMs: number
  readonly random: Random
}

/** Of a connection that opens now. */
export function renewAtOf(now: MonotonicMs, { isDialer, linkAgeMaxMs, random }: LinkAge) {
  if (linkAgeMaxMs === 0) return NEVER
  const share = isDialer ? earliest + (1 - earliest) * random.nextFloat() : patience
  return after(now, share * linkAgeMaxMs)
}

/** Of a connection whose certificates are to be judged again soon. */
export function promptRenewAtOf(now: MonotonicMs, { isDialer, random }: LinkAge): MonotonicMs {
  return after(now, isDialer ? random.nextFloat() * promptSpreadMs : promptPatienceMs)
}
