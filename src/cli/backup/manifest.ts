/**
 * What a backup consists of: `manifest.json`, written last.
 *
 *   {format, clusterName, clusterId, clusterVersion, minVersion, software, node, takenAt, heldMs,
 *    groups: [{group, file, index, term, logTime, format, sizeBytes, sha256}], tables, checksum}
 *
 * `checksum` is the SHA-256 of the manifest's JSON without it and without blanks, its fields in the
 * order in which they stand.
 */
import { z } from 'zod'
import { type Backup, BackupDamagedError, BackupFormatError } from '../../core/index.js'

export const manifestFile = 'manifest.json'
/** Of the whole; another is not read. */
export const backupFormat = 1

const count = z.number().int().min(0)
const hex = (length: number) =>
  z
    .string()
    .length(length)
    .regex(/^[0-9a-f]*$/)
const groupNumber = z.number().int().min(0).max(0xffff_ffff)

const manifest = z.strictObject({
  format: z.literal(backupFormat),
  clusterName: z.string().min(1),
  clusterId: hex(32),
  clusterVersion: count,
  minVersion: count,
  software: z.string(),
  node: z.string(),
  takenAt: count,
  heldMs: count,
  groups: z
    .array(
      z.strictObject({
        group: groupNumber,
        file: z.string().regex(/^group-[0-9]{1,10}\.sqlite$/),
        index: count,
        term: count,
        logTime: count,
        format: count,
        sizeBytes: count,
        sha256: hex(64)
      })
    )
    .min(1),
  tables: z.array(
    z.strictObject({
      table: z.string(),
      shardKey: z.string(),
      ranges: z.array(z.strictObject({ from: count, group: groupNumber })).min(1)
    })
  )
})
export type Manifest = z.infer<typeof manifest>

type Hash = (text: string) => string

export function manifestOf({ id: _, groups, ...rest }: Backup): Manifest {
  const files = groups.map(({ group, ...of }) => ({ group, file: fileOf(group), ...of }))
  // Parsed, so that its fields stand in the order of the schema.
  return manifest.parse({ format: backupFormat, ...rest, groups: files })
}

/** Of its copy, in the backup's directory. */
export const fileOf = (group: number): string => `group-${group}.sqlite`

export const encodeManifest = (value: Manifest, sha256: Hash): string =>
  `${JSON.stringify({ ...value, checksum: sha256(JSON.stringify(value)) }, null, 2)}\n`

/**
 * @throws BackupFormatError made by later software
 * @throws BackupDamagedError naming the field, where one is wrong
 */
export function decodeManifest(text: string, sha256: Hash): Manifest {
  const { checksum, ...rest } = fieldsIn(text)
  if (typeof rest.format === 'number' && rest.format > backupFormat) {
    throw new BackupFormatError(
      `${manifestFile}: format is ${rest.format}; this software reads up to ${backupFormat}`,
      { details: { file: manifestFile, field: 'format' } }
    )
  }
  if (checksum !== sha256(JSON.stringify(rest))) throw damaged('checksum', 'it does not fit')
  const parsed = manifest.safeParse(rest)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw damaged(issue?.path.join('.') ?? '', issue?.message ?? 'is wrong')
}

function fieldsIn(text: string): Record<string, unknown> {
  try {
    const fields: unknown = JSON.parse(text)
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) {
      return fields as Record<string, unknown>
    }
  } catch (cause) {
    throw damaged('', 'it is no JSON', cause)
  }
  throw damaged('', 'it is no JSON object')
}

function damaged(field: string, why: string, cause?: unknown): BackupDamagedError {
  const where = field === '' ? manifestFile : `${manifestFile}: ${field}`
  return new BackupDamagedError(`${where}: ${why}`, {
    details: { file: manifestFile, field },
    ...(cause === undefined ? {} : { cause })
  })
}
