import { Command, Option } from 'commander'
import { CliError, ExitCodes } from '../exit-codes.js'
import type { Output } from '../output.js'
import { ElectionCount } from './election-count.js'
import { type Display, jsonDisplay, reviveAfterMs, runForever, terminalDisplay } from './forever.js'
import { runOnce } from './once.js'
import { type DemoArguments, type DemoOptions, demoDefaults, parseDemoOptions } from './options.js'
import type { DemoReport } from './report.js'
import { runRollingRestart } from './rolling.js'
import type { RollingReport } from './rolling-report.js'
import { Supervisor, type SupervisorHandlers } from './supervisor.js'
import { openWorkspace, type Workspace } from './workspace.js'

const help = `
Endpoints of each node, also in the first JSON object ("ready") and on the screen; with --port P the
first node has P and P+1, the next P+2 and P+3, …:
  127.0.0.1:P            nodes and clients, mutual TLS; gossip on the same port over UDP
  http://127.0.0.1:P+1   admin API: /livez, /readyz, /metrics, /v1/openapi.json

The data directory holds certs/admin.token, certs/ca.crt, certs/client-load.crt, a log of each node
(n1.log) and env: ". DIRECTORY/env" gives a shell the command skein and its variables.

Examples:
  skein demo                               a live screen, and what to try
  skein demo --once --json                 the proof, as one JSON object
  skein demo --rolling-restart --json      every node is restarted, and no session sees it
  skein demo --nodes 5 --data ./flock      five nodes, and the same again next time

Exit status: 0 when nothing acknowledged was lost, 1 when something was or a node failed, 2 when the
arguments are wrong or a port is in use.`

export function demoCommand(output: Output): Command {
  return new Command('demo')
    .description('run a local cluster of processes under load; what npm start does')
    .option('--once', 'load, kill a leader half-way, verify, stop, and report')
    .option('--rolling-restart', 'load, restart every node by a plan, verify, stop, and report')
    .addOption(counted('sessions', 'clients under way with --rolling-restart'))
    .addOption(counted('seconds', 'how long the workload runs with --once'))
    .option('--nodes <n>', 'node processes (default: 3, with --rolling-restart 5)')
    .addOption(counted('seed', 'seed of the workload'))
    .addOption(counted('scale', '100,000 accounts each'))
    .addOption(counted('port', 'first of two ports for each node; 0: free ones'))
    .option('--data <directory>', 'keep the data here; else a temporary directory')
    .option(
      '--json',
      'print JSON: one object per event, or with --once or --rolling-restart the report'
    )
    .addHelpText('after', help)
    .action((given: DemoArguments) => demo(parseDemoOptions(given), output))
}

async function demo(options: DemoOptions, output: Output): Promise<void> {
  const interruption = new Interruption()
  const workspace = await openWorkspace(options)
  try {
    if (options.rollingRestart) await rolling(options, workspace, interruption, output)
    else if (options.once) await once(options, workspace, interruption, output)
    else await forever(options, workspace, interruption, output)
  } finally {
    await workspace.release()
    interruption.close()
  }
}

async function once(
  options: DemoOptions,
  workspace: Workspace,
  interruption: Interruption,
  output: Output
): Promise<void> {
  const supervisor = await Supervisor.prepare(workspace, options.port, {
    onEvent: () => {},
    onUnexpectedExit: (node, how) => output.note(`${node} ended: ${how}`)
  })
  interruption.onSecond = () => supervisor.kill()
  try {
    const report = await runOnce(supervisor, options, output, interruption.signal)
    await supervisor.stop()
    tell(report, options, output)
  } finally {
    await supervisor.stop()
  }
}

async function rolling(
  options: DemoOptions,
  workspace: Workspace,
  interruption: Interruption,
  output: Output
): Promise<void> {
  const elections = new ElectionCount()
  const restarted: string[] = []
  const supervisor = await Supervisor.prepare(workspace, options.port, {
    onEvent: (_, event) => elections.onEvent(event),
    onStartedAgain: (node) => restarted.push(node),
    onUnexpectedExit: (node, how) => output.note(`${node} ended: ${how}`)
  })
  interruption.onSecond = () => supervisor.kill()
  try {
    const { signal } = interruption
    const run = { supervisor, options, output, signal, elections, restarted }
    const report = await runRollingRestart(run)
    await supervisor.stop()
    tell(report, options, output)
  } finally {
    await supervisor.stop()
  }
}

function tell(report: DemoReport | RollingReport, options: DemoOptions, output: Output): void {
  if (options.json) output.line(JSON.stringify(report))
  else for (const [name, value] of Object.entries(report)) output.line(`${name}: ${textOf(value)}`)
  if (!report.ok) throw new CliError(report.reasons.join('; '), ExitCodes.Failed)
}

async function forever(
  options: DemoOptions,
  workspace: Workspace,
  interruption: Interruption,
  output: Output
): Promise<void> {
  const isOnTerminal = process.stdout.isTTY === true && !options.json
  // https://no-color.org: set and not empty.
  const isColoured = (process.env.NO_COLOR ?? '') === ''
  const display: Display = isOnTerminal
    ? terminalDisplay(process.stdout, isColoured)
    : jsonDisplay(output)
  const handlers: SupervisorHandlers = {
    onEvent: (node, event) => display.event(node, event),
    onUnexpectedExit(node, how) {
      display.exit(node, how)
      // Who watches a screen kills nodes to see them come back; a program restarts what it killed.
      if (isOnTerminal) void supervisor.revive(node, reviveAfterMs, interruption.signal)
    }
  }
  const supervisor = await Supervisor.prepare(workspace, options.port, handlers)
  interruption.onSecond = () => supervisor.kill()
  try {
    await runForever(supervisor, workspace, options, display, interruption.signal)
  } finally {
    await supervisor.stop()
  }
}

const counted = (name: keyof typeof demoDefaults, description: string): Option =>
  new Option(`--${name} <n>`, description).default(demoDefaults[name], demoDefaults[name])

/** SIGINT, SIGTERM or SIGHUP asks for a clean end; asked again, nothing is waited for. */
class Interruption {
  onSecond: () => void = () => {}
  readonly #controller = new AbortController()
  readonly #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  readonly #listener = () => {
    if (this.#controller.signal.aborted) this.onSecond()
    this.#controller.abort()
  }

  constructor() {
    for (const signal of this.#signals) process.on(signal, this.#listener)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  close(): void {
    for (const signal of this.#signals) process.off(signal, this.#listener)
  }
}

const textOf = (value: unknown): string =>
  typeof value === 'object' ? JSON.stringify(value) : String(value)
