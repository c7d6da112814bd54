import type { Random } from '../../../../src/core/index.js'

/** Draws 0…count-1, the number i with a weight of 1 / (i + 1)^exponent. */
export function zipf(random: Random, count: number, exponent: number): () => number {
  const sums: number[] = []
  let sum = 0
  for (let i = 0; i < count; i++) {
    sum += 1 / (i + 1) ** exponent
    sums.push(sum)
  }
  return () => {
    const drawn = random.nextFloat() * sum
    const found = sums.findIndex((upTo) => drawn < upTo)
    return found < 0 ? count - 1 : found
  }
}
