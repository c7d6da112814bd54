#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { InvalidArgumentError, InvalidConfigError, SkeinError } from '../core/index.js'
import { certsCommand } from './certs-command.js'
import { demoCommand } from './demo/demo-command.js'
import { eventsCommand } from './events-command.js'
import { CliError, type ExitCode, ExitCodes } from './exit-codes.js'
import { inspectCommand } from './inspect-command.js'
import { keysCommand } from './keys-command.js'
import { nodeCommand } from './node-command.js'
import { type Output, processOutput } from './output.js'
import { queryCommand } from './query-command.js'
import { explainCommand, routeCommand } from './route-commands.js'
import { simulateCommand } from './simulate-command.js'
import { statusCommand } from './status-command.js'
import { tokensCommand } from './tokens-command.js'
import { healthCommand, membersCommand, metricsCommand } from './view-commands.js'

process.exitCode = await main(process.argv, processOutput)

async function main(argv: readonly string[], output: Output): Promise<ExitCode> {
  const program = new Command('skein').description('a cluster of single-node databases')
  const commands = [
    demoCommand(output),
    nodeCommand(),
    certsCommand(output),
    tokensCommand(output),
    statusCommand(output),
    membersCommand(output),
    healthCommand(output),
    metricsCommand(output),
    eventsCommand(output),
    queryCommand(output),
    keysCommand(output),
    routeCommand(output),
    explainCommand(output),
    inspectCommand(output),
    simulateCommand(output)
  ]
  for (const command of commands) program.addCommand(command)
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
  command.exitOverride().showHelpAfterError('(skein --help lists what there is)')
  for (const child of command.commands) exitByThrowing(child)
}
