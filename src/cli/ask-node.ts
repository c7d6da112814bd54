import type { AdminClient, Outcome } from './admin-client.js'
import { type ConnectionOptions, connectionOf, expectAnswer } from './connection-options.js'
import type { Output } from './output.js'

/** Asks one node one thing; its answer is printed as it is with `--json`, else as `show` says. */
export async function askNode(
  options: ConnectionOptions,
  output: Output,
  ask: (client: AdminClient, timeoutMs: number) => Promise<Outcome>,
  show: (body: unknown) => string
): Promise<void> {
  const client = await connectionOf(options)
  try {
    const body = expectAnswer(await ask(client, options.timeoutMs), client.url)
    output.line(options.json ? JSON.stringify(body) : show(body))
  } finally {
    client.close()
  }
}

/** Times in tables: whole milliseconds, or a dash for what is not known. */
export const milliseconds = (value: number | null | undefined): string =>
  typeof value === 'number' ? `${round(value, value < 10 ? 2 : 1)} ms` : '-'

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

/** Without trailing zeros; a dash for what is not known. */
export const figure = (value: number | null | undefined, digits = 3): string =>
  typeof value === 'number' ? String(round(value, digits)) : '-'

const round = (value: number, digits: number): number => {
  const factor = 10 ** digits
  return Math.round(value * factor) / factor
}
