import type { Disk } from '../../core/ports/disk.js'

/** Puts a file in the place of another: after a crash it is the old one or the new one, whole. */
export async function replaceFile(
  disk: Disk,
  where: { readonly directory: string; readonly file: string },
  bytes: Uint8Array
): Promise<void> {
  const { directory, file } = where
  const temporary = `${file}.new`
  const opened = await disk.open(temporary)
  try {
    await opened.truncate(0)
    await opened.write(0, [bytes])
    await opened.sync()
  } finally {
    await opened.close()
  }
  await disk.rename(temporary, file)
  await disk.syncDirectory(directory)
}
