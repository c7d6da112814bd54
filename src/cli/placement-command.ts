/** `placement`: which groups there are, on whose nodes, and which rows belong to which. */
import { Command } from 'commander'
import type { PlacementView } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, printable, table } from './output.js'

export const placementCommand = (output: Output): Command =>
  addConnectionOptions(
    new Command('placement').description('show which groups there are and which rows they hold')
  ).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/placement', timeoutMs),
      renderPlacement
    )
  )

export function renderPlacement(body: unknown): string {
  const { version, groups, tables } = body as PlacementView
  const placed = groups.map(({ group, voters, leader }) => [
    String(group),
    voters.map(printable).join(', '),
    printable(leader ?? '-')
  ])
  const spread = tables.flatMap(({ table: name, shardKey, ranges }) =>
    ranges.map(({ from, group }, i) => [
      i === 0 ? printable(name) : '',
      i === 0 ? printable(shardKey) : '',
      hex(from),
      hex((ranges[i + 1]?.from ?? 2 ** 32) - 1),
      String(group)
    ])
  )
  return [
    `placement version ${version}`,
    table(['group', 'voters', 'should lead'], placed),
    spread.length === 0
      ? 'no table is spread: all live in group 0'
      : table(['table', 'by', 'from hash', 'to', 'group'], spread)
  ].join('\n\n')
}

const hex = (hash: number): string => hash.toString(16).padStart(8, '0')
