/** `init`: the data directories of a cluster that begins with a database that is there already. */
import { join } from 'node:path'
import { Command } from 'commander'
import { DEFAULT_GROUP, type LogIndex, type Term } from '../core/index.js'
import type { AdoptedDatabase } from '../engine/index.js'
import { loadTools } from './backup/load-tools.js'
import { engineDirectory, type SeededCluster, seedCluster } from './backup/seed-cluster.js'
import { parseCount } from './connection-options.js'
import { repeatable } from './help.js'
import { type Output, printable } from './output.js'

interface InitOptions {
  readonly from: string
  readonly data: string
  readonly node: readonly string[]
  readonly cluster: string
  readonly groups: number
  readonly json?: boolean
}

const help = `
The database is copied, journal included, and only read; programs may have it open. It becomes
group 0 of the new cluster, the same on every node. What cannot be replicated is refused by name,
and nothing is made then.`

export function initCommand(output: Output): Command {
  return new Command('init')
    .description('make the data directories of a cluster that begins with an SQLite database')
    .requiredOption('--from <file>', 'the database')
    .requiredOption('--data <directory>', 'where to make a directory for each node; new, or empty')
    .addOption(repeatable('--node <id>', 'a founding voter, again for others', 'none'))
    .option('--cluster <name>', 'name of the cluster', 'skein')
    .option('--groups <n>', 'data groups; those above 0 begin empty', parseCount, 1)
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action((options: InitOptions) => init(options, output))
}

/** Of group 0 in a cluster that begins with a database. */
export const adoptedIndex = 1 as LogIndex
const adoptedTerm = 1 as Term

async function init(options: InitOptions, output: Output): Promise<void> {
  const { adoptDatabase, databaseFile } = await loadTools()
  const target = {
    directory: options.data,
    clusterName: options.cluster,
    nodes: options.node,
    groups: options.groups
  }
  const { content, ...seeded } = await seedCluster(target, async (work) => {
    const file = join(work, databaseFile)
    const adopted = await adoptDatabase(options.from, file, adoptedIndex)
    return {
      groups: [{ group: DEFAULT_GROUP, index: adoptedIndex, term: adoptedTerm }],
      files: [{ path: join(engineDirectory(DEFAULT_GROUP), databaseFile), file }],
      adopted
    }
  })
  const { adopted } = content
  if (options.json) return output.line(JSON.stringify({ ...seeded, adopted }))
  output.line(renderAdopted(options.from, adopted))
  output.line(renderSeeded(seeded))
  output.note(nextStep)
}

const nextStep =
  'next: give each node its directory as node.dataDirectory, and start all of them; ' +
  'certificates are made as ever (skein certs)'

function renderAdopted(from: string, { tables, sizeBytes, warnings }: AdoptedDatabase): string {
  return [
    `${from}: ${tables} tables, ${sizeBytes} bytes, are group 0`,
    ...warnings.map((warning) => `warning: ${printable(warning)}`)
  ].join('\n')
}

export function renderSeeded({ clusterId, clusterName, nodes }: SeededCluster): string {
  return [
    `cluster ${clusterName} (${clusterId})`,
    ...nodes.map(({ node, directory }) => `${node}: ${directory}`)
  ].join('\n')
}
