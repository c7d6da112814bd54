/** `route` and `explain`: which node would execute a statement, and everything that says so. */
import { Argument, Command, Option } from 'commander'
import { Consistencies, type RouteDecision, type RouteExplanation } from '../core/index.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'
import { parseParams } from './query-command.js'

interface RouteCommandOptions extends ConnectionOptions {
  readonly params?: string
  readonly consistency: string
  readonly priority: string
  readonly key?: string
  readonly session?: string
}

export const routeCommand = (output: Output): Command =>
  routing('route', 'tell which node would execute a statement, and why', '/v1/route_query', {
    output,
    show: (body) => output.line(renderDecision(body as RouteDecision))
  })

export const explainCommand = (output: Output): Command =>
  routing('explain', 'tell every node’s scores, or why it was left out', '/v1/explain_route', {
    output,
    show(body) {
      const explanation = body as RouteExplanation
      output.line(renderExplanation(explanation))
      if (explanation.decision === null) throw new CliError('no node can take it now')
    }
  })

interface Shown {
  readonly output: Output
  show(body: unknown): void
}

function routing(name: string, about: string, path: string, { output, show }: Shown): Command {
  return addConnectionOptions(new Command(name).description(about))
    .addArgument(new Argument('<sql>', 'the statement; it is not executed'))
    .option('--params <json>', 'parameters: a JSON array, or an object for named ones')
    .addOption(
      new Option('--consistency <level>', 'of a read')
        .choices(Object.values(Consistencies))
        .default(Consistencies.Linearizable)
    )
    .addOption(
      new Option('--priority <priority>', 'of the query')
        .choices(['critical', 'high', 'normal', 'low'])
        .default('normal')
    )
    .option('--key <key>', 'what the query is about; default: what the statement tells')
    .option('--session <session>', 'whose queries prefer one node')
    .action(async (sql: string, options: RouteCommandOptions) => {
      const client = await connectionOf(options)
      try {
        const answer = await client.post(path, bodyOf(sql, options), options.timeoutMs)
        const body = expectAnswer(answer, client.url)
        if (options.json) output.line(JSON.stringify(body))
        else show(body)
      } finally {
        client.close()
      }
    })
}

function bodyOf(sql: string, options: RouteCommandOptions): object {
  const { consistency, priority, key, session } = options
  const params = parseParams(options.params)
  return {
    sql,
    consistency,
    priority,
    ...(params === undefined ? {} : { params }),
    ...(key === undefined ? {} : { key }),
    ...(session === undefined ? {} : { session })
  }
}

export function renderDecision(decision: RouteDecision): string {
  const { node, group, kind, consistency, term, key, strategy, reason } = decision
  return table(
    ['node', 'group', 'term', 'kind', 'consistency', 'strategy', 'key', 'reason'],
    [
      [
        node,
        String(group),
        term === null ? '-' : String(term),
        kind,
        consistency,
        strategy,
        key ?? '-',
        reason
      ].map(printable)
    ]
  )
}

export function renderExplanation(explanation: RouteExplanation): string {
  const { decision, refusal, candidates, notes } = explanation
  const head =
    decision === null ? printable(`none: ${refusal ?? 'no node'}`) : renderDecision(decision)
  const rows = candidates.map(({ node, exclusion, score }) => [
    node,
    node === decision?.node ? 'chosen' : exclusion === null ? 'eligible' : 'left out',
    score === null ? '-' : score.toFixed(3),
    printable(exclusion ?? '')
  ])
  const nodes = table(['node', 'verdict', 'score', 'why'], rows)
  const factors = candidates.flatMap(({ node, factors: own }) =>
    own.map(({ name, raw, normalized, weight }) => [
      node,
      printable(name),
      figure(raw),
      figure(normalized),
      figure(weight)
    ])
  )
  const parts = [head, nodes]
  if (factors.length > 0) {
    parts.push(table(['node', 'factor', 'raw', 'normalised', 'weight'], factors))
  }
  if (notes.length > 0) parts.push(notes.map((note) => printable(note)).join('\n'))
  return parts.join('\n\n')
}

const figure = (value: number | null): string =>
  value === null ? '-' : String(Math.round(value * 1_000) / 1_000)
