/**
 * `simulate`: whole clusters on virtual time, by seed. The last line of stdout is one JSON
 * object.
 */
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import type { CampaignProgress } from '../../lib/testing.js'
import { countOption } from './count-option.js'
import { CliError } from './exit-codes.js'
import type { Output } from './output.js'

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

const help = `
Examples:
  skein simulate --seeds 300            300 clusters, as many at a time as there are processors
  skein simulate --seed 214 --trace     one seed again, told step by step on stderr

The last line of stdout is one JSON object; a line for each seed goes to stderr. Exit status: 0 when
nothing was violated, 1 when something was, 2 when the arguments are wrong.`

export function simulateCommand(output: Output): Command {
  return new Command('simulate')
    .description('run whole clusters on virtual time, with faults, and judge them')
    .option('--seed <n>', 'the first seed', countOption(0), 1)
    .option('--seeds <n>', 'how many seeds', countOption(1), 1)
    .option('--nodes <n>', 'nodes of each cluster, 1 to 7', countOption(1, 7), 5)
    .option('--seconds <n>', 'virtual seconds with faults', countOption(1), 30)
    .option('--workers <n>', 'processes', countOption(1), availableParallelism())
    .option('--json', 'no summary beside the JSON object')
    .option('--trace', 'tell what happens in the first seed, and run no other')
    .option('--fail-fast', 'begin no seed after the first violation')
    .addHelpText('after', help)
    .action((flags: Flags) => (flags.trace ? runTraced(flags, output) : runAll(flags, output)))
}

/** @throws CliError something was violated */
async function runAll(flags: Flags, output: Output): Promise<void> {
  // Only this command needs the simulator.
  const { runCampaign } = await import('../../lib/testing.js')
  const report = await runCampaign({
    firstSeed: flags.seed,
    seeds: flags.seeds,
    nodes: flags.nodes,
    seconds: flags.seconds,
    workers: Math.min(flags.workers, flags.seeds),
    workerModule: new URL('./simulate-worker.js', import.meta.url),
    seedTimeoutMs,
    stopsAtViolation: flags.failFast ?? false,
    onProgress: (progress) => tell(progress, output)
  })
  const { seeds, violations, virtual_seconds, wall_seconds, speed, operations } = report
  if (!flags.json) {
    output.note(
      `${seeds} seeds, ${virtual_seconds} virtual seconds in ${wall_seconds} s ` +
        `(${speed} times real time), ${operations} operations, ${violations.length} violations`
    )
  }
  output.line(JSON.stringify(report))
  if (report.ok) return
  const [first] = violations
  const never = Object.entries(report.faults).flatMap(([kind, hits]) => (hits > 0 ? [] : [kind]))
  throw new CliError(
    first === undefined
      ? `no seed shows ${never.join(', ')}`
      : `${first.invariant} in seed ${first.seed}: see skein simulate --seed ${first.seed} ` +
          `--nodes ${flags.nodes} --seconds ${flags.seconds} --trace`
  )
}

/** @throws CliError something was violated */
async function runTraced(flags: Flags, output: Output): Promise<void> {
  const { simulate } = await import('../../lib/testing.js')
  const result = await simulate(flags.seed, flags, (line) => output.note(line))
  for (const { invariant, at, detail } of result.violations) {
    output.note(`seed ${flags.seed}: ${invariant} at ${at} ms: ${detail}`)
  }
  const { history: _, ...rest } = result
  output.line(JSON.stringify(rest))
  if (!result.ok) throw new CliError(`seed ${flags.seed} breaks an invariant`)
}

function tell({ done, total, outcome }: CampaignProgress, output: Output): void {
  const { seed, violations, hash, virtualMs, operationsOk, elections, swarm } = outcome
  const verdict = violations.length === 0 ? 'ok' : 'FAILED'
  output.note(
    `${done}/${total} seed ${seed} ${verdict} ${hash} ${virtualMs} ms ` +
      `${operationsOk} operations ${elections} elections ${swarm}`
  )
  for (const { invariant, at, detail } of violations) {
    output.note(`  ${invariant} at ${at} ms: ${detail}`)
  }
}
