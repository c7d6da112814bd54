/** `members`, `health` and `metrics`: one question to one node, and its answer as a table. */
import { Command } from 'commander'
import type { HealthReport, MetricsSnapshot } from '../core/index.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

export const membersCommand = (output: Output): Command =>
  view('members', 'show every member, as one node sees it', '/v1/members', output, renderMembers)

export const healthCommand = (output: Output): Command =>
  view(
    'health',
    'show every check of one node; status 1 when one fails',
    '/v1/health',
    output,
    (body) => {
      const report = body as HealthReport
      return { text: renderHealth(report), failed: !report.healthy }
    }
  )

export function metricsCommand(output: Output): Command {
  const render = (body: unknown) => ({
    text: renderMetrics(body as MetricsSnapshot),
    failed: false
  })
  return view(
    'metrics',
    'show every metric of one node, by category',
    '/v1/metrics',
    output,
    render
  )
}

interface Rendered {
  readonly text: string
  readonly failed: boolean
}

function view(
  name: string,
  about: string,
  path: string,
  output: Output,
  render: (body: unknown) => Rendered
): Command {
  return addConnectionOptions(new Command(name).description(about)).action(
    async (options: ConnectionOptions) => {
      const client = await connectionOf(options)
      try {
        const body = expectAnswer(await client.get(path, options.timeoutMs), client.url)
        const { text, failed } = render(body)
        output.line(options.json ? JSON.stringify(body) : text)
        if (failed) throw new CliError('not every check is ok')
      } finally {
        client.close()
      }
    }
  )
}

interface MemberRow {
  readonly nodeId: string
  readonly address: string
  readonly state: string
  readonly lifecycle: string
  readonly health: string
  readonly datacenter: string
  readonly rack: string
  readonly incarnation: number
  readonly lastSeenAgoMs: number
}

export function renderMembers(body: unknown): Rendered {
  const { members } = body as { members: readonly MemberRow[] }
  const rows = members.map((member) => [
    ...[member.nodeId, member.address, member.state, member.lifecycle, member.health].map(
      printable
    ),
    printable([member.datacenter, member.rack].filter((place) => place !== '').join('/')),
    String(member.incarnation),
    `${(member.lastSeenAgoMs / 1_000).toFixed(1)} s`
  ])
  const head = ['node', 'address', 'state', 'lifecycle', 'health', 'place', 'incarnation', 'seen']
  return { text: table(head, rows), failed: false }
}

export const renderHealth = ({ healthy, ready, checks }: HealthReport): string =>
  [
    `${healthy ? 'healthy' : 'not healthy'}, ${ready ? 'ready' : 'not ready'}`,
    '',
    table(
      ['check', '', 'detail'],
      checks.map(({ name, ok, detail }) => [name, ok ? 'ok' : 'FAILED', printable(detail)])
    )
  ].join('\n')

export const renderMetrics = (metrics: MetricsSnapshot): string =>
  Object.entries(metrics)
    .map(([category, values]) => {
      const rows = Object.entries(values).map(([name, value]) => [name, String(value)])
      return table([category, ''], rows)
    })
    .join('\n\n')
