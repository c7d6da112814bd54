/** `placement`: which groups there are, on whose nodes, and which rows belong to which. */
import { Command } from 'commander'
import type { PlacementView, SchemaChangeView } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions, parseCount } from './connection-options.js'
import { type Output, printable, table } from './output.js'

interface ShardOptions extends ConnectionOptions {
  readonly by: string
  readonly groups?: readonly number[]
}

interface AbortOptions extends ConnectionOptions {
  readonly by: string
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
  placement.addCommand(changesCommand(output))
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

function changesCommand(output: Output): Command {
  const changes = new Command('changes').description(
    'show changes of the schema of spread tables, and how far they are; abort one'
  )
  const verb = (name: string, about: string, isDefault = false) =>
    addConnectionOptions(changes.command(name, { isDefault }).description(about))
  verb('list', 'show those under way, and the newest that ended', true).action(
    (options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.get('/v1/placement/schema_changes', timeoutMs),
        renderSchemaChanges
      )
  )
  verb('abort', 'end one that no group was asked to do yet; any other is refused')
    .argument('<change>', 'its id: 32 hex digits')
    .option('--by <name>', 'who, for the record', 'skein')
    .action((id: string, { by, ...options }: AbortOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.post(changePath(id), { by }, timeoutMs),
        (body) => renderSchemaChanges({ changes: [body] })
      )
    )
  return changes
}

const changePath = (id: string): string =>
  `/v1/placement/schema_changes/${encodeURIComponent(id)}/abort`

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

export function renderSchemaChanges(body: unknown): string {
  const { changes } = body as { readonly changes: readonly SchemaChangeView[] }
  if (changes.length === 0) return 'no change of the schema of a spread table is known'
  const rows = changes.map((change) => {
    const { id, table: name, status, groups, doneIn, reason, sql } = change
    const done = `${doneIn.length} of ${groups.length}`
    const next = status === 'stopped' || status === 'refused' ? groups[doneIn.length] : undefined
    const why = next === undefined ? reason : `group ${next}: ${reason}`
    return [id, name ?? 'all', status, done, why, sql.replace(/\s+/g, ' ').slice(0, 60)].map(
      printable
    )
  })
  return table(['change', 'table', 'status', 'groups', 'why', 'statement'], rows)
}

const hex = (hash: number): string => hash.toString(16).padStart(8, '0')
