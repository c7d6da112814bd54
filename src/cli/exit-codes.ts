export const ExitCodes = {
  Ok: 0,
  Failed: 1,
  Usage: 2,
  /** Of `skein node --supervised`: it wants to be started again (EX_TEMPFAIL of sysexits). */
  Restart: 75
} as const
export type ExitCode = (typeof ExitCodes)[keyof typeof ExitCodes]

/** What a command ends with when it cannot do what was asked; the message says what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode = ExitCodes.Failed, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.exitCode = exitCode
  }
}

export const usageError = (message: string): CliError => new CliError(message, ExitCodes.Usage)
