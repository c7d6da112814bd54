/** How help reads: one voice for every command. */
import { type Command, Help, Option } from 'commander'
import type { Output } from './output.js'

const ownHeading = 'Options:'
const connectionHeading = 'Connection:'

/** Shown below a command's own options. */
export const connectionOption = (flags: string, description: string): Option =>
  new Option(flags, description).helpGroup(connectionHeading)

/** An option that may be given again. */
export function repeatable(flags: string, description: string, none: string): Option {
  const collect = (value: string, before: readonly string[]) => [...before, value]
  return new Option(flags, description).argParser(collect).default([], none)
}

/** Of the whole command and everything in it. */
export function unifyHelp(command: Command, output: Output, path: string = command.name()): void {
  command
    .helpOption('-h, --help', 'show this')
    .configureHelp({ groupItems: ownFirst })
    .configureOutput({
      writeOut: (text) => output.line(unbroken(text)),
      writeErr: (text) => output.note(unbroken(text)),
      outputError: (text, write) => write(text.replace(/^error:/, 'skein:'))
    })
    .showHelpAfterError(`(${path} --help tells how it is used)`)
  if (command.commands.length > 0) command.helpCommand('help [command]', 'show how it is used')
  for (const child of command.commands) unifyHelp(child, output, `${path} ${child.name()}`)
}

/** Commander ends its lines itself. */
const unbroken = (text: string): string => text.replace(/\n$/, '')

/** A command's own options before those that many share. */
function ownFirst<T extends Command | Option>(
  unsorted: T[],
  visible: T[],
  groupOf: (item: T) => string
): Map<string, T[]> {
  const groups = Help.prototype.groupItems(unsorted, visible, groupOf)
  const own = groups.get(ownHeading)
  if (own === undefined) return groups
  groups.delete(ownHeading)
  return new Map([[ownHeading, own], ...groups])
}
