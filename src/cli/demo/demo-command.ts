import { Command } from 'commander'
import { CliError, ExitCodes } from '../exit-codes.js'
import type { Output } from '../output.js'
import { type Display, jsonDisplay, runForever, terminalDisplay } from './forever.js'
import { runOnce } from './once.js'
import { type DemoArguments, type DemoOptions, demoDefaults, parseDemoOptions } from './options.js'
import type { DemoReport } from './report.js'
import { Supervisor, type SupervisorHandlers } from './supervisor.js'
import { openWorkspace, type Workspace } from './workspace.js'

/** Long enough to see the others go on without it. */
const reviveAfterMs = 5_000

export function demoCommand(output: Output): Command {
  return new Command('demo')
    .description('a local cluster under load; what npm start runs')
    .option('--once', 'load, kill the leader half-way, verify, stop, and report')
    .option('--json', 'JSON on standard output')
    .option('--seconds <n>', 'how long the workload runs with --once', demoDefaults.seconds)
    .option('--nodes <n>', 'node processes', demoDefaults.nodes)
    .option('--seed <n>', 'seed of the workload', demoDefaults.seed)
    .option('--scale <n>', '100,000 accounts each', demoDefaults.scale)
    .option('--data <directory>', 'keep the data here; else a temporary directory')
    .option('--port <n>', 'first of two ports for each node; 0: free ones', demoDefaults.port)
    .action((given: DemoArguments) => demo(parseDemoOptions(given), output))
}

async function demo(options: DemoOptions, output: Output): Promise<void> {
  const interruption = new Interruption()
  const workspace = await openWorkspace(options)
  try {
    if (options.once) await once(options, workspace, interruption, output)
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

function tell(report: DemoReport, options: DemoOptions, output: Output): void {
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
  const display: Display = isOnTerminal ? terminalDisplay(process.stdout) : jsonDisplay(output)
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
