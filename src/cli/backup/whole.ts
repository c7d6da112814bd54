/**
 * What is made by one command is there whole or not at all: it is written under a name of its own
 * beside the target, synced, and renamed. What a crash leaves is called `….incomplete-…`, and may
 * be removed.
 */
import { mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { TargetNotEmptyError } from '../../core/index.js'
import { makeDirectory } from '../../runtime/index.js'

/**
 * @throws TargetNotEmptyError the target is a file, or a directory with something in it
 */
export async function makeWhole<T>(
  target: string,
  fill: (directory: string) => Promise<T>
): Promise<T> {
  const directory = resolve(target)
  await expectVacant(directory)
  await makeDirectory(dirname(directory))
  const staging = await mkdtemp(`${directory}.incomplete-`)
  try {
    const made = await fill(staging)
    await syncTree(staging)
    await rename(staging, directory)
    await syncPath(dirname(directory))
    return made
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    throw error
  }
}

/** The same for one file: `fill` makes it, in a directory of its own. */
export async function makeWholeFile<T>(
  target: string,
  fill: (file: string, directory: string) => Promise<T>
): Promise<T> {
  const file = resolve(target)
  if ((await kindOf(file)) !== 'nothing') throw notEmpty(file, 'it exists')
  await makeDirectory(dirname(file))
  const staging = await mkdtemp(`${file}.incomplete-`)
  try {
    const made = join(staging, 'file')
    const told = await fill(made, staging)
    await syncPath(made)
    await rename(made, file)
    await syncPath(dirname(file))
    return told
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** @throws TargetNotEmptyError */
export async function expectVacant(directory: string): Promise<void> {
  const kind = await kindOf(directory)
  if (kind === 'nothing') return
  if (kind === 'file') throw notEmpty(directory, 'it is a file')
  const [first] = await readdir(directory)
  if (first !== undefined) throw notEmpty(directory, `it holds ${first}`)
}

function notEmpty(target: string, why: string): TargetNotEmptyError {
  return new TargetNotEmptyError(`${target}: ${why}; name a new one`, { details: { target } })
}

async function kindOf(path: string): Promise<'nothing' | 'directory' | 'file'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'file'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'nothing'
    throw error
  }
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else await syncPath(path)
  }
  await syncPath(directory)
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
