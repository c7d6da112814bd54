/** `transactions`: those over groups that are not at an end; end a branch by hand. */
import { Command } from 'commander'
import type {
  ClusterTransactions,
  TransactionReport,
  TransactionResolution,
  TransactionsView
} from '../core/index.js'
import type { AdminClient } from './admin-client.js'
import { askNode, seconds } from './ask-node.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { CliError, usageError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface ResolveOptions extends ConnectionOptions {
  readonly commit?: boolean
  readonly abort?: boolean
  readonly forget?: boolean
  readonly force?: boolean
  readonly group?: number
  readonly by: string
  readonly reason: string
}

type Resolved = Awaited<ReturnType<ClusterTransactions['resolve']>>

export function transactionsCommand(output: Output): Command {
  const transactions = new Command('transactions').description(
    'show transactions over groups that are not at an end; end a branch by hand'
  )
  const verb = (name: string, about: string, isDefault = false) =>
    addConnectionOptions(transactions.command(name, { isDefault }).description(about))
  verb('list', 'show what the replicas of one node know of them', true).action(
    (options: ConnectionOptions) =>
      askNode(
        options,
        output,
        (client, timeoutMs) => client.get('/v1/transactions', timeoutMs),
        renderTransactions
      )
  )
  verb('resolve', 'end a branch whose coordinating group will not come back')
    .argument('<transaction>', 'its id')
    .option('--commit', 'do what it would change')
    .option('--abort', 'do nothing of it')
    .option('--forget', 'it was read that outcomes differ')
    .option('--force', 'also where the coordinator may have decided otherwise')
    .option('--group <number>', 'whose branch; may be left out where there is one', parseGroup)
    .option('--by <name>', 'who, for the record', 'skein')
    .option('--reason <words>', 'why, for the record', 'by hand')
    .action((id: string, options: ResolveOptions) => resolve(id, options, output))
  return transactions
}

async function resolve(id: string, options: ResolveOptions, output: Output): Promise<void> {
  const outcome = outcomeOf(options)
  const client = await connectionOf(options)
  try {
    const group = options.group ?? (await groupOf(id, outcome, client, options.timeoutMs))
    const { force = false, by, reason, timeoutMs } = options
    const path = `/v1/transactions/${encodeURIComponent(id)}/resolve`
    const body = { group, outcome, force, by, reason }
    const { state } = expectAnswer(await client.post(path, body, timeoutMs), client.url) as Resolved
    const told = renderResolved(id, group, outcome, state)
    output.line(options.json ? JSON.stringify({ transaction: id, group, state }) : told)
    if (!isDone(outcome, state)) throw new CliError('the branch is not as it was asked for')
  } finally {
    client.close()
  }
}

function outcomeOf({ commit, abort, forget }: ResolveOptions): TransactionResolution {
  const asked = [
    ...(commit ? (['commit'] as const) : []),
    ...(abort ? (['abort'] as const) : []),
    ...(forget ? (['forget'] as const) : [])
  ]
  const [outcome] = asked
  if (outcome !== undefined && asked.length === 1) return outcome
  throw usageError('say one of --commit, --abort and --forget')
}

/** The only one in which there is something to do. */
async function groupOf(
  id: string,
  outcome: TransactionResolution,
  client: AdminClient,
  timeoutMs: number
): Promise<number> {
  const listed = await client.get('/v1/transactions', timeoutMs)
  const { transactions } = expectAnswer(listed, client.url) as TransactionsView
  const groups = transactions
    .filter(({ transaction }) => transaction === id)
    .filter(({ state }) => (state === 'prepared') === (outcome !== 'forget'))
    .map(({ group }) => group)
  const [group] = groups
  if (group !== undefined && groups.length === 1) return group
  if (groups.length > 1) throw usageError(`say --group, one of ${groups.join(', ')}`)
  const missing = outcome === 'forget' ? 'outcome to forget' : 'branch in doubt'
  throw new CliError(
    `${client.url} knows of no ${missing} in transaction ${printable(id)}; name the group with ` +
      '--group, or another node with --admin'
  )
}

function parseGroup(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= 0xffff_ffff) return value
  throw usageError(`${JSON.stringify(text)} is not the number of a group`)
}

const isDone = (outcome: TransactionResolution, state: Resolved['state']): boolean =>
  outcome === 'forget' || state === (outcome === 'commit' ? 'committed' : 'aborted')

export function renderTransactions(body: unknown): string {
  const { inDoubt, transactions } = body as TransactionsView
  if (transactions.length === 0) return 'every transaction over groups is at an end'
  const rows = transactions.map((transaction) => [
    transaction.transaction,
    String(transaction.group),
    transaction.state,
    String(transaction.coordinator ?? '-'),
    transaction.groups.join(' '),
    seconds(transaction.ageMs),
    String(transaction.lockedRows),
    printable(waitOf(transaction))
  ])
  const head = [
    'transaction',
    'branch of',
    'state',
    'coordinator',
    'groups',
    'age',
    'rows',
    'waits for'
  ]
  return `${table(head, rows)}\n\n${inDoubt} in doubt`
}

function waitOf({ state, group, coordinator, pending, mixed, outcome, reason }: TransactionReport) {
  switch (state) {
    case 'prepared':
      if (reason !== '') return `an operator: ${reason}`
      return coordinator === group ? 'its own group’s decision' : `the word of group ${coordinator}`
    case 'committed':
      return `groups that have not acknowledged: ${[...pending, ...mixed].join(' ')}`
    case 'heuristic':
      return `the word of group ${coordinator}; ${outcome} here by ${reason}`
    case 'mixed':
      return `an operator to read it: ${outcome} here${by(reason)}, not everywhere`
  }
}

const by = (reason: string): string => (reason === '' ? '' : ` by ${reason}`)

export function renderResolved(
  id: string,
  group: number,
  outcome: TransactionResolution,
  state: Resolved['state']
): string {
  const branch = `the branch of group ${group} of transaction ${id}`
  const told = outcome === 'forget' ? '; that others may differ is forgotten' : ''
  return printable(`${branch} is ${state}${told}`)
}
