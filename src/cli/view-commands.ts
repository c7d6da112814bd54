/** `members` and `metrics`: one question to one node, and its answer as a table. */
import { Command } from 'commander'
import type { MetricsSnapshot } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, printable, table } from './output.js'

export const membersCommand = (output: Output): Command =>
  view('members', 'show every member, as one node sees it', '/v1/members', output, renderMembers)

export const metricsCommand = (output: Output): Command =>
  view(
    'metrics',
    'show every metric of one node, by category',
    '/v1/metrics',
    output,
    renderMetrics
  )

function view(
  name: string,
  about: string,
  path: string,
  output: Output,
  render: (body: unknown) => string
): Command {
  return addConnectionOptions(new Command(name).description(about)).action(
    (options: ConnectionOptions) =>
      askNode(options, output, (client, timeoutMs) => client.get(path, timeoutMs), render)
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

export function renderMembers(body: unknown): string {
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
  return table(head, rows)
}

export const renderMetrics = (metrics: unknown): string =>
  Object.entries(metrics as MetricsSnapshot)
    .map(([category, values]) => {
      const rows = Object.entries(values).map(([name, value]) => [name, String(value)])
      return table([category, ''], rows)
    })
    .join('\n\n')
