import { CliError, ExitCodes } from '../exit-codes.js'

export type DatabaseTools = typeof import('../../engine/index.js')

/** The engine's package is an optional one, loaded by who works on databases. */
export async function loadTools(): Promise<DatabaseTools> {
  try {
    return await import('../../engine/index.js')
  } catch (cause) {
    const message = 'the SQLite engine cannot be loaded; run npm install better-sqlite3'
    throw new CliError(message, ExitCodes.Failed, cause)
  }
}
