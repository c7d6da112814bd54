/** `metadata`: what nodes say of themselves. */
import { Command } from 'commander'
import type { MetadataEntry } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, printable, table } from './output.js'

export function metadataCommand(output: Output): Command {
  const metadata = new Command('metadata').description(
    'show and change what nodes say of themselves'
  )
  const get = metadata
    .command('get')
    .description('show it of every member as one node knows it, or of one member')
    .argument('[node]', 'the member')
  addConnectionOptions(get).action((node: string | undefined, options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get(pathOf(node), timeoutMs),
      (body) => renderMetadata(node === undefined ? body : { nodes: [body] })
    )
  )
  const set = metadata
    .command('set')
    .description('say something of the node that is asked')
    .argument('<key>', '1 to 128 bytes')
    .argument('<value>', 'at most 512 bytes')
  addConnectionOptions(set).action((key: string, value: string, options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.change('PUT', pathOf(key), { value }, timeoutMs),
      (body) => renderEntry(body as MetadataEntry)
    )
  )
  const remove = metadata
    .command('delete')
    .description('take back what the node that is asked said of itself')
    .argument('<key>')
  addConnectionOptions(remove).action((key: string, options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.change('DELETE', pathOf(key), null, timeoutMs),
      (body) => ((body as { deleted: boolean }).deleted ? 'deleted' : 'there was none')
    )
  )
  return metadata
}

const pathOf = (name: string | undefined): string =>
  name === undefined ? '/v1/metadata' : `/v1/metadata/${encodeURIComponent(name)}`

export function renderMetadata(body: unknown): string {
  const { nodes } = body as {
    readonly nodes: readonly { nodeId: string; entries: readonly MetadataEntry[] }[]
  }
  const rows = nodes.flatMap(({ nodeId, entries }) =>
    entries.map(({ key, value, version }) => [nodeId, key, value, String(version)].map(printable))
  )
  return rows.length === 0 ? 'nothing is said' : table(['node', 'key', 'value', 'version'], rows)
}

const renderEntry = ({ key, value, version }: MetadataEntry): string =>
  printable(`${key} = ${value}, version ${version}`)
