#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { version } from '../../lib/version.js'
import { InvalidArgumentError, InvalidConfigError, SkeinError } from '../core/index.js'
import { certsCommand } from './certs-command.js'
import { configCommand } from './config-command.js'
import { deathsCommand } from './deaths-command.js'
import { demoCommand } from './demo/demo-command.js'
import { eventsCommand } from './events-command.js'
import { CliError, type ExitCode, ExitCodes } from './exit-codes.js'
import { healthCommand } from './health-command.js'
import { unifyHelp } from './help.js'
import { inspectCommand } from './inspect-command.js'
import { keysCommand } from './keys-command.js'
import { metadataCommand } from './metadata-command.js'
import { nodeCommand } from './node-command.js'
import { type Output, processOutput } from './output.js'
import { queryCommand } from './query-command.js'
import { reachabilityCommand } from './reachability-command.js'
import { explainCommand, routeCommand } from './route-commands.js'
import { hotspotsCommand, strategyCommand } from './routing-commands.js'
import { simulateCommand } from './simulate-command.js'
import { statusCommand } from './status-command.js'
import { tokensCommand } from './tokens-command.js'
import { membersCommand, metricsCommand } from './view-commands.js'

const help = `
Begin with: skein demo

Exit status of every command: 0 when it was done, 1 when it failed or what it looked at is not well,
2 when the arguments or the configuration are wrong.`

process.exitCode = await main(process.argv, processOutput)

async function main(argv: readonly string[], output: Output): Promise<ExitCode> {
  const program = new Command('skein')
    .description('makes a single-node database a cluster')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', help)
  const groups = {
    'Run:': [demoCommand(output), nodeCommand()],
    'Trust:': [certsCommand(output), keysCommand(output), tokensCommand(output)],
    'Look:': [
      statusCommand(output),
      membersCommand(output),
      healthCommand(output),
      metricsCommand(output),
      eventsCommand(output),
      reachabilityCommand(output),
      hotspotsCommand(output),
      deathsCommand(output)
    ],
    'Ask:': [queryCommand(output), routeCommand(output), explainCommand(output)],
    'Change:': [strategyCommand(output), metadataCommand(output), configCommand(output)],
    'Prove:': [simulateCommand(output), inspectCommand(output)]
  }
  for (const [heading, commands] of Object.entries(groups)) {
    for (const command of commands) program.addCommand(command.helpGroup(heading))
  }
  unifyHelp(program)
  exitByThrowing(program)
  try {
    await program.parseAsync([...argv])
    return ExitCodes.Ok
  } catch (error) {
    return exitCodeOf(error, output)
  }
}

function exitCodeOf(error: unknown, output: Output): ExitCode {
  // Commander has said what was wrong; asking for help is nothing wrong.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCodes.Ok : ExitCodes.Usage
  if (error instanceof CliError) {
    output.note(`skein: ${error.message}`)
    return error.exitCode
  }
  if (error instanceof SkeinError) {
    output.note(`skein: ${error.code}: ${error.message}`)
    const isUsage = error instanceof InvalidArgumentError || error instanceof InvalidConfigError
    return isUsage ? ExitCodes.Usage : ExitCodes.Failed
  }
  output.note(`skein: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  return ExitCodes.Failed
}

function exitByThrowing(command: Command): void {
  command.exitOverride()
  for (const child of command.commands) exitByThrowing(child)
}
