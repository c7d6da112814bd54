/** `members`: who is in the cluster; who hosts its groups from now on, and who no more. */
import { Command } from 'commander'
import { groupName, type MemberChangeReport } from '../core/index.js'
import type { AdminClient, Outcome } from './admin-client.js'
import { askNode } from './ask-node.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface ChangeOptions extends ConnectionOptions {
  readonly dryRun?: boolean
}

type Ask = (client: AdminClient, node: string, query: string, timeoutMs: number) => Promise<Outcome>

/** A newcomer gets all data first. */
const changeTimeoutMs = 120_000
/** What the node needs to say that it was not in time. */
const answerMarginMs = 1_000

const changeHelp = `
Exit status: 0 when every group has changed, or would; 1 when one has not, or would lose its quorum;
2 when the arguments are wrong. The same command again goes on with what is left.`

export function membersCommand(output: Output): Command {
  const members = new Command('members').description(
    'show every member, as one node sees it; add and remove them'
  )
  // What stands behind `add` is for `add`.
  addConnectionOptions(members.enablePositionalOptions()).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/members', timeoutMs),
      renderMembers
    )
  )
  addChange(
    members,
    output,
    ['add', 'give a member a replica of every group, and a vote when it keeps up'],
    (client, nodeId, query, timeoutMs) => client.post(`/v1/members${query}`, { nodeId }, timeoutMs)
  )
  addChange(
    members,
    output,
    ['remove', 'take the replicas of a node out of every group, whether it runs or not'],
    (client, nodeId, query, timeoutMs) =>
      client.change('DELETE', `/v1/members/${encodeURIComponent(nodeId)}${query}`, null, timeoutMs)
  )
  return members
}

function addChange(
  members: Command,
  output: Output,
  [name, about]: readonly [string, string],
  ask: Ask
): void {
  const command = members.command(name).description(about).argument('<node>', 'its id')
  addConnectionOptions(command, changeTimeoutMs)
    .option('--dry-run', 'change nothing: say who would vote, and what failures that bears')
    .addHelpText('after', changeHelp)
    .action((node: string, options: ChangeOptions, self: Command) =>
      change(node, { ...options, ...givenBefore(self, members) }, output, ask)
    )
}

/** What stood before the verb, and was not said again behind it. */
function givenBefore(verb: Command, members: Command): Partial<ConnectionOptions> {
  const isSaid = (command: Command, name: string) =>
    (command.getOptionValueSource(name) ?? 'default') !== 'default'
  const said = Object.entries(members.opts()).filter(
    ([name]) => isSaid(members, name) && !isSaid(verb, name)
  )
  return Object.fromEntries(said)
}

async function change(
  node: string,
  options: ChangeOptions,
  output: Output,
  ask: Ask
): Promise<void> {
  const { dryRun = false, json, timeoutMs } = options
  const client = await connectionOf(options)
  try {
    const query = `?dryRun=${dryRun}&timeoutMs=${timeoutMs}`
    const outcome = await ask(client, node, query, timeoutMs + answerMarginMs)
    const report = expectAnswer(outcome, client.url) as MemberChangeReport
    output.line(json ? JSON.stringify(report) : renderChange(report))
    const lost = report.groups.filter(({ quorumSurvives }) => !quorumSurvives)
    if (!dryRun || lost.length === 0) return
    const groups = lost.map(({ group }) => groupName(group)).join(', ')
    throw new CliError(`it would be refused: no quorum in group ${groups}`)
  } finally {
    client.close()
  }
}

export function renderChange({ change, dryRun, groups, nodeId }: MemberChangeReport): string {
  const rows = groups.map((one) => [
    groupName(one.group),
    one.outcome,
    one.votersBefore.join(' '),
    one.voters.join(' '),
    `${one.failuresToleratedBefore} → ${one.failuresTolerated}`,
    one.quorumSurvives ? 'yes' : 'NO'
  ])
  const head = ['group', 'outcome', 'voters before', 'voters', 'failures borne', 'quorum']
  const verb = change === 'add' ? 'added' : 'removed'
  const isDone = groups.every(({ outcome }) => outcome === 'unchanged')
  const what = isDone ? `${verb} already` : dryRun ? `would be ${verb}` : `is ${verb}`
  const warnings = groups.flatMap((one) =>
    one.warnings.map((warning) => `group ${groupName(one.group)}: ${warning}`)
  )
  return [printable(`${nodeId} ${what}`), '', table(head, rows), ...warnings.map(printable)].join(
    '\n'
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
