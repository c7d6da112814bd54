/** `upgrade`: which software the nodes run, and raising the cluster version when all are new. */
import { Command } from 'commander'
import type { ClusterVersionView } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions, parseCount } from './connection-options.js'
import { type Output, printable, table } from './output.js'

interface FinalizeOptions extends ConnectionOptions {
  readonly to?: number
}

export function upgradeCommand(output: Output): Command {
  const upgrade = new Command('upgrade').description(
    'show what the nodes’ software speaks; finalize an upgrade for good'
  )
  const verb = (name: string, about: string) =>
    addConnectionOptions(upgrade.command(name).description(about))
  verb('status', 'show the cluster version and what each node speaks').action(
    (options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.get('/v1/cluster_version', timeoutMs),
        renderVersions
      )
  )
  verb('finalize', 'raise the cluster version; older software cannot come back after it')
    .option('--to <version>', 'to this one; the highest that all speak by default', parseCount)
    .action(({ to, ...options }: FinalizeOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) =>
          client.post('/v1/cluster_version/finalize', to === undefined ? {} : { to }, timeoutMs),
        renderVersions
      )
    )
  verb('forget', 'forget the software of a node that will not come back')
    .argument('<node>', 'its id')
    .action((node: string, options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.post('/v1/cluster_version/forget', { node }, timeoutMs),
        renderVersions
      )
    )
  return upgrade
}

export function renderVersions(body: unknown): string {
  const { clusterVersion, minVersion, highestCommon, nodes, silent } = body as ClusterVersionView
  const head = `cluster version ${clusterVersion}; logs may hold formats from ${minVersion}`
  const rows = [
    ...nodes.map(({ node, min, max, software, runtime }) => [
      printable(node),
      printable(software),
      printable(runtime ?? '-'),
      min === max ? String(max) : `${min} to ${max}`
    ]),
    ...silent.map((node) => [printable(node), '-', '-', 'has not said yet'])
  ]
  const spoken = table(['node', 'software', 'runs on', 'speaks'], rows)
  return [head, spoken, nextStep(clusterVersion, highestCommon)].join('\n\n')
}

function nextStep(clusterVersion: number, highestCommon: number | null): string {
  if (highestCommon === null) return 'not every member has said what it speaks'
  return highestCommon > clusterVersion
    ? `every member speaks ${highestCommon}: skein upgrade finalize raises the version for good`
    : 'nothing to finalize'
}
