import { Command } from 'commander'
import { isNodeId, type PeerIdentity, type WallMs } from '../core/index.js'
import {
  authorityClusterName,
  authorityDaysDefault,
  createAuthority,
  issuePeer,
  leafDaysDefault
} from '../network/index.js'
import { makeDirectory } from '../runtime/index.js'
import { revokeCommand, rotateCommand } from './certs-change-commands.js'
import { parseCount } from './connection-options.js'
import { usageError } from './exit-codes.js'
import { repeatable } from './help.js'
import type { Output } from './output.js'

interface InitOptions {
  readonly dir: string
  readonly cluster: string
  readonly days: number
  readonly json?: boolean
}

interface IssueOptions {
  readonly dir: string
  readonly node?: string
  readonly client?: string
  readonly host: readonly string[]
  readonly days: number
  readonly json?: boolean
}

export function certsCommand(output: Output): Command {
  const certs = new Command('certs').description(
    'make, replace and revoke the certificates of a cluster'
  )
  certs
    .command('init')
    .description('make the authority, the gossip key and the admin token')
    .requiredOption('--dir <directory>', 'where to put them; keep ca.key off the nodes')
    .option('--cluster <name>', 'name of the cluster, in every certificate', 'skein')
    .option('--days <n>', 'how long the authority is valid', parseCount, authorityDaysDefault)
    .option('--json', 'print JSON')
    .action((options: InitOptions) => init(options, output))
  certs
    .command('issue')
    .description('issue a certificate to a node or a client')
    .requiredOption('--dir <directory>', 'the directory made by skein certs init')
    .option('--node <id>', 'a member node')
    .option('--client <name>', 'a client of the cluster')
    .addOption(
      repeatable('--host <name>', 'a DNS name or IP address of the node, again for others', 'none')
    )
    .option('--days <n>', 'how long it is valid', parseCount, leafDaysDefault)
    .option('--json', 'print JSON')
    .action((options: IssueOptions) => issue(options, output))
  certs.addCommand(rotateCommand(output))
  certs.addCommand(revokeCommand(output))
  return certs
}

async function init(options: InitOptions, output: Output): Promise<void> {
  const validity = { now: Date.now() as WallMs, days: options.days }
  await makeDirectory(options.dir).catch((cause: Error) => {
    throw usageError(`--dir: ${options.dir} cannot be made: ${cause.message}`)
  })
  const files = await createAuthority(options.dir, options.cluster, validity)
  if (options.json) return output.line(JSON.stringify(files))
  output.line(`authority of cluster ${options.cluster}: ${files.caFile}`)
  output.line(`gossip key: ${files.gossipKeyFile}`)
  output.line(`admin token: ${files.tokenFile}`)
  output.note(`next: skein certs issue --dir ${options.dir} --node ID`)
}

async function issue(options: IssueOptions, output: Output): Promise<void> {
  const { node, client } = options
  if ((node === undefined) === (client === undefined)) {
    throw usageError('name who it is for: either --node ID or --client NAME')
  }
  const name = node ?? client ?? ''
  if (!isNodeId(name)) throw usageError(`${JSON.stringify(name)} must match [a-z0-9-]{1,63}`)
  const clusterName = await authorityClusterName(options.dir)
  const peer: PeerIdentity =
    node === undefined
      ? { kind: 'client', name, clusterName }
      : { kind: 'node', nodeId: name, clusterName }
  const validity = { now: Date.now() as WallMs, days: options.days }
  const files = await issuePeer(options.dir, { peer, hosts: options.host }, validity)
  if (options.json) return output.line(JSON.stringify(files))
  output.line(`certificate: ${files.certificateFile}`)
  output.line(`key: ${files.keyFile}`)
}
