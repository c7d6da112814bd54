import { InvalidArgumentError } from 'commander'

/** Reads a whole number within bounds. */
export function countOption(
  min: number,
  max: number = Number.MAX_SAFE_INTEGER
): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`must be an integer from ${min} to ${max}`)
  }
}
