/** `failover`: why leaderships moved unasked, and whether they may. */
import { Command } from 'commander'
import { type Failover, type FailoverStatus, groupName } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions, parseCount } from './connection-options.js'
import { type Output, printable, table } from './output.js'

interface PauseOptions extends ConnectionOptions {
  readonly by: string
}

export function failoverCommand(output: Output): Command {
  const failover = new Command('failover').description(
    'show why leaderships moved unasked; have none moved for a while'
  )
  const verb = (name: string, about: string, isDefault = false) =>
    addConnectionOptions(failover.command(name, { isDefault }).description(about))
  verb('list', 'show whether they may move, and those that did', true).action(
    (options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.get('/v1/failovers', timeoutMs),
        renderFailovers
      )
  )
  verb('explain', 'show why one moved, and what was done')
    .argument('<id>', 'its number', parseCount)
    .action((id: number, options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.get(`/v1/failovers/${id}`, timeoutMs),
        renderFailover
      )
    )
  verb('pause', 'move none unasked until it is resumed; elections go on')
    .option('--by <name>', 'who, for the record', 'skein')
    .action((options: PauseOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.post('/v1/failovers/pause', { by: options.by }, timeoutMs),
        renderStatus
      )
    )
  verb('resume', 'let them be moved unasked again').action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.post('/v1/failovers/resume', {}, timeoutMs),
      renderStatus
    )
  )
  return failover
}

function renderStatus(body: unknown): string {
  const { coordinator, pausedBy, count } = body as FailoverStatus
  const state = pausedBy === null ? 'at work' : `paused by ${pausedBy}`
  return printable(
    `failover is ${state}, coordinated by ${coordinator ?? 'nobody'}; ${count} so far`
  )
}

export function renderFailovers(body: unknown): string {
  const { status, failovers } = body as {
    readonly status: FailoverStatus
    readonly failovers: readonly Failover[]
  }
  const head = renderStatus(status)
  if (failovers.length === 0) return head
  const rows = failovers.map(({ id, at, group, from, to, reason, why }) => [
    String(id),
    new Date(at).toISOString(),
    groupName(group),
    printable(`${from ?? 'nobody'} to ${to}`),
    reason,
    printable(why)
  ])
  return `${head}\n\n${table(['', 'when', 'group', 'moved', 'as', 'because'], rows)}`
}

export function renderFailover(body: unknown): string {
  const { id, at, group, term, from, to, reason, why, action, options, by } = body as Failover
  const facts = [
    `failover ${id}, ${new Date(at).toISOString()}, told by ${by}`,
    `group ${groupName(group)}: ${from ?? 'nobody'} to ${to}, term ${term} (${reason})`,
    `because ${why}`,
    `done: ${action}`
  ].map(printable)
  if (options.length === 0) return facts.join('\n')
  const rows = options.map(({ node, priority, leads, fault }) => [
    printable(node),
    String(priority),
    String(leads),
    printable(fault ?? 'could')
  ])
  return `${facts.join('\n')}\n\n${table(['node', 'priority', 'leads', ''], rows)}`
}
