import { randomBytes } from 'node:crypto'
import { type Random, SplittableRandom } from '../core/index.js'

/** Seeded from the operating system: for jitter and choices, never for keys. */
export function nodeRandom(): Random {
  const seed = randomBytes(8)
  return new SplittableRandom(seed.readUInt32BE(0), seed.readUInt32BE(4))
}
