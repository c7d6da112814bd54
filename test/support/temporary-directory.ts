import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Removed when the test ends. */
export async function temporaryDirectory(t: {
  teardown(handler: () => unknown): void
}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-test-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}
