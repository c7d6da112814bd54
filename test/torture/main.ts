/**
 * `npm run torture -- --minutes M --seed S [--workload W]`, or
 * `npm run torture -- --power-failure --rounds N --seed S`, or
 * `npm run torture -- --crash-points --rounds N --seed S`: real nodes under load and faults. The
 * last line of stdout is one JSON object; what happens is told on stderr.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { families } from './at-once.js'
import { runCrashPoints } from './crash-points/campaign.js'
import { type CrashPoint, crashPointNames } from './crash-points/crash-points.js'
import { type NemesisKind, nemesisKinds } from './nemesis.js'
import { runPowerFailures } from './power-failure.js'
import { runTorture } from './torture-run.js'
import { type WorkloadName, workloadNames } from './workloads.js'

const usage = `npm run torture -- [--minutes M] [--seed S] [--nodes N] [--workload W,…]
                   [--nemesis KIND,…] [--at-once K] [--history FILE]
npm run torture -- --power-failure [--rounds N] [--seed S] [--nodes N] [--workload W,…]
npm run torture -- --crash-points [--rounds N] [--seed S] [--nodes N] [--workload W,…]
                   [--points POINT,…]
workloads: ${workloadNames.join(', ')}
nemeses: ${nemesisKinds.join(', ')}
points: ${crashPointNames.join(', ')}`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    workload: { type: 'string', default: workloadNames.join(',') },
    nemesis: { type: 'string' },
    'at-once': { type: 'string', default: '1' },
    history: { type: 'string' },
    points: { type: 'string', default: crashPointNames.join(',') },
    'power-failure': { type: 'boolean', default: false },
    'crash-points': { type: 'boolean', default: false }
  }
})

type NumberName = 'minutes' | 'rounds' | 'seed' | 'nodes' | 'at-once'

/** @throws RangeError */
function number(name: NumberName, text: string, max: number): number {
  const value = Number(text)
  const isWhole = name === 'minutes' || Number.isInteger(value)
  if (text.trim() !== '' && isWhole && value >= 0 && value <= max) return value
  throw new RangeError(`--${name}: must be a number up to ${max}, got ${text}`)
}

/** @throws RangeError */
function listOf<T extends string>(name: string, known: readonly T[], text: string): T[] {
  return text.split(',').map((word) => {
    const found = known.find((one) => one === word)
    if (found !== undefined) return found
    throw new RangeError(`--${name}: ${word} is none of ${known.join(', ')}`)
  })
}

const tell = (line: string): void => void process.stderr.write(`torture: ${line}\n`)

async function run(): Promise<{ readonly ok: boolean }> {
  const isPowerFailure = values['power-failure']
  const isCrashPoints = values['crash-points']
  const seed = number('seed', values.seed, Number.MAX_SAFE_INTEGER)
  const common = {
    seed,
    nodes: number('nodes', values.nodes ?? (isPowerFailure || isCrashPoints ? '3' : '5'), 9),
    workloads: listOf<WorkloadName>('workload', workloadNames, values.workload),
    historyFile: values.history ?? join(tmpdir(), `skein-torture-${seed}-${process.pid}.jsonl`)
  }
  if (isPowerFailure) {
    return runPowerFailures({ ...common, rounds: number('rounds', values.rounds, 10_000) }, tell)
  }
  if (isCrashPoints) {
    const points = listOf<CrashPoint>('points', crashPointNames, values.points)
    const rounds = number('rounds', values.rounds, 1_000)
    return runCrashPoints({ ...common, points, rounds, processesPerWorkload: 3 }, tell)
  }
  const nemeses =
    values.nemesis === undefined
      ? null
      : listOf<NemesisKind>('nemesis', nemesisKinds, values.nemesis)
  const minutes = number('minutes', values.minutes, 1_440)
  const atOnce = Math.max(1, number('at-once', values['at-once'], families.length))
  return runTorture({ ...common, minutes, nemeses, atOnce }, tell)
}

try {
  const report = await run()
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = report.ok ? 0 : 1
} catch (error) {
  const isUsage = error instanceof RangeError
  process.stderr.write(isUsage ? `${error.message}\n${usage}\n` : `${(error as Error).stack}\n`)
  process.stdout.write(`${JSON.stringify({ ok: false, error: (error as Error).message })}\n`)
  process.exitCode = isUsage ? 2 : 1
}
