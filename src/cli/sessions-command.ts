/** `sessions`: where the SQL sessions of programs are at home; move one, end one. */
import { Command } from 'commander'
import type { SessionList, SessionMoveReport } from '../core/index.js'
import { askNode, seconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface MoveOptions extends ConnectionOptions {
  readonly to?: string
}

export function sessionsCommand(output: Output): Command {
  const sessions = new Command('sessions').description(
    'show the SQL sessions of programs; move one to another node, end one'
  )
  const verb = (name: string, about: string, isDefault = false) =>
    addConnectionOptions(sessions.command(name, { isDefault }).description(about))
  verb('list', 'show every session of the cluster', true).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/sessions', timeoutMs),
      renderSessions
    )
  )
  verb('move', 'move a session, with status 1 when it stays where it is')
    .argument('<session>', 'its id')
    .option('--to <node>', 'where; by default the node with the fewest')
    .action((id: string, options: MoveOptions) => move(id, options, output))
  verb('close', 'end a session; its program is told')
    .argument('<session>', 'its id')
    .action((id: string, options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.post(`${pathOf(id)}/close`, {}, timeoutMs),
        () => printable(`session ${id} has ended`)
      )
    )
  return sessions
}

async function move(id: string, { to, ...options }: MoveOptions, output: Output): Promise<void> {
  let isMoved = true
  await askNode(
    options,
    output,
    async (client, timeoutMs) => {
      const body = to === undefined ? { timeoutMs } : { timeoutMs, target: to }
      const outcome = await client.post(`${pathOf(id)}/move`, body, timeoutMs)
      if (outcome.kind === 'answer') {
        isMoved = (outcome.body as SessionMoveReport).outcome === 'moved'
      }
      return outcome
    },
    renderMove
  )
  if (!isMoved) throw new CliError('the session stays where it is')
}

const pathOf = (id: string): string => `/v1/sessions/${encodeURIComponent(id)}`

export function renderSessions(body: unknown): string {
  const { sessions, totals } = body as SessionList
  const rows = sessions.map((session) => [
    printable(session.id),
    printable(session.client),
    printable(session.home),
    session.state,
    String(session.epoch),
    String(session.prepared.length),
    printable(session.settings.map(({ name, value }) => `${name}=${value}`).join(' '))
  ])
  const { opened, closed, moved, reattached, expired, lost } = totals
  const told =
    `${opened} opened, ${closed} closed, ${moved} moved, ${reattached} taken over, ` +
    `${expired} expired, ${lost} lost`
  if (rows.length === 0) return `no sessions; ${told}`
  const head = ['session', 'program', 'home', 'state', 'epoch', 'prepared', 'settings']
  return `${table(head, rows)}\n\n${told}`
}

export function renderMove(body: unknown): string {
  const { session, origin, target, outcome, refusal, detail, tookMs } = body as SessionMoveReport
  return printable(
    outcome === 'moved'
      ? `session ${session} moved from ${origin} to ${target}; it took ${seconds(tookMs)}`
      : `session ${session} stays on ${origin}: ${refusal}${detail === '' ? '' : `, ${detail}`}`
  )
}
