import { Argument, Command, Option } from 'commander'
import { Consistencies, type Consistency, type JsonSqlValue } from '../core/index.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer,
  parseCount
} from './connection-options.js'
import { usageError } from './exit-codes.js'
import { repeatable } from './help.js'
import { type Output, printable, table } from './output.js'
import type { QueryAnswer } from './query-answer.js'
import { queryOverWire } from './wire-query.js'

interface QueryCommandOptions extends ConnectionOptions {
  readonly params?: string
  readonly consistency: Consistency
  readonly connect: readonly string[]
  readonly shardKey?: string
  readonly maxStalenessMs?: number
}

export function queryCommand(output: Output): Command {
  const command = new Command('query').description('run one SQL statement on the cluster')
  return addConnectionOptions(command)
    .addArgument(new Argument('<sql>', 'the statement'))
    .addOption(
      repeatable(
        '--connect <address>',
        'host:port of a node to ask as a client with a certificate, again for others',
        'the admin API is asked'
      )
    )
    .option('--params <json>', 'parameters: a JSON array, or an object for named ones')
    .option(
      '--shard-key <json>',
      'of the rows of sharded tables, where the text does not tell; through the admin API'
    )
    .addOption(
      new Option('--consistency <level>', 'of a read')
        .choices(Object.values(Consistencies))
        .default(Consistencies.Linearizable)
    )
    .option('--max-staleness-ms <ms>', 'of a local read: refuse what is older', parseCount)
    .action((sql: string, options: QueryCommandOptions) => query(sql, options, output))
}

async function query(sql: string, options: QueryCommandOptions, output: Output): Promise<void> {
  const params = parseParams(options.params)
  const { connect, consistency, maxStalenessMs } = options
  if (connect.length > 0) {
    const answer = await queryOverWire(
      connect,
      { sql, params, consistency, maxStalenessMs },
      options
    )
    output.line(options.json ? JSON.stringify(answer) : renderAnswer(answer))
    return
  }
  const client = await connectionOf(options)
  try {
    const { timeoutMs } = options
    const body = {
      sql,
      consistency,
      timeoutMs,
      ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }),
      ...(params === undefined ? {} : { params }),
      ...(options.shardKey === undefined
        ? {}
        : { shardKey: jsonOf('--shard-key', options.shardKey) })
    }
    const answer = expectAnswer(await client.post('/v1/query', body, timeoutMs + 1_000), client.url)
    if (options.json) output.line(JSON.stringify(answer))
    else output.line(renderAnswer(answer as QueryAnswer))
  } finally {
    client.close()
  }
}

export function renderAnswer(answer: QueryAnswer): string {
  if (answer.columns.length === 0) {
    return `${answer.rowsAffected} rows changed, index ${answer.index}, by ${answer.node}`
  }
  const rows = answer.rows.map((row) => row.map(cell))
  const { index, node, stalenessMs } = answer
  const age = stalenessMs === undefined ? '' : `, at most ${stalenessMs} ms old`
  const count = `(${rows.length} rows, index ${index}, by ${node}${age})`
  return `${table(answer.columns.map(printable), rows)}\n${count}`
}

export function parseParams(text: string | undefined): unknown {
  if (text === undefined) return undefined
  const value = jsonOf('--params', text)
  if (typeof value === 'object' && value !== null) return value
  throw usageError('--params must be a JSON array or object')
}

function jsonOf(option: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw usageError(`${option} is not JSON: ${(cause as Error).message}`)
  }
}

function cell(value: JsonSqlValue): string {
  if (value === null) return 'NULL'
  if (typeof value !== 'object') return printable(String(value))
  return '$int' in value ? value.$int : `x'${Buffer.from(value.$blob, 'base64').toString('hex')}'`
}
