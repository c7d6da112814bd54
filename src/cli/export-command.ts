/** `export`: a plain SQLite file of what a cluster, or a backup of one, holds. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { DEFAULT_GROUP, InvalidArgumentError, toGroupId } from '../core/index.js'
import { fetchBackup, verifyBackup } from './backup/backup-files.js'
import { fetchOptionsOf, rateOption } from './backup/fetch-options.js'
import { type DatabaseTools, loadTools } from './backup/load-tools.js'
import type { Manifest } from './backup/manifest.js'
import { makeWholeFile } from './backup/whole.js'
import { addConnectionOptions, type ConnectionOptions, connectionOf } from './connection-options.js'
import type { Output } from './output.js'

interface ExportOptions extends ConnectionOptions {
  readonly out: string
  readonly backup?: string
  readonly group?: number
  readonly bytesPerSecondMax?: number
}

/** As long as a backup. */
const timeoutMsDefault = 600_000

const help = `
The file has nothing of Skein's in it: any program that reads SQLite opens it. Rows of a table that
is spread over groups are put together; where their keys do not fit beside one another, export one
group each. A cluster is exported by way of a backup, at one moment.`

export function exportCommand(output: Output): Command {
  const command = new Command('export')
    .description('write a plain SQLite database of what a cluster, or a backup, holds')
    .requiredOption('--out <file>', 'the file to make')
    .option('--backup <directory>', 'a backup, in the place of a running cluster')
    .addOption(rateOption())
    .option('--group <n>', 'one group alone', parseGroup)
    .addHelpText('after', help)
  return addConnectionOptions(command, timeoutMsDefault).action((options: ExportOptions) =>
    exportTo(options, output)
  )
}

const parseGroup = (text: string): number => toGroupId(Number(text))

async function exportTo(options: ExportOptions, output: Output): Promise<void> {
  const tools = await loadTools()
  const made = await makeWholeFile(options.out, async (file, work) => {
    const { directory, manifest } = await sourceOf(options, work, { tools, output })
    await assemble({ file, directory, manifest, group: options.group }, tools)
    const tables = tools.checkPlain(file)
    return { out: options.out, clusterId: manifest.clusterId, takenAt: manifest.takenAt, tables }
  })
  if (options.json) return output.line(JSON.stringify(made))
  const taken = new Date(made.takenAt).toISOString()
  output.line(`${made.out}: ${made.tables} tables, as of ${taken}`)
}

async function sourceOf(
  options: ExportOptions,
  work: string,
  { tools, output }: { readonly tools: DatabaseTools; readonly output: Output }
): Promise<{ readonly directory: string; readonly manifest: Manifest }> {
  if (options.backup !== undefined) {
    const { manifest } = await verifyBackup(options.backup, tools)
    return { directory: options.backup, manifest }
  }
  const directory = join(work, 'backup')
  await mkdir(directory)
  const client = await connectionOf(options)
  try {
    const manifest = await fetchBackup(client, directory, fetchOptionsOf(options, output))
    return { directory, manifest }
  } finally {
    client.close()
  }
}

interface Assembly {
  readonly file: string
  readonly directory: string
  readonly manifest: Manifest
  /** Undefined: all of them. */
  readonly group: number | undefined
}

/** Group 0 holds every table that is not spread; the parts of the others come to it. */
async function assemble(
  { file, directory, manifest, group }: Assembly,
  tools: DatabaseTools
): Promise<void> {
  const first = group ?? DEFAULT_GROUP
  const copy = manifest.groups.find((one) => one.group === first)
  if (copy === undefined) throw new InvalidArgumentError('group', `${first} is not in the backup`)
  await copyFile(join(directory, copy.file), file)
  tools.makePlain(file)
  if (group !== undefined) return
  const others = manifest.groups
    .filter((one) => one.group !== first)
    .map((one) => ({ group: toGroupId(one.group), file: join(directory, one.file) }))
  const tables = manifest.tables.map(({ table, ranges }) => ({
    table,
    groups: [...new Set(ranges.map((range) => toGroupId(range.group)))]
  }))
  tools.mergeSpread(file, others, tables)
}
