/** `reachability`: whether one node reaches the others, by stream and by datagrams, both ways. */
import { Command } from 'commander'
import {
  type DatagramWay,
  type Reachability,
  type ReachabilityFinding,
  ReachabilityFindings
} from '../core/index.js'
import { askNode, milliseconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

export function reachabilityCommand(output: Output): Command {
  const command = new Command('reachability')
    .description('test whether one node reaches the others, with status 1 when a way is not well')
    .argument('[ids...]', 'these members; without any: all')
  return addConnectionOptions(command).action(async (ids: string[], options: ConnectionOptions) => {
    let isWell = true
    await askNode(
      options,
      output,
      async (client, timeoutMs) => {
        const body = ids.length === 0 ? {} : { nodes: ids }
        const outcome = await client.post('/v1/health/reachability', body, timeoutMs)
        if (outcome.kind === 'answer') {
          const { nodes } = outcome.body as { readonly nodes: readonly Reachability[] }
          isWell = nodes.every(({ finding }) => finding === ReachabilityFindings.Reachable)
        }
        return outcome
      },
      renderReachability
    )
    if (!isWell) throw new CliError('not every way is well')
  })
}

const meanings: Readonly<Record<ReachabilityFinding, string>> = {
  reachable: 'ok',
  noStream: 'no answer over TCP',
  noDatagrams: 'no UDP, both ways',
  noDatagramsOut: 'no UDP to it',
  noDatagramsBack: 'no UDP from it',
  noFullDatagrams: 'no large UDP packets (MTU)',
  lossy: 'UDP packets are lost',
  datagramsUntested: 'UDP not tested'
}

export function renderReachability(body: unknown): string {
  const { nodes } = body as { readonly nodes: readonly Reachability[] }
  if (nodes.length === 0) return 'there is no other member'
  const rows = nodes.map(({ nodeId, address, finding, roundTripMs, error, out, back }) => [
    printable(nodeId),
    printable(address),
    error === null ? milliseconds(roundTripMs) : printable(error.code),
    wayText(out),
    wayText(back),
    meanings[finding]
  ])
  return table(['node', 'address', 'stream', 'to it', 'from it', ''], rows)
}

/** What arrived of the small datagrams, and of the large ones. */
const wayText = (way: DatagramWay | null): string =>
  way === null
    ? '-'
    : [way.small, way.full].map(({ sent, received }) => `${received}/${sent}`).join(' ')
