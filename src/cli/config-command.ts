/** `config`: what a node is configured as, and what of it is changed while it runs. */
import { Command } from 'commander'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { usageError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface ConfigAnswer {
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly reloadable: readonly string[]
}

export function configCommand(output: Output): Command {
  const config = new Command('config').description('show and change what one node is configured as')
  const get = config
    .command('get')
    .description('show the configuration in effect; * marks what may change while the node runs')
    .argument('[path]', 'a section, or a field such as routing.strategy')
  addConnectionOptions(get).action((path: string | undefined, options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/config', timeoutMs),
      (body) => renderConfig(body as ConfigAnswer, path)
    )
  )
  const set = config
    .command('set')
    .description('change fields of one node until it ends; its file stays as it is')
    .argument('<assignments...>', 'such as routing.queryTimeoutMs=2000; all or none are taken')
  addConnectionOptions(set).action((assignments: string[], options: ConnectionOptions) => {
    const changes = parseAssignments(assignments)
    const paths = assignments.map((text) => text.slice(0, text.indexOf('=')))
    return askNode(
      options,
      output,
      (client, timeoutMs) => client.change('PATCH', '/v1/config', changes, timeoutMs),
      (body) => paths.map((path) => renderConfig(body as ConfigAnswer, path)).join('\n')
    )
  })
  return config
}

/** @throws CliError usage */
export function parseAssignments(texts: readonly string[]) {
  const changes = new Map<string, Map<string, unknown>>()
  for (const text of texts) {
    const [, section = '', field = '', value = ''] = /^(\w+)\.(\w+)=(.*)$/s.exec(text) ?? []
    if (section === '') {
      throw usageError(`${JSON.stringify(text)} is not SECTION.FIELD=VALUE`)
    }
    const fields = changes.get(section) ?? new Map<string, unknown>()
    fields.set(field, parseValue(value))
    changes.set(section, fields)
  }
  return Object.fromEntries(
    [...changes].map(([section, fields]) => [section, Object.fromEntries(fields)])
  )
}

/** JSON where it is JSON, else text. */
function parseValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export function renderConfig({ config, reloadable }: ConfigAnswer, path?: string): string {
  const rows = Object.entries(config)
    .flatMap(([section, fields]) =>
      Object.entries(fields).map(([field, value]) => ({ path: `${section}.${field}`, value }))
    )
    .filter((row) => path === undefined || row.path === path || row.path.startsWith(`${path}.`))
    .map((row) => [
      `${row.path}${reloadable.includes(row.path) ? ' *' : ''}`,
      printable(typeof row.value === 'string' ? row.value : JSON.stringify(row.value))
    ])
  if (rows.length > 0) return table(['field', 'value'], rows).split('\n').slice(1).join('\n')
  throw usageError(`${path} is no section or field that this node has a value for`)
}
