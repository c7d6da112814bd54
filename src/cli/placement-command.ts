/** `placement`: which groups there are, on whose nodes, and which rows belong to which. */
import { Command } from 'commander'
import type { PlacementView } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions, parseCount } from './connection-options.js'
import { type Output, printable, table } from './output.js'

interface ShardOptions extends ConnectionOptions {
  readonly by: string
  readonly groups?: readonly number[]
}

export function placementCommand(output: Output): Command {
  const placement = new Command('placement').description(
    'show which groups there are and which rows they hold; spread a table over groups'
  )
  const verb = (name: string, about: string, isDefault = false) =>
    addConnectionOptions(placement.command(name, { isDefault }).description(about))
  verb('show', 'show groups and tables', true).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/placement', timeoutMs),
      renderPlacement
    )
  )
  verb('shard', 'spread the rows that a table will have; create the table after it')
    .argument('<table>', 'its name')
    .requiredOption('--by <column>', 'the shard key: rows are spread by a hash of it')
    .option('--groups <list>', 'such as 1,2,3; all but 0 by default', parseGroups)
    .action((name: string, { by, groups, ...options }: ShardOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => {
          const body = groups === undefined ? { shardKey: by } : { shardKey: by, groups }
          return client.change('PUT', tablePath(name), body, timeoutMs)
        },
        renderPlacement
      )
    )
  verb('unshard', 'forget that a dropped table was spread')
    .argument('<table>', 'its name')
    .action((name: string, options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.change('DELETE', tablePath(name), null, timeoutMs),
        renderPlacement
      )
    )
  return placement
}

const tablePath = (name: string): string => `/v1/placement/tables/${encodeURIComponent(name)}`

const parseGroups = (text: string): number[] => text.split(',').map(parseCount)

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
