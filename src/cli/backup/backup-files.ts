/** The directory of a backup: its copies, and the manifest that makes it one. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { supportedVersions } from '../../control/index.js'
import {
  type Backup,
  BackupDamagedError,
  BackupFormatError,
  backupPartBytesMax,
  factsOf,
  InvalidArgumentError
} from '../../core/index.js'
import type { CheckedCopy } from '../../engine/index.js'
import type { AdminClient } from '../admin-client.js'
import { expectAnswer } from '../connection-options.js'
import type { DatabaseTools } from './load-tools.js'
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  manifestFile,
  manifestOf
} from './manifest.js'
import { Pace } from './pace.js'

type GroupFile = Manifest['groups'][number]

export interface VerifiedBackup {
  readonly manifest: Manifest
  /** As SQLite finds each copy, in the order of the manifest. */
  readonly copies: readonly CheckedCopy[]
}

export interface FetchOptions {
  /** For the node to make its copies. */
  readonly timeoutMs: number
  /** Undefined: as fast as it goes. */
  readonly bytesPerSecondMax: number | undefined
  tell(line: string): void
}

/** Slower than this a node might take for forgotten. */
export const backupBytesPerSecondMin = 1_024

/**
 * Has a node take a backup, and brings it into `directory`, which is there and empty. Nothing is
 * synced.
 */
export async function fetchBackup(
  client: AdminClient,
  directory: string,
  { timeoutMs, bytesPerSecondMax, tell }: FetchOptions
): Promise<Manifest> {
  const asked = await client.post('/v1/backups', { timeoutMs }, timeoutMs)
  const backup = expectAnswer(asked, client.url) as Backup
  try {
    const manifest = manifestOf(backup)
    const bytesTotal = manifest.groups.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const pace = new Pace({ bytesPerSecondMax, bytesTotal, tell })
    for (const copy of manifest.groups) {
      await fetchCopy({ client, pace, id: backup.id }, copy, directory)
    }
    const text = encodeManifest(manifest, sha256Of)
    await writeFile(join(directory, manifestFile), text, { mode: 0o600 })
    return manifest
  } finally {
    await client.change('DELETE', `/v1/backups/${backup.id}`, null, partTimeoutMs)
  }
}

/** @throws BackupDamagedError naming the file; BackupFormatError */
export async function verifyBackup(
  directory: string,
  tools: DatabaseTools
): Promise<VerifiedBackup> {
  const manifest = await readManifest(directory)
  expectReadable(manifest, tools.snapshotFormat)
  const copies: CheckedCopy[] = []
  for (const copy of manifest.groups) {
    await verifyBytes(join(directory, copy.file), copy)
    copies.push(verifyDatabase(join(directory, copy.file), copy, tools))
  }
  return { manifest, copies }
}

/** @throws BackupFormatError made by later software, or by an engine of another kind */
function expectReadable({ clusterVersion, groups }: Manifest, formatKnown: number): void {
  const refuse = (field: string, found: number, known: number) => {
    const said = `${manifestFile}: ${field} is ${found}; this software reads ${known}`
    throw new BackupFormatError(said, { details: { file: manifestFile, field } })
  }
  const { max } = supportedVersions
  if (clusterVersion > max) refuse('clusterVersion', clusterVersion, max)
  for (const [i, { format }] of groups.entries()) {
    if (format !== formatKnown) refuse(`groups.${i}.format`, format, formatKnown)
  }
}

/** @throws InvalidArgumentError it is no backup, or one that was not finished */
export async function readManifest(directory: string): Promise<Manifest> {
  const file = join(directory, manifestFile)
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new InvalidArgumentError('directory', `${directory} is no backup: ${cause.message}`)
  })
  return decodeManifest(text, sha256Of)
}

/** For one part; a node that reads it from its disk needs far less. */
const partTimeoutMs = 30_000

interface Source {
  readonly client: AdminClient
  readonly pace: Pace
  readonly id: string
}

async function fetchCopy(
  { client, pace, id }: Source,
  copy: GroupFile,
  directory: string
): Promise<void> {
  const path = `/v1/backups/${id}/groups/${copy.group}`
  const hash = createHash('sha256')
  const handle = await open(join(directory, copy.file), 'wx', 0o600)
  try {
    for (let offset = 0; offset < copy.sizeBytes; ) {
      const length = Math.min(backupPartBytesMax, pace.partBytesMax, copy.sizeBytes - offset)
      const part = `${path}?offset=${offset}&length=${length}`
      const { bytes, outcome } = await client.bytes(part, partTimeoutMs)
      if (bytes === null) expectAnswer(outcome, client.url)
      if (bytes?.length !== length) throw damaged(copy.file, `a part of ${length} bytes is short`)
      await handle.write(bytes, 0, length, offset)
      hash.update(bytes)
      offset += length
      await pace.note(length)
    }
  } finally {
    await handle.close()
  }
  if (hash.digest('hex') !== copy.sha256) throw damaged(copy.file, 'its SHA-256 does not fit')
}

async function verifyBytes(path: string, { file, sizeBytes, sha256 }: GroupFile): Promise<void> {
  const found = await stat(path).catch((cause: Error) => {
    throw damaged(file, cause.message)
  })
  if (found.size !== sizeBytes) throw damaged(file, `${found.size} of ${sizeBytes} bytes`)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  if (hash.digest('hex') !== sha256) throw damaged(file, 'its SHA-256 does not fit')
}

function verifyDatabase(path: string, { file, index }: GroupFile, tools: DatabaseTools) {
  let checked: CheckedCopy
  try {
    checked = tools.checkCopy(path)
  } catch (error) {
    throw damaged(file, factsOf(error).message)
  }
  if (checked.index === index) return checked
  throw damaged(file, `it has applied ${checked.index}, the manifest says ${index}`)
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')

const damaged = (file: string, why: string): BackupDamagedError =>
  new BackupDamagedError(`${file}: ${why}`, { details: { file } })
