import { closeSync, fsyncSync, openSync } from 'node:fs'

/** The names of new files must survive a power failure too. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
