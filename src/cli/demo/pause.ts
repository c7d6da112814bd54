import { setTimeout as sleep } from 'node:timers/promises'
import { CliError } from '../exit-codes.js'

/** @throws CliError as soon as the signal is aborted */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.max(0, ms), undefined, { signal })
  } catch (cause) {
    throw new CliError('interrupted', undefined, cause)
  }
}

/** @throws CliError when the signal is aborted */
export function expectGoing(signal: AbortSignal): void {
  if (signal.aborted) throw new CliError('interrupted')
}
