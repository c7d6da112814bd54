import type { Disk } from '../../core/ports/disk.js'

/**
 * Writes a file of the data directory whole beside the old one, syncs, renames, and syncs the
 * directory: after a crash it is the old or the new one. Durable when it resolves.
 */
export async function replaceFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const aside = `${path}.new`
  const file = await disk.open(aside)
  try {
    await file.truncate(0)
    await file.write(0, [bytes])
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(aside, path)
  await disk.syncDirectory('')
}
