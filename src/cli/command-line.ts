import { Command, CommanderError } from 'commander'
import { version } from '../../lib/version.js'
import { InvalidArgumentError, InvalidConfigError, SkeinError } from '../core/index.js'
import { loadCommands } from './commands.js'
import { CliError, type ExitCode, ExitCodes } from './exit-codes.js'
import { unifyHelp } from './help.js'
import type { Output } from './output.js'

const help = `
Begin with: skein demo

Exit status of every command: 0 when it was done, 1 when it failed or what it looked at is not well,
2 when the arguments or the configuration are wrong.`

/** All that `skein` does with its arguments but to end with the status. */
export async function runCommandLine(args: readonly string[], output: Output): Promise<ExitCode> {
  const program = new Command('skein')
    .description('makes a single-node database a cluster')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', help)
  const [name] = args
  const isVersion = name === '-V' || name === '--version'
  const commands = isVersion ? [] : await loadCommands(name, output)
  for (const command of commands) program.addCommand(command)
  unifyHelp(program, output)
  exitByThrowing(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
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
