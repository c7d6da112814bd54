/** A broken invariant: the program is wrong, not the world. Stops the core that finds it. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Stays on in production: a core that cannot trust its own state must not go on. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** The default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`)
}

/** The value, where its absence would be a broken invariant. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new InvariantError(`missing ${what}`)
  return value
}
