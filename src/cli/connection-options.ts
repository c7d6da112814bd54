import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { ErrorFacts } from '../core/index.js'
import { AdminClient, type Outcome } from './admin-client.js'
import { CliError, usageError } from './exit-codes.js'

export interface ConnectionOptions {
  readonly admin: string
  readonly tokenFile?: string
  readonly timeoutMs: number
  readonly json?: boolean
}

const timeoutMsDefault = 10_000

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--admin <url>', 'admin API of any node')
        .env('SKEIN_ADMIN_URL')
        .default('http://127.0.0.1:7947')
    )
    .addOption(
      new Option('--token-file <file>', 'file with the bearer token').env('SKEIN_TOKEN_FILE')
    )
    .option('--timeout-ms <ms>', 'how long to wait for the answer', parseCount, timeoutMsDefault)
    .option('--json', 'print JSON')
}

export async function connectionOf(options: ConnectionOptions): Promise<AdminClient> {
  if (!URL.canParse(options.admin) || new URL(options.admin).protocol !== 'http:') {
    throw usageError(`--admin must be an http URL, got ${options.admin}`)
  }
  const token = options.tokenFile === undefined ? null : await readToken(options.tokenFile)
  return new AdminClient({ url: options.admin, token, socketsMax: 2 })
}

/** The body of an answer. @throws CliError saying what happened and what to try */
export function expectAnswer(outcome: Outcome, url: string): unknown {
  switch (outcome.kind) {
    case 'answer':
      return outcome.body
    case 'refused':
      throw new CliError(`${outcome.error.code}: ${outcome.error.message}${hintFor(outcome.error)}`)
    case 'notSent':
      throw new CliError(
        `no node answers at ${url} (${outcome.reason}); does it run? Name another: --admin URL`
      )
    case 'unknown':
      throw new CliError(
        `the connection to ${url} was lost (${outcome.reason}); a write may have been executed: ` +
          'read back before sending it again'
      )
  }
}

export function parseCount(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw usageError(`${JSON.stringify(text)} is not a whole number from 1`)
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw usageError(`--token-file: ${(cause as Error).message}`)
  }
}

function hintFor(error: ErrorFacts): string {
  if (error.code === 'ERR_SKEIN_UNAUTHENTICATED') return '; name the token with --token-file FILE'
  if (error.code === 'ERR_SKEIN_INDETERMINATE') return '; read back before sending it again'
  return error.retryable ? '; nothing was done, try again' : ''
}
