#!/usr/bin/env node
/**
 * `npm run simulate:membership`: the failure detector on virtual time. The last line of stdout is
 * one JSON object.
 */
import { Command } from 'commander'
import { simulateMembership } from '../../lib/testing.js'
import { countOption } from './count-option.js'
import { membershipTable } from './membership-table.js'

interface Flags {
  readonly nodes: number
  readonly seed: number
  readonly seconds: number
  readonly sizes: readonly number[]
  readonly json?: true
}

const badArguments = 2

function run({ nodes, seed, seconds, sizes, json }: Flags): void {
  const started = performance.now()
  const report = simulateMembership({
    nodes,
    seed,
    seconds,
    sizes,
    onProgress: (line) => process.stderr.write(`${line}\n`)
  })
  const wallSeconds = Math.round((performance.now() - started) / 100) / 10
  if (!json) {
    for (const line of membershipTable(report.rows)) process.stdout.write(`${line}\n`)
  }
  process.stdout.write(`${JSON.stringify({ ...report, seed, wall_seconds: wallSeconds })}\n`)
  process.exitCode = report.ok ? 0 : 1
}

const sizesOption = (text: string): number[] => text.split(',').map(countOption(2, 1_000))

await new Command('simulate:membership')
  .description('compare plain SWIM with each part of Lifeguard, and time the detection of deaths')
  .option('--nodes <number>', 'members of the experiment', countOption(8, 1_000), 128)
  .option('--seed <number>', 'the first seed', countOption(0), 1)
  .option('--seconds <number>', 'virtual seconds of each run', countOption(10), 120)
  .option('--sizes <list>', 'members when deaths are timed', sizesOption, [10, 100, 1_000])
  .option('--json', 'no summary beside the JSON object')
  .action(run)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : badArguments))
  .parseAsync()
