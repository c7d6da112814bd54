import { Command, InvalidArgumentError } from 'commander'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { CliError } from './exit-codes.js'
import { repeatable } from './help.js'
import { type Output, printable } from './output.js'

interface EventsOptions extends ConnectionOptions {
  readonly count?: number
  readonly type: readonly string[]
}

export function eventsCommand(output: Output): Command {
  const command = new Command('events').description(
    'show what happens at one node, until interrupted'
  )
  return addConnectionOptions(command)
    .option('--count <n>', 'end after so many events', parseWhole)
    .addOption(repeatable('--type <name>', 'only events of this type, again for others', 'all'))
    .action((options: EventsOptions) => events(options, output))
}

async function events(options: EventsOptions, output: Output): Promise<void> {
  const client = await connectionOf(options)
  let seen = 0
  try {
    for await (const event of client.events('/v1/events', options.timeoutMs, expectAnswer)) {
      if (options.type.length > 0 && !options.type.includes(String(event.type))) continue
      output.line(options.json ? JSON.stringify(event) : renderEvent(event))
      if (++seen === options.count) return
    }
    throw new CliError(`${client.url} ended the stream`)
  } finally {
    client.close()
  }
}

export function renderEvent({ sequence, wallTime, type, ...facts }: Record<string, unknown>) {
  const at = typeof wallTime === 'number' ? new Date(wallTime).toISOString() : '-'
  const told = Object.entries(facts).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return printable([at, `#${sequence ?? '-'}`, String(type), ...told].join('  '))
}

function parseWhole(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new InvalidArgumentError('must be a whole number from 1')
}
