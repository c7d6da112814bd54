/** `certs rotate` and `certs revoke`: what changes certificates that are in use. */
import { copyFile, readFile, rename } from 'node:fs/promises'
import { Command } from 'commander'
import { isNodeId, type PeerIdentity, type TellReport, type WallMs } from '../core/index.js'
import {
  authorityClusterName,
  inspectCertificate,
  installPair,
  issuedPeers,
  issuePeer,
  leafDaysDefault,
  type PeerFiles,
  peerFiles,
  type Revocation,
  revoke
} from '../network/index.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer,
  parseCount
} from './connection-options.js'
import { CliError, usageError } from './exit-codes.js'
import { repeatable } from './help.js'
import { type Output, table } from './output.js'
import { describeReport } from './tell-report.js'

interface RotateOptions extends ConnectionOptions {
  readonly dir: string
  readonly node: readonly string[]
  readonly days: number
  readonly certificate?: string
  readonly key?: string
  readonly to?: string
  readonly tell?: boolean
}

interface RevokeOptions extends ConnectionOptions {
  readonly dir: string
  readonly node?: string
  readonly client?: string
  readonly serial?: string
  readonly days: number
  readonly to?: string
  readonly tell?: boolean
}

/** A list that nobody renews counts all the same; the date is for other programs. */
const listDaysDefault = 365

export function rotateCommand(output: Output): Command {
  const command = new Command('rotate')
    .description('give nodes new certificates while they run; no connection is dropped')
    .requiredOption('--dir <directory>', 'the directory made by skein certs init')
    .addOption(repeatable('--node <id>', 'a node, again for others', 'all in the directory'))
    .option('--days <n>', 'how long the new ones are valid', parseCount, leafDaysDefault)
    .option('--certificate <file>', 'install this one, made elsewhere, instead of issuing')
    .option('--key <file>', 'its key')
    .option('--to <directory>', 'also put certificate and key there, under the same names')
    .option('--tell', 'ask all members through --admin to read their files now')
  return addConnectionOptions(command).action((options: RotateOptions) => rotate(options, output))
}

export function revokeCommand(output: Output): Command {
  const command = new Command('revoke')
    .description('take certificates back: their holders are cut off everywhere')
    .requiredOption('--dir <directory>', 'the directory made by skein certs init')
    .option('--node <id>', 'every certificate of a member node')
    .option('--client <name>', 'every certificate of a client')
    .option('--serial <hex>', 'one certificate, by its serial number')
    .option('--days <n>', 'when the list asks to be renewed', parseCount, listDaysDefault)
    .option('--to <file>', 'also put the list there: security.revocationFile of a node')
    .option('--tell', 'hand the list to all members through --admin')
  return addConnectionOptions(command).action((options: RevokeOptions) => take(options, output))
}

async function rotate(options: RotateOptions, output: Output): Promise<void> {
  const clusterName = await authorityClusterName(options.dir)
  const peers = await peersToRotate(options, clusterName)
  const rotations: Rotation[] = []
  for (const peer of peers) rotations.push(await rotationOf(peer, options))
  const rows: string[][] = []
  for (const { peer, files, serialBefore, hosts } of rotations) {
    await replace(peer, files, hosts, options)
    const after = await inspectCertificate(files.certificateFile)
    if (options.to !== undefined) await installPair(files, peerFiles(options.to, peer))
    const until = new Date(after.notAfter).toISOString().slice(0, 10)
    const name = peer.kind === 'node' ? peer.nodeId : peer.name
    rows.push([name, serialBefore ?? '-', after.serialNumber, until])
  }
  const told = options.tell ? await tellReload(options) : null
  if (options.json) {
    const rotated = rows.map(([node, from, to, until]) => ({ node, from, to, until }))
    output.line(JSON.stringify({ rotated, told }))
  } else {
    output.line(table(['node', 'serial before', 'serial now', 'until'], rows))
    if (told === null) output.note('nodes read their files within security.reloadIntervalMs')
    else output.line(`certificates read again: ${describeReport(told)}`)
  }
  if (told !== null && told.errors.length > 0) throw new CliError('not every member took its files')
}

interface Rotation {
  readonly peer: PeerIdentity
  readonly files: PeerFiles
  /** Null: the old certificate cannot be read, and need not be. */
  readonly serialBefore: string | null
  /** Further names of the old certificate, for the new one. */
  readonly hosts: readonly string[]
}

/** @throws CliError the names that the new certificate should have cannot be read */
async function rotationOf(peer: PeerIdentity, options: RotateOptions): Promise<Rotation> {
  const files = peerFiles(options.dir, peer)
  try {
    const { serialNumber, hosts } = await inspectCertificate(files.certificateFile)
    const further = hosts.filter((host) => !usualHosts.includes(host))
    return { peer, files, serialBefore: serialNumber, hosts: further }
  } catch (error) {
    if (options.certificate !== undefined) return { peer, files, serialBefore: null, hosts: [] }
    const how = `skein certs issue --dir ${options.dir}, with --host for each further name`
    const why = (error as Error).message
    throw new CliError(`${why}; nothing was rotated; issue that one anew: ${how}`)
  }
}

async function replace(
  peer: PeerIdentity,
  files: PeerFiles,
  hosts: readonly string[],
  options: RotateOptions
) {
  const { certificate, key, dir, days } = options
  if (certificate !== undefined && key !== undefined) {
    await installPair({ certificateFile: certificate, keyFile: key }, files)
    return
  }
  await issuePeer(dir, { peer, hosts }, { now: Date.now() as WallMs, days })
}

const usualHosts = ['localhost', '127.0.0.1', '::1', '0:0:0:0:0:0:0:1']

async function peersToRotate(options: RotateOptions, clusterName: string): Promise<PeerIdentity[]> {
  const { node, certificate, key, dir } = options
  if ((certificate === undefined) !== (key === undefined)) {
    throw usageError('--certificate and --key belong together')
  }
  if (certificate !== undefined && node.length !== 1) {
    throw usageError('name the one node that --certificate is for: --node ID')
  }
  if (node.length > 0) {
    return node.map((id) => ({ kind: 'node', nodeId: checkedId(id), clusterName }))
  }
  const peers = (await issuedPeers(dir, clusterName)).filter(({ kind }) => kind === 'node')
  if (peers.length > 0) return peers
  throw new CliError(`${dir} has no certificate of a node; run skein certs issue`)
}

async function tellReload(options: RotateOptions): Promise<TellReport> {
  const client = await connectionOf(options)
  try {
    const path = '/v1/security/certificates/reload'
    const outcome = await client.post(path, { everywhere: true }, options.timeoutMs)
    const { report } = expectAnswer(outcome, client.url) as { report: TellReport }
    return report
  } finally {
    client.close()
  }
}

async function take(options: RevokeOptions, output: Output): Promise<void> {
  const what = await whatToRevoke(options)
  const validity = { now: Date.now() as WallMs, days: options.days }
  const revocation = await revoke(options.dir, what, validity)
  if (options.to !== undefined) {
    const aside = `${options.to}.new`
    await copyFile(revocation.revocationFile, aside)
    await rename(aside, options.to)
  }
  const told = options.tell ? await tellList(revocation, options) : null
  if (options.json) output.line(JSON.stringify({ ...revocation, told }))
  else {
    for (const serial of revocation.serialNumbers) output.line(`revoked: ${serial}`)
    const { number, revoked, revocationFile } = revocation
    output.line(`list ${number}, ${revoked} certificates: ${revocationFile}`)
    if (told !== null) output.line(`told: ${describeReport(told)}`)
    else output.note('not told yet: --tell, or put the list where security.revocationFile says')
  }
  // Who is revoked by it cannot be told: it is cut off already.
  const untold = told?.errors.filter(({ nodeId }) => nodeId !== options.node) ?? []
  if (untold.length > 0) {
    throw new CliError('not every member has the list; those that come back learn it from others')
  }
}

async function whatToRevoke(options: RevokeOptions) {
  const { node, client, serial, dir } = options
  const named = [node, client, serial].filter((one) => one !== undefined)
  if (named.length !== 1) throw usageError('name one: --node ID, --client NAME or --serial HEX')
  if (serial !== undefined) {
    if (!/^[0-9a-fA-F]{1,40}$/.test(serial)) throw usageError(`--serial: ${serial} is not hex`)
    return { serialNumber: serial }
  }
  const clusterName = await authorityClusterName(dir)
  const id = checkedId(node ?? client ?? '')
  const peer: PeerIdentity =
    node === undefined
      ? { kind: 'client', name: id, clusterName }
      : { kind: 'node', nodeId: id, clusterName }
  return { peer }
}

async function tellList(revocation: Revocation, options: RevokeOptions): Promise<TellReport> {
  const client = await connectionOf(options)
  try {
    const list = await readFile(revocation.revocationFile, 'utf8')
    const outcome = await client.post('/v1/security/revocations', { list }, options.timeoutMs)
    return expectAnswer(outcome, client.url) as TellReport
  } finally {
    client.close()
  }
}

function checkedId(id: string) {
  if (isNodeId(id)) return id
  throw usageError(`${JSON.stringify(id)} must match [a-z0-9-]{1,63}`)
}
