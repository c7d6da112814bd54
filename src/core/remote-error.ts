import { type ErrorCode, type ErrorFacts, InternalError, SkeinError } from './errors.js'

/**
 * An error that another node or thread answered with. Its code and facts are the remote error's, so
 * callers switch on `code` and need not know where it was thrown.
 */
export class RemoteError extends SkeinError {
  readonly code: ErrorCode
  override readonly retryable: boolean

  constructor(facts: ErrorFacts) {
    super(facts.message, facts)
    this.code = facts.code
    this.retryable = facts.retryable
  }
}

/** The facts of anything that was thrown; what is not ours becomes ERR_SKEIN_INTERNAL. */
export function factsOf(thrown: unknown): ErrorFacts {
  if (thrown instanceof SkeinError) return thrown.toFacts()
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new InternalError(message).toFacts()
}

/** Whether `thrown` is an error of the house with this code, made here or remotely. */
export const hasCode = (thrown: unknown, code: ErrorCode): thrown is SkeinError =>
  thrown instanceof SkeinError && thrown.code === code
