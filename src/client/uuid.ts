/** A UUID of version 7, RFC 9562 section 5.7: 48 bits of time, the rest random but six bits. */
import { assert } from '../core/assert.js'
import type { WallMs } from '../core/ids.js'

export const uuidRandomBytes = 10

export function uuidV7(wallNow: WallMs, random: Uint8Array): string {
  assert(random.length === uuidRandomBytes, `${random.length} random bytes`)
  const time = Math.max(0, Math.floor(wallNow))
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(time / 2 ** (8 * (5 - i))) % 256
  bytes.set(random, 6)
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const cuts = [0, 8, 12, 16, 20, 32]
  return cuts
    .slice(1)
    .map((to, i) => hex.slice(cuts[i], to))
    .join('-')
}
