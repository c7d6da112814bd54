/** `drain`, `undrain`, `switchover`: work goes elsewhere before a node does. */
import { Command } from 'commander'
import { CONTROL_GROUP, type DrainReport, groupName, type SwitchoverReport } from '../core/index.js'
import { askNode, seconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions, parseCount } from './connection-options.js'
import { CliError, usageError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

/** All phases of a drain, each to the end of its time. */
const drainTimeoutMs = 75_000

export function drainCommand(output: Output): Command {
  const command = new Command('drain')
    .description('have a node give its work away, with status 1 when something is left')
    .argument('<node>', 'the member')
  return addConnectionOptions(command).action(async (node: string, options: ConnectionOptions) => {
    const isDefault = command.getOptionValueSource('timeoutMs') === 'default'
    const waits = isDefault ? { ...options, timeoutMs: drainTimeoutMs } : options
    let isComplete = true
    await askNode(
      waits,
      output,
      async (client, timeoutMs) => {
        const outcome = await client.post('/v1/drain', { node }, timeoutMs)
        if (outcome.kind === 'answer') isComplete = (outcome.body as DrainReport).complete
        return outcome
      },
      renderDrain
    )
    if (!isComplete) throw new CliError('not everything went away; skein undrain takes it back')
  })
}

export function undrainCommand(output: Output): Command {
  const command = new Command('undrain')
    .description('let a node that drains take work again')
    .argument('<node>', 'the member')
  return addConnectionOptions(command).action((node: string, options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.post('/v1/undrain', { node }, timeoutMs),
      () => printable(`${node} takes work again`)
    )
  )
}

interface SwitchoverOptions extends ConnectionOptions {
  readonly group: number
  readonly to?: string
}

export function switchoverCommand(output: Output): Command {
  const command = new Command('switchover')
    .description('hand the leadership of a group over, as planned')
    .option('--group <number>', 'the group', parseGroup, 0)
    .option('--to <node>', 'who is to lead; by default a healthy voter that leads least')
  return addConnectionOptions(command).action(({ group, to, ...options }: SwitchoverOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) =>
        client.post(
          '/v1/switchover',
          { group, timeoutMs, ...(to === undefined ? {} : { target: to }) },
          timeoutMs
        ),
      renderSwitchover
    )
  )
}

function parseGroup(text: string): number {
  if (text === groupName(CONTROL_GROUP)) return CONTROL_GROUP
  const group = text === '0' ? 0 : parseCount(text)
  if (group > 0xffff_ffff) throw usageError(`there is no group ${group}`)
  return group
}

export function renderDrain(body: unknown): string {
  const { node, complete, phases, report } = body as DrainReport
  const rows = phases.map(({ phase, tookMs, left }) => [
    phase,
    seconds(tookMs),
    left.length === 0 ? 'done' : printable(`left: ${left.join(', ')}`)
  ])
  const { leadersMoved, sessionsMoved, sessionsRefused } = report
  const moved = `${leadersMoved} leaderships moved, ${sessionsMoved} sessions`
  const refused = sessionsRefused === 0 ? '' : `, ${sessionsRefused} refused to`
  const state = complete ? 'has given its work away' : 'drains'
  return `${printable(node)} ${state}: ${moved}${refused}\n\n${table(['phase', 'took', ''], rows)}`
}

function renderSwitchover(body: unknown): string {
  const { group, from, to, tookMs } = body as SwitchoverReport
  return printable(
    from === to
      ? `${to} leads group ${groupName(group)} already`
      : `${to} leads group ${groupName(group)}, ${from} did; it took ${seconds(tookMs)}`
  )
}
