import { Option } from 'commander'
import { countOption } from '../count-option.js'
import type { Output } from '../output.js'
import { backupBytesPerSecondMin, type FetchOptions } from './backup-files.js'

/** For every command that brings copies from a node. */
export const rateOption = (): Option =>
  new Option(
    '--bytes-per-second-max <n>',
    'read the copies no faster, for the sake of what the cluster has to do'
  ).argParser(countOption(backupBytesPerSecondMin))

export const fetchOptionsOf = (
  options: { readonly timeoutMs: number; readonly bytesPerSecondMax?: number },
  output: Output
): FetchOptions => ({
  timeoutMs: options.timeoutMs,
  bytesPerSecondMax: options.bytesPerSecondMax,
  tell: (line) => output.note(line)
})
