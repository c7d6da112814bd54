/**
 * Seeded randomness for jitter, probe order and choices; never for keys. Children made by `split`
 * are independent of their parent's later draws, so a draw added in one room moves no other.
 */
export interface Random {
  /** 0…2^32-1 */
  nextUint32(): number
  /** 0…boundExclusive-1; the bound is 1…2^32. */
  nextInt(boundExclusive: number): number
  /** 0 ≤ x < 1 */
  nextFloat(): number
  split(purpose: string): Random
}
