import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Its owner's alone: keys, logs and databases live below it. */
const ownersMode = 0o700

/**
 * Creates the directory and its parents. Node's own recursive form never ends on file systems that
 * answer "no such file" for a directory that may not be created, as `/proc` does.
 *
 * @throws the file system's own error for the first part that cannot be created
 */
export async function makeDirectory(path: string): Promise<void> {
  const missing = await failureToMake(path)
  if (missing?.code === 'ENOENT' && dirname(path) !== path) {
    await makeDirectory(dirname(path))
    const again = await failureToMake(path)
    if (again !== null) throw again
  } else if (missing !== null) throw missing
}

async function failureToMake(path: string): Promise<NodeJS.ErrnoException | null> {
  try {
    await mkdir(path, { mode: ownersMode })
    return null
  } catch (error) {
    const failure = error as NodeJS.ErrnoException
    return failure.code === 'EEXIST' ? null : failure
  }
}
