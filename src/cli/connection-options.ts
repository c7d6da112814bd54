import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ErrorFacts } from '../core/index.js'
import { AdminClient, type AdminClientTls, type Outcome } from './admin-client.js'
import { CliError, usageError } from './exit-codes.js'
import { connectionOption } from './help.js'

export interface ConnectionOptions {
  readonly admin: string
  readonly tokenFile?: string
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly timeoutMs: number
  readonly json?: boolean
}

const timeoutMsDefault = 10_000

export function addConnectionOptions(command: Command, timeoutMs = timeoutMsDefault): Command {
  const options = [
    connectionOption('--admin <url>', 'admin API of any node')
      .env('SKEIN_ADMIN_URL')
      .default('http://127.0.0.1:7947'),
    connectionOption('--token-file <file>', 'file with the bearer token').env('SKEIN_TOKEN_FILE'),
    connectionOption('--ca-file <file>', 'authority of the cluster, for an https URL').env(
      'SKEIN_CA_FILE'
    ),
    connectionOption('--cert-file <file>', 'client certificate, in the place of a token').env(
      'SKEIN_CERT_FILE'
    ),
    connectionOption('--key-file <file>', 'key of the certificate').env('SKEIN_KEY_FILE'),
    connectionOption('--timeout-ms <ms>', 'how long to wait for the answer')
      .argParser(parseCount)
      .default(timeoutMs)
  ]
  for (const option of options) command.addOption(option)
  return command.option('--json', 'print JSON')
}

export async function connectionOf(options: ConnectionOptions): Promise<AdminClient> {
  const protocol = URL.canParse(options.admin) ? new URL(options.admin).protocol : ''
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw usageError(`--admin must be an http or https URL, got ${options.admin}`)
  }
  const token =
    options.tokenFile === undefined ? null : await readText('--token-file', options.tokenFile)
  const tls = protocol === 'https:' ? { tls: await readTls(options) } : {}
  return new AdminClient({ url: options.admin, token, socketsMax: 2, ...tls })
}

async function readTls({ caFile, certFile, keyFile }: ConnectionOptions): Promise<AdminClientTls> {
  if (caFile === undefined) throw usageError('an https URL needs --ca-file')
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw usageError('--cert-file and --key-file belong together')
  }
  const ca = await readText('--ca-file', caFile)
  if (certFile === undefined || keyFile === undefined) return { ca }
  return {
    ca,
    cert: await readText('--cert-file', certFile),
    key: await readText('--key-file', keyFile)
  }
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

async function readText(option: string, file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw usageError(`${option}: ${(cause as Error).message}`)
  }
}

function hintFor(error: ErrorFacts): string {
  if (error.code === 'ERR_SKEIN_UNAUTHENTICATED') return '; name the token with --token-file FILE'
  if (error.code === 'ERR_SKEIN_INDETERMINATE') return '; read back before sending it again'
  return error.retryable ? '; nothing was done, try again' : ''
}
