/** `strategy` and `hotspots`: how a node routes, and where queries crowd. */
import { Command } from 'commander'
import type { Hotspot, NodeEjection, NodeLoad } from '../core/index.js'
import { askNode, figure, seconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, printable, table } from './output.js'

export function strategyCommand(output: Output): Command {
  const command = new Command('strategy')
    .description('show how one node chooses among nodes; with a name: choose so from now on')
    .argument('[name]', 'such as round-robin; without it the strategies are listed')
  return addConnectionOptions(command).action(
    (name: string | undefined, options: ConnectionOptions) =>
      name === undefined
        ? askNode(
            options,
            output,
            (client, timeoutMs) => client.get('/v1/routing?decisions=0', timeoutMs),
            renderRouting
          )
        : askNode(
            options,
            output,
            (client, timeoutMs) =>
              client.change('PUT', '/v1/routing_strategy', { strategy: name }, timeoutMs),
            renderChange
          )
  )
}

export function hotspotsCommand(output: Output): Command {
  const command = new Command('hotspots').description(
    'show hot nodes and keys, and what each executes'
  )
  return addConnectionOptions(command).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/hotspots', timeoutMs),
      renderHotspots
    )
  )
}

interface Routing {
  readonly strategy: string
  readonly strategies: readonly string[]
  readonly ejections: readonly NodeEjection[]
}

export function renderRouting(body: unknown): string {
  const { strategy, strategies, ejections } = body as Routing
  const names = strategies.includes(strategy) ? strategies : [strategy, ...strategies]
  const chosen = names.map((name) => `${name === strategy ? '*' : ' '} ${printable(name)}`)
  if (ejections.length === 0) return chosen.join('\n')
  const rows = ejections.map(({ nodeId, forMs, times, reason }) =>
    [nodeId, seconds(forMs), String(times), reason].map(printable)
  )
  return `${chosen.join('\n')}\n\n${table(['not asked', 'for', 'times', 'reason'], rows)}`
}

function renderChange(body: unknown): string {
  const { strategy, previous } = body as { readonly strategy: string; readonly previous: string }
  return printable(`${strategy} from now on, ${previous} before`)
}

export function renderHotspots(body: unknown): string {
  const { current, loads } = body as {
    readonly current: readonly Hotspot[]
    readonly loads: readonly NodeLoad[]
  }
  const hot = current.map((hotspot) => {
    const rates = [figure(hotspot.ratePerSecond, 0), figure(hotspot.windowPerSecond, 0)]
    return hotspot.scope === 'node'
      ? ['node', printable(hotspot.node), ...rates, ratesOf(hotspot.keys, ({ key }) => key)]
      : ['key', printable(hotspot.key), ...rates, ratesOf(hotspot.nodes, ({ node }) => node)]
  })
  const nodes = loads.map(({ node, ratePerSecond, windowPerSecond, leaderPerSecond, keys }) => [
    printable(node),
    figure(ratePerSecond, 0),
    figure(windowPerSecond, 0),
    figure(leaderPerSecond, 0),
    ratesOf(keys, ({ key }) => key)
  ])
  return [
    hot.length === 0 ? 'nothing is hot' : table(['hot', '', 'per s', 'window', 'most'], hot),
    nodes.length === 0
      ? 'no node is busy'
      : table(['node', 'per s', 'window', 'leader only', 'busiest keys'], nodes)
  ].join('\n\n')
}

const namesShown = 3

const ratesOf = <T extends { readonly ratePerSecond: number }>(
  rates: readonly T[],
  nameOf: (rate: T) => string
): string =>
  rates
    .slice(0, namesShown)
    .map((rate) => printable(`${nameOf(rate)} (${figure(rate.ratePerSecond, 0)})`))
    .join(', ')
