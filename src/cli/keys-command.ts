/** `keys`: the gossip keys of all members, through the admin API of any one. */
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import type { GossipKeysReport } from '../core/index.js'
import type { AdminClient } from './admin-client.js'
import {
  addConnectionOptions,
  type ConnectionOptions,
  connectionOf,
  expectAnswer
} from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, table } from './output.js'
import { describeReport } from './tell-report.js'

interface KeyOptions extends ConnectionOptions {
  readonly force?: boolean
}

interface InstallOptions extends KeyOptions {
  readonly key?: string
}

const force = '--force'
const forceHelp = 'without members that do not answer: they are deaf until they have come back'

export function keysCommand(output: Output): Command {
  const keys = new Command('keys').description(
    'change gossip keys: install → use → remove, or rotate'
  )
  const verb = (name: string, about: string) =>
    addConnectionOptions(keys.command(name).description(about))
  verb('list', 'show which keys the members have').action((options: ConnectionOptions) =>
    run(options, output, (client) => list(client, options))
  )
  verb('install', 'give a key to all members')
    .option('--key <hex>', '32 bytes as 64 hex digits; a new one by default')
    .option(force, forceHelp)
    .action(({ key, ...options }: InstallOptions) =>
      run(options, output, (client) =>
        post(
          client,
          'install',
          { ...(key === undefined ? {} : { key }), ...forced(options) },
          options
        )
      )
    )
  for (const [name, about] of [
    ['use', 'seal with this key from now on'],
    ['remove', 'take a key from all members']
  ] as const) {
    verb(name, about)
      .argument('<id>', 'of the key, as skein keys list shows it')
      .option(force, forceHelp)
      .action((id: string, options: KeyOptions) =>
        run(options, output, (client) => post(client, name, { id, ...forced(options) }, options))
      )
  }
  verb('rotate', 'give all members a new key and take the old; goes on where it was left')
    .option(force, forceHelp)
    .action((options: KeyOptions) =>
      run(options, output, (client) => rotate(client, options, output))
    )
  return keys
}

const forced = ({ force = false }: KeyOptions) => ({ force })

async function run(
  options: ConnectionOptions,
  output: Output,
  call: (client: AdminClient) => Promise<GossipKeysReport>
): Promise<void> {
  const client = await connectionOf(options)
  try {
    const report = await call(client)
    output.line(options.json ? JSON.stringify(report) : renderKeys(report))
    if (report.errors.length > 0) throw new CliError('incomplete: not every member answered')
  } finally {
    client.close()
  }
}

const list = async (client: AdminClient, { timeoutMs }: ConnectionOptions) =>
  expectAnswer(await client.get('/v1/keys', timeoutMs), client.url) as GossipKeysReport

const post = async (
  client: AdminClient,
  verb: string,
  body: object,
  { timeoutMs }: ConnectionOptions
) =>
  expectAnswer(
    await client.post(`/v1/keys/${verb}`, body, timeoutMs),
    client.url
  ) as GossipKeysReport

/**
 * Every step can be made again, so a rotation that was interrupted is finished by another: the
 * members know which key is to become the primary.
 */
async function rotate(
  client: AdminClient,
  options: KeyOptions,
  output: Output
): Promise<GossipKeysReport> {
  let report = await list(client, options)
  const progress = new Progress(output, report.nodes * 3)
  try {
    const resumed = report.rotating
    if (resumed === null) {
      report = await post(client, 'install', { rotates: true, ...forced(options) }, options)
    } else output.note(`going on with the rotation to ${resumed}`)
    const next = report.rotating
    if (next === null) throw new CliError('another rotation has ended meanwhile; look at keys list')
    progress.reached(countOf(report, next).installed, `installed ${next}`)
    report = await post(client, 'use', { id: next, ...forced(options) }, options)
    progress.reached(report.nodes + countOf(report, next).used, `using ${next}`)
    const old = report.keys.filter(({ id }) => id !== next)
    for (const { id } of old) {
      report = await post(client, 'remove', { id, ...forced(options) }, options)
      progress.reached(2 * report.nodes, `removed ${id}`)
    }
    progress.reached(2 * report.nodes + report.responses, `only ${next} is left`)
    return report
  } finally {
    progress.stop()
  }
}

const countOf = ({ keys }: GossipKeysReport, id: string) =>
  keys.find((key) => key.id === id) ?? { installed: 0, used: 0 }

/** A bar on a terminal, a line per step elsewhere. */
class Progress {
  readonly #output: Output
  readonly #bar: SingleBar | null = null

  constructor(output: Output, total: number) {
    this.#output = output
    if (output.terminal === undefined) return
    this.#bar = new SingleBar({ format: '{bar} {value}/{total} {step}', stream: output.terminal })
    this.#bar.start(total, 0, { step: '' })
  }

  reached(value: number, step: string): void {
    if (this.#bar === null) this.#output.note(step)
    else this.#bar.update(value, { step })
  }

  stop(): void {
    this.#bar?.stop()
  }
}

export function renderKeys(report: GossipKeysReport): string {
  const { nodes, keys, version, rotating } = report
  const rows = keys.map(({ id, isPrimary, installed, used }) => [
    id,
    isPrimary ? 'primary' : id === rotating ? 'next' : '',
    `${installed}/${nodes}`,
    `${used}/${nodes}`
  ])
  const answered = `version ${version}, answered by ${describeReport(report)}`
  return `${table(['key', '', 'installed', 'used'], rows)}\n${answered}`
}
