/**
 * `simulate`: whole clusters on virtual time, by seed. The last line of stdout is one JSON
 * object.
 */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import { type CampaignProgress, runCampaign, simulate } from '../../lib/testing.js'

interface Flags {
  readonly seed: number
  readonly seeds: number
  readonly nodes: number
  readonly seconds: number
  readonly workers: number
  readonly json?: true
  readonly trace?: true
  readonly failFast?: true
}

/** Real time for one seed, after which its process is taken to be stuck. */
const seedTimeoutMs = 180_000

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('run whole clusters on virtual time, with faults, and judge them')
    .option('--seed <number>', 'the first seed', count(0), 1)
    .option('--seeds <number>', 'how many seeds', count(1), 1)
    .option('--nodes <number>', 'nodes of each cluster', count(1, 7), 5)
    .option('--seconds <number>', 'virtual seconds with faults', count(1), 30)
    .option('--workers <number>', 'processes', count(1), availableParallelism())
    .option('--json', 'no summary beside the JSON object')
    .option('--trace', 'tell what happens in the first seed, and run no other')
    .option('--fail-fast', 'begin no seed after the first violation')
    .action(async (flags: Flags) => {
      process.exitCode = flags.trace ? await runTraced(flags) : await runAll(flags)
    })
}

async function runAll(flags: Flags): Promise<number> {
  const report = await runCampaign({
    firstSeed: flags.seed,
    seeds: flags.seeds,
    nodes: flags.nodes,
    seconds: flags.seconds,
    workers: Math.min(flags.workers, flags.seeds),
    workerModule: new URL('./simulate-worker.js', import.meta.url),
    seedTimeoutMs,
    stopsAtViolation: flags.failFast ?? false,
    onProgress: tell
  })
  if (!flags.json) {
    const { seeds, virtual_seconds, wall_seconds, speed, operations } = report
    process.stderr.write(
      `${seeds} seeds, ${virtual_seconds} virtual seconds in ${wall_seconds} s ` +
        `(${speed} times real time), ${operations} operations, ` +
        `${report.violations.length} violations\n`
    )
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
  return report.ok ? 0 : 1
}

async function runTraced(flags: Flags): Promise<number> {
  const write = (line: string) => process.stderr.write(`${line}\n`)
  const result = await simulate(flags.seed, flags, write)
  for (const { invariant, at, detail } of result.violations) {
    write(`seed ${flags.seed}: ${invariant} at ${at} ms: ${detail}`)
  }
  const { history: _, ...rest } = result
  process.stdout.write(`${JSON.stringify(rest)}\n`)
  return result.ok ? 0 : 1
}

function tell({ done, total, outcome }: CampaignProgress): void {
  const { seed, violations, hash, virtualMs, operationsOk, elections, swarm } = outcome
  const verdict = violations.length === 0 ? 'ok' : 'FAILED'
  process.stderr.write(
    `${done}/${total} seed ${seed} ${verdict} ${hash} ${virtualMs} ms ` +
      `${operationsOk} operations ${elections} elections ${swarm}\n`
  )
  for (const { invariant, at, detail } of violations) {
    process.stderr.write(`  ${invariant} at ${at} ms: ${detail}\n`)
  }
}

function count(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`must be an integer from ${min} to ${max}`)
  }
}
