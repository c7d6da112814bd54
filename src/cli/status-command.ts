import { Command } from 'commander'
import type { GroupStatus, Member } from '../core/index.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { type Output, printable, table } from './output.js'

/** The parts of `GET /v1/cluster` that are shown. */
export interface ClusterAnswer {
  readonly clusterName: string
  readonly clusterId: string | null
  readonly nodeId: string
  readonly version: string
  readonly members: readonly Pick<
    Member,
    'nodeId' | 'address' | 'liveness' | 'lifecycle' | 'health'
  >[]
  readonly groups: readonly GroupStatus[]
}

interface StatusOptions extends ConnectionOptions {
  readonly watch?: boolean
}

const watchIntervalMs = 1_000

export function statusCommand(output: Output): Command {
  const command = new Command('status').description(
    'show members, roles and the log, as one node sees them'
  )
  return addConnectionOptions(command)
    .option('--watch', 'again every second, until interrupted')
    .action((options: StatusOptions) => status(options, output))
}

async function status(options: StatusOptions, output: Output): Promise<void> {
  const client = await connectionOf(options)
  try {
    for (;;) {
      const outcome = await client.get('/v1/cluster', options.timeoutMs)
      if (!options.watch) return show(expectAnswer(outcome, client.url), options, output)
      if (outcome.kind === 'answer') show(outcome.body, options, output)
      else output.note(`no answer from ${client.url}`)
      await new Promise((resolve) => setTimeout(resolve, watchIntervalMs))
    }
  } finally {
    client.close()
  }
}

function show(body: unknown, options: StatusOptions, output: Output): void {
  if (options.json) output.line(JSON.stringify(body))
  else output.line(renderStatus(body as ClusterAnswer))
}

export function renderStatus(view: ClusterAnswer): string {
  const lines = [
    `cluster ${printable(view.clusterName)} (${view.clusterId ?? 'not founded'}), ` +
      `seen by ${view.nodeId}, version ${view.version}`,
    '',
    table(
      ['node', 'address', 'liveness', 'lifecycle', 'health'],
      view.members.map((member) =>
        [member.nodeId, member.address, member.liveness, member.lifecycle, member.health].map(
          printable
        )
      )
    )
  ]
  for (const group of view.groups) lines.push('', renderGroup(group))
  return lines.join('\n')
}

function renderGroup(group: GroupStatus): string {
  const leader = group.leader ?? 'no leader known'
  const { term, commitIndex } = group
  const head = `group ${group.name}: leader ${leader}, term ${term}, committed ${commitIndex}`
  const listeners = group.learners.length === 0 ? '' : `, learners ${group.learners.join(' ')}`
  const members = `voters ${group.voters.join(' ')}${listeners}`
  const own = `this node: ${group.role}, applied ${group.appliedIndex}, last ${group.lastIndex}`
  const failed =
    group.failed === null ? [] : [`this replica has stopped: ${printable(group.failed)}`]
  const behind = group.progress.map(
    (peer) => `${peer.nodeId}: matches ${peer.matchIndex}${peer.active ? '' : ', silent'}`
  )
  return [head, members, own, ...failed, ...behind].join('\n  ')
}
