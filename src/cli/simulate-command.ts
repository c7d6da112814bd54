/**
 * `simulate`: whole clusters on virtual time, by seed. The last line of stdout is one JSON
 * object.
 */
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import type { CampaignProgress, SimulationOptions, Trouble } from '../../lib/testing.js'
import { countOption } from './count-option.js'
import { CliError } from './exit-codes.js'
import type { Output } from './output.js'

interface Flags {
  readonly seed: number
  readonly seeds: number
  readonly nodes: number
  readonly seconds: number
  readonly workers: number
  readonly without?: readonly Trouble[]
  readonly strikes?: readonly string[]
  readonly json?: true
  readonly trace?: true
  readonly failFast?: true
  readonly minimise?: true
}

/** Real time without a sign of life, after which a process is taken to be stuck. */
const seedTimeoutMs = 180_000
/** Runs that make a failing seed smaller. */
const minimiseAttemptsMax = 200

const help = `
Examples:
  skein simulate --seeds 300            300 clusters, as many at a time as there are processors
  skein simulate --seed 214 --trace     one seed again, told step by step on stderr
  skein simulate --seed 214 --minimise  less time, fewer nodes and faults, as long as it still fails

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
    .option(
      '--minimise',
      'make the first seed smaller, as long as it fails, and print how to run it'
    )
    .option('--without <list>', 'kinds of trouble that are left out', troublesOption)
    .option('--strikes <list>', 'names of the only faults that strike, or none', strikesOption)
    .addHelpText('after', help)
    .action((flags: Flags) => {
      if (flags.minimise) return runMinimised(flags, output)
      return flags.trace ? runTraced(flags, output) : runAll(flags, output)
    })
}

/** Held here as well: only the command that runs may load the simulator. */
const troubleNames = Object.keys({
  crash: true,
  pause: true,
  partition: true,
  one_way: true,
  leader_hunt: true,
  swizzle: true,
  skew: true,
  loss: true,
  duplicate: true,
  reorder: true,
  delay: true,
  split: true,
  break: true,
  operator: true,
  mail: true,
  members: true,
  compaction: true,
  control: true,
  transactions: true,
  sessions: true,
  planned: true,
  leases: true,
  bounds: true
} satisfies Record<Trouble, true>) as Trouble[]

function troublesOption(text: string): Trouble[] {
  return text.split(',').map((name) => {
    const known = troubleNames.find((trouble) => trouble === name)
    if (known !== undefined) return known
    throw new InvalidArgumentError(`must be of ${troubleNames.join(', ')}`)
  })
}

function strikesOption(text: string): string[] {
  const names = text === 'none' ? [] : text.split(',')
  if (names.every((name) => /^[a-z_]+\.\d+$/.test(name))) return names
  throw new InvalidArgumentError("must be names such as crash.2,partition.1, or 'none'")
}

const optionsOf = ({ nodes, seconds, without, strikes }: Flags): SimulationOptions => ({
  nodes,
  seconds,
  ...(without === undefined ? {} : { without }),
  ...(strikes === undefined ? {} : { strikes })
})

/** @throws CliError the seed fails, as it was to */
async function runMinimised(flags: Flags, output: Output): Promise<void> {
  const { minimise, replayArguments, simulate } = await import('../../lib/testing.js')
  const run = (seed: number, options: SimulationOptions) => simulate(seed, options)
  const smallest = await minimise(flags.seed, optionsOf(flags), run, {
    attemptsMax: minimiseAttemptsMax,
    onSmaller: (smaller) =>
      output.note(`after ${smaller.attempts} runs: ${replayArguments(smaller).join(' ')}`)
  })
  output.line(JSON.stringify(smallest))
  if (smallest === null) return output.note(`seed ${flags.seed} breaks nothing`)
  const { violation, attempts } = smallest
  throw new CliError(
    `${violation.invariant} at ${violation.at} ms, the smallest of ${attempts} runs: ` +
      `skein simulate ${replayArguments(smallest).join(' ')} --trace`
  )
}

/** @throws CliError something was violated */
async function runAll(flags: Flags, output: Output): Promise<void> {
  // Only this command needs the simulator.
  const { runCampaign } = await import('../../lib/testing.js')
  const report = await runCampaign({
    firstSeed: flags.seed,
    seeds: flags.seeds,
    ...optionsOf(flags),
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
  const result = await simulate(flags.seed, optionsOf(flags), (line) => output.note(line))
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
