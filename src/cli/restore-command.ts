/** `restore`: the data directories of a new cluster that begins with a backup. */
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { localKeyPrefix, type SeededGroup } from '../consensus/index.js'
import { controlImageFile, seedImage } from '../control/index.js'
import {
  BackupFormatError,
  CONTROL_GROUP,
  compareText,
  type LogIndex,
  type Term,
  toGroupId,
  toNodeId,
  type WallMs
} from '../core/index.js'
import { transactionKeyPrefix } from '../failover/index.js'
import { verifyBackup } from './backup/backup-files.js'
import { type DatabaseTools, loadTools } from './backup/load-tools.js'
import { type Manifest, manifestFile } from './backup/manifest.js'
import {
  engineDirectory,
  type SeedContent,
  type SeedFile,
  seedCluster
} from './backup/seed-cluster.js'
import { repeatable } from './help.js'
import { renderSeeded } from './init-command.js'
import { type Output, printable } from './output.js'

interface RestoreOptions {
  readonly from: string
  readonly data: string
  readonly node: readonly string[]
  readonly cluster?: string
  readonly json?: boolean
}

const help = `
The backup is checked as by skein backup --verify first. The new cluster has an id of its own: nodes
of the old one cannot join it, nor its nodes the old one. It begins at the indexes of the backup.`

export function restoreCommand(output: Output): Command {
  return new Command('restore')
    .description('make the data directories of a new cluster that begins with a backup')
    .requiredOption('--from <directory>', 'the backup')
    .requiredOption('--data <directory>', 'where to make a directory for each node; new, or empty')
    .addOption(repeatable('--node <id>', 'a founding voter, again for others', 'none'))
    .option('--cluster <name>', 'name of the new cluster; as that of the backup when absent')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action((options: RestoreOptions) => restore(options, output))
}

const controlIndex = 1 as LogIndex
const controlTerm = 1 as Term

async function restore(options: RestoreOptions, output: Output): Promise<void> {
  const tools = await loadTools()
  const { from, data: directory, node: nodes } = options
  const { manifest } = await verifyBackup(from, tools)
  expectAllGroups(manifest)
  const { cluster: clusterName = manifest.clusterName } = options
  const target = { directory, clusterName, nodes, groups: manifest.groups.length }
  const { content, ...seeded } = await seedCluster(target, (work) =>
    contentOf({ from, work, nodes }, manifest, tools)
  )
  const told = { ...seeded, from: manifest.clusterId, groups: content.groups }
  if (options.json) return output.line(JSON.stringify(told))
  const taken = new Date(manifest.takenAt).toISOString()
  output.line(`backup of ${printable(manifest.clusterName)} (${manifest.clusterId}), ${taken}`)
  output.line(renderSeeded(seeded))
  output.note('next: give each node its directory as node.dataDirectory, and start all of them')
}

/** Groups are numbered from 0 without gaps, in a cluster and so in its backup. */
function expectAllGroups({ groups }: Manifest): void {
  const gap = groups.findIndex(({ group }, i) => group !== i)
  if (gap < 0) return
  const said = `${manifestFile}: groups.${gap}.group is ${groups[gap]?.group}, ${gap} is missing`
  throw new BackupFormatError(said, {
    details: { file: manifestFile, field: `groups.${gap}.group` }
  })
}

async function contentOf(
  { from, work, nodes }: { from: string; work: string; nodes: readonly string[] },
  manifest: Manifest,
  tools: DatabaseTools
): Promise<SeedContent> {
  const files: SeedFile[] = []
  const groups: SeededGroup[] = []
  for (const copy of manifest.groups) {
    // Nothing was ever written in it: it begins as every group does.
    if (copy.index === 0) continue
    const group = toGroupId(copy.group)
    const file = join(work, copy.file)
    await copyFile(join(from, copy.file), file)
    tools.dropSystemKeys(file, [transactionKeyPrefix, localKeyPrefix])
    files.push({ path: join(engineDirectory(group), tools.databaseFile), file })
    groups.push({ group, index: copy.index as LogIndex, term: copy.term as Term })
  }
  const image = join(work, 'image')
  await writeFile(image, controlImageOf(manifest, nodes))
  files.push({ path: controlImageFile, file: image })
  groups.push({ group: CONTROL_GROUP, index: controlIndex, term: controlTerm })
  return { files, groups }
}

/** Which rows lie where, and which formats there are; all else is the old cluster's. */
function controlImageOf(manifest: Manifest, nodes: readonly string[]): Uint8Array {
  const voters = nodes.map(toNodeId).sort(compareText)
  const { clusterVersion, minVersion, groups, tables } = manifest
  const placed = groups.map(({ group }) => ({ group: toGroupId(group), voters, leader: null }))
  const spread = tables.map(({ ranges, ...table }) => ({
    ...table,
    ranges: ranges.map(({ from, group }) => ({ from, group: toGroupId(group) }))
  }))
  return seedImage({
    index: controlIndex,
    now: Date.now() as WallMs,
    clusterVersion,
    minVersion,
    placement: { groups: placed, tables: spread }
  })
}
