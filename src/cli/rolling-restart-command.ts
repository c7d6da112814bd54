/** `rolling-restart`: start, watch and stop a plan that restarts node after node. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import {
  groupName,
  type PlanAction,
  planActions,
  type RestartPlan,
  type RestartPreview,
  stepPhases
} from '../core/index.js'
import type { AdminClient } from './admin-client.js'
import { askNode } from './ask-node.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer,
  parseCount
} from './connection-options.js'
import { CliError, usageError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface StartOptions extends ConnectionOptions {
  readonly dryRun?: boolean
  readonly follow?: boolean
  readonly delayMs?: number
  readonly canaryDelayMs?: number
  readonly canary?: string
  readonly errorRateMax?: number
  readonly p99MsMax?: number
  readonly failureDomain?: string
}

/** How often `--follow` looks, and for how long nobody may answer: nodes are being restarted. */
const followIntervalMs = 500
const silenceMsMax = 120_000

const abouts: Readonly<Record<PlanAction, string>> = {
  pause: 'begin no further node',
  resume: 'go on after a pause or a halt',
  abort: 'end it for good; a node that only drained takes work again'
}

export function rollingRestartCommand(output: Output): Command {
  const command = new Command('rolling-restart')
    .description('restart nodes one after the other, without an interruption')
    .argument('[nodes...]', 'these members; without any: all')
    .option('--dry-run', 'say what would be done, with status 1 when something stands in the way')
    .option('--follow', 'stay until it ends, with status 1 unless it is finished')
    .option('--delay-ms <ms>', 'watch each node so long before the next', parseCount)
    .option('--canary-delay-ms <ms>', 'the same for the first node', parseCount)
    .option('--canary <node>', 'the first node')
    .option('--error-rate-max <share>', 'halt above this share of failed queries', parseShare)
    .option(
      '--p99-ms-max <ms>',
      'halt when the slowest hundredth of queries takes longer',
      parseCount
    )
    .option('--failure-domain <kind>', 'rack, datacenter or none')
  addConnectionOptions(command).action((nodes: string[], options: StartOptions) =>
    start(nodes, options, output)
  )
  const show = command
    .command('show')
    .description('show a plan, or the latest')
    .argument('[id]', 'of the plan')
    .option('--follow', 'stay until it ends')
  // Options that the command has too are given to it, wherever they stand.
  const optionsOf = (sub: Command): StartOptions => sub.optsWithGlobals()
  addConnectionOptions(show).action((id: string | undefined) => {
    const options = optionsOf(show)
    return options.follow === true && id !== undefined
      ? follow(id, options, output)
      : askNode(
          options,
          output,
          (client, timeoutMs) => client.get(pathOf(id), timeoutMs),
          (body) => (id === undefined ? renderPlans(body) : renderPlan(body as RestartPlan))
        )
  })
  for (const action of planActions) {
    const act = command.command(action).description(abouts[action]).argument('<id>', 'of the plan')
    addConnectionOptions(act).action((id: string) =>
      askNode(
        optionsOf(act),
        output,
        (client, timeoutMs) => client.post(`${pathOf(id)}/${action}`, {}, timeoutMs),
        () => printable(`${action}: ${id}`)
      )
    )
  }
  return command
}

async function start(nodes: readonly string[], options: StartOptions, output: Output) {
  const { delayMs, canaryDelayMs, canary, errorRateMax, p99MsMax, failureDomain } = options
  const given = { delayMs, canaryDelayMs, canary, errorRateMax, p99MsMax, failureDomain }
  const body = { ...given, ...(nodes.length === 0 ? {} : { nodes }) }
  if (options.dryRun === true) {
    await preview(body, options, output)
    return
  }
  let id = ''
  await askNode(
    options,
    output,
    async (client, timeoutMs) => {
      const outcome = await client.post('/v1/rolling_restart', body, timeoutMs)
      if (outcome.kind === 'answer') id = (outcome.body as { readonly id: string }).id
      return outcome
    },
    () => printable(`rolling restart ${id}; skein rolling-restart show ${id} --follow`)
  )
  if (options.follow === true) await follow(id, options, output)
}

async function preview(body: object, options: ConnectionOptions, output: Output): Promise<void> {
  let isOk = true
  await askNode(
    options,
    output,
    async (client, timeoutMs) => {
      const asked = { ...body, dryRun: true }
      const outcome = await client.post('/v1/rolling_restart', asked, timeoutMs)
      if (outcome.kind === 'answer') isOk = (outcome.body as RestartPreview).ok
      return outcome
    },
    renderPreview
  )
  if (!isOk) throw new CliError('something stands in the way')
}

/** Until the plan ends, also while the node that is asked is restarted itself. */
async function follow(id: string, options: ConnectionOptions, output: Output): Promise<void> {
  const client = await connectionOf(options)
  const progress = new Progress(output)
  try {
    const plan = await untilEnd(id, client, options.timeoutMs, progress)
    progress.stop()
    output.line(options.json ? JSON.stringify(plan) : renderPlan(plan))
    if (plan.status !== 'finished') throw new CliError(`it is ${plan.status}: ${plan.reason}`)
  } finally {
    progress.stop()
    client.close()
  }
}

async function untilEnd(
  id: string,
  client: AdminClient,
  timeoutMs: number,
  progress: Progress
): Promise<RestartPlan> {
  let silentSince = Date.now()
  for (;;) {
    const outcome = await client.get(pathOf(id), timeoutMs)
    const mayComeBack =
      outcome.kind === 'notSent' ||
      outcome.kind === 'unknown' ||
      (outcome.kind === 'refused' && (outcome.status >= 500 || outcome.error.retryable))
    if (!mayComeBack || Date.now() - silentSince > silenceMsMax) {
      const plan = expectAnswer(outcome, client.url) as RestartPlan
      silentSince = Date.now()
      progress.show(plan)
      if (plan.status !== 'running' && plan.status !== 'paused') return plan
    }
    await sleep(followIntervalMs)
  }
}

/** A bar on a terminal, a line per change elsewhere. */
class Progress {
  readonly #output: Output
  #bar: SingleBar | null = null
  #told = ''

  constructor(output: Output) {
    this.#output = output
  }

  show({ steps, status, reason }: RestartPlan): void {
    const out = steps.find(({ phase }) => phase !== 'pending' && phase !== 'done')
    const doing = out === undefined ? status : `${out.node}: ${out.phase}`
    const text = printable(status === 'running' ? doing : `${status}: ${reason}`)
    const total = steps.length * (stepPhases.length - 1)
    const done = steps.reduce((sum, { phase }) => sum + stepPhases.indexOf(phase), 0)
    const { terminal } = this.#output
    if (terminal !== undefined) {
      const format = '{bar} {percentage} % {step}'
      this.#bar ??= new SingleBar({ format, stream: terminal })
      if (this.#told === '') this.#bar.start(total, done, { step: text })
      else this.#bar.update(done, { step: text })
    } else if (text !== this.#told) this.#output.note(text)
    this.#told = text
  }

  stop(): void {
    this.#bar?.stop()
    this.#bar = null
  }
}

const pathOf = (id: string | undefined): string =>
  id === undefined ? '/v1/rolling_restart' : `/v1/rolling_restart/${encodeURIComponent(id)}`

function parseShare(text: string): number {
  const share = Number(text)
  if (text !== '' && share >= 0 && share <= 1) return share
  throw usageError(`${JSON.stringify(text)} is not a share from 0 to 1`)
}

export function renderPreview(body: unknown): string {
  const { steps, serviceFault } = body as RestartPreview
  const rows = steps.map((step, i) => [
    String(i + 1),
    printable(step.node),
    printable(step.domain),
    [step.isCanary ? 'canary' : '', step.isCoordinator ? 'hands the plan over' : '']
      .join(' ')
      .trim(),
    printable(
      step.moves.map(({ group, target }) => `${groupName(group)} to ${target}`).join(', ')
    ) || '-',
    step.canRestart ? 'its hook' : 'somebody',
    step.faults.length === 0 ? 'may go' : printable(step.faults.join('; '))
  ])
  const head = ['', 'node', 'domain', '', 'leaderships', 'restarted by', 'now']
  const fault = serviceFault === null ? '' : `\n\n${printable(serviceFault)}`
  return `${table(head, rows)}${fault}`
}

export function renderPlan(plan: RestartPlan): string {
  const { id, status, reason, owner, steps } = plan
  const rows = steps.map(({ node, phase, report }) => [
    printable(node),
    phase,
    String(report.leadersMoved),
    `${report.sessionsMoved}/${report.sessionsMoved + report.sessionsRefused}`,
    String(report.inFlightLeft)
  ])
  const by = owner === null ? 'nobody yet' : owner
  const head = printable(`rolling restart ${id}: ${status} (${reason}), carried out by ${by}`)
  return `${head}\n\n${table(['node', 'phase', 'leaderships', 'sessions', 'cut off'], rows)}`
}

function renderPlans(body: unknown): string {
  const { plans } = body as { readonly plans: readonly RestartPlan[] }
  const latest = plans.at(-1)
  return latest === undefined ? 'there was no rolling restart' : renderPlan(latest)
}
