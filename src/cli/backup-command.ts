/** `backup`: takes one from a running cluster, or looks whether one is whole. */
import { Command } from 'commander'
import { fetchBackup, type VerifiedBackup, verifyBackup } from './backup/backup-files.js'
import { fetchOptionsOf, rateOption } from './backup/fetch-options.js'
import { loadTools } from './backup/load-tools.js'
import type { Manifest } from './backup/manifest.js'
import { makeWhole } from './backup/whole.js'
import { addConnectionOptions, type ConnectionOptions, connectionOf } from './connection-options.js'
import { usageError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface BackupOptions extends ConnectionOptions {
  readonly out?: string
  readonly verify?: string
  readonly bytesPerSecondMax?: number
}

/** Copying takes as long as reading every database once. */
const timeoutMsDefault = 600_000

const help = `
A backup holds every group at one moment: a transaction over several groups is whole in it, or not
there. The node that is asked must vote in the cluster; it needs room for a copy of its databases.`

export function backupCommand(output: Output): Command {
  const command = new Command('backup')
    .description('copy all data of a running cluster into a directory, or check such a copy')
    .option('--out <directory>', 'where to make the backup; new, or empty')
    .addOption(rateOption())
    .option('--verify <directory>', 'check every hash of a backup, and every database in it')
    .addHelpText('after', help)
  return addConnectionOptions(command, timeoutMsDefault).action((options: BackupOptions) =>
    backup(options, output)
  )
}

async function backup(options: BackupOptions, output: Output): Promise<void> {
  const { out, verify } = options
  if ((out === undefined) === (verify === undefined)) {
    throw usageError('say what to do: either --out DIRECTORY or --verify DIRECTORY')
  }
  if (verify !== undefined) {
    const verified = await verifyBackup(verify, await loadTools())
    return output.line(options.json ? JSON.stringify(verified) : renderVerified(verified))
  }
  if (out !== undefined) await take(out, options, output)
}

async function take(out: string, options: BackupOptions, output: Output): Promise<void> {
  const client = await connectionOf(options)
  try {
    const manifest = await makeWhole(out, (directory) =>
      fetchBackup(client, directory, fetchOptionsOf(options, output))
    )
    output.line(options.json ? JSON.stringify(manifest) : renderManifest(manifest))
    output.note(`next: skein backup --verify ${out}`)
  } finally {
    client.close()
  }
}

export function renderManifest({ groups, ...of }: Manifest): string {
  const rows = groups.map(({ group, file, index, sizeBytes, sha256 }) => [
    String(group),
    file,
    String(index),
    String(sizeBytes),
    sha256.slice(0, 16)
  ])
  return [
    `cluster ${printable(of.clusterName)} (${of.clusterId}), version ${of.clusterVersion}`,
    `taken ${new Date(of.takenAt).toISOString()} by ${printable(of.node)}, ` +
      `decisions held for ${of.heldMs} ms`,
    '',
    table(['group', 'file', 'index', 'bytes', 'sha256'], rows)
  ].join('\n')
}

function renderVerified({ manifest, copies }: VerifiedBackup): string {
  const tables = copies.reduce((sum, copy) => sum + copy.tables, 0)
  return [
    renderManifest(manifest),
    '',
    `whole: ${copies.length} databases with ${tables} tables, every hash fits`
  ].join('\n')
}
