/** `recover`: a cluster goes on from its survivors when its majority is gone for good. */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import {
  followPlan,
  planRecovery,
  type RecoveryComponents,
  type RecoveryPlan,
  readSurvivor,
  SegmentedLog,
  type SurvivorReport
} from '../../consensus/index.js'
import { silentLogger, toNodeId } from '../../core/index.js'
import { NodeDisk, nodeClock, nodeCrypto } from '../../runtime/index.js'
import { loadTools } from '../backup/load-tools.js'
import { engineDirectory } from '../backup/seed-cluster.js'
import { makeWholeFile } from '../backup/whole.js'
import { CliError, usageError } from '../exit-codes.js'
import { repeatable } from '../help.js'
import { type Output, printable } from '../output.js'
import { encodePlan, encodeReport, readPlan, readReport } from './recovery-files.js'
import { DirectoryParts, enginesWith, type RecoveryAuthor } from './recovery-parts.js'
import { renderPlan, renderReport } from './render-recovery.js'

interface ShowOptions {
  readonly data: string
  readonly out?: string
  readonly json?: boolean
}

interface PlanOptions {
  readonly data: readonly string[]
  readonly report: readonly string[]
  readonly lost: readonly string[]
  readonly out: string
  readonly force?: boolean
  readonly json?: boolean
}

interface ApplyOptions {
  readonly plan: string
  readonly data: string
  readonly by: string
  readonly reason: string
  readonly force?: boolean
  readonly json?: boolean
}

const help = `
For a cluster whose majority never comes back. While one of the lost nodes can be brought back, do
that instead: nothing is lost then. Nodes are stopped first; their directories are locked meanwhile.

  skein recover show --data DIR --out n1.json          on each survivor
  skein recover plan --report n1.json --lost n2 --lost n3 --out plan.json
  skein recover apply --plan plan.json --data DIR --force    on each survivor

Every group goes on from the survivor that holds most of it, in a cluster of another id: nodes that
were lost and come back are refused. Grow it again with skein members add.`

export function recoverCommand(output: Output): Command {
  const recover = new Command('recover')
    .description('go on from what survivors hold when the majority is gone for good')
    .addHelpText('after', help)
  recover
    .command('show')
    .description('show what the data directory of a stopped node holds')
    .requiredOption('--data <directory>', 'the data directory')
    .option('--out <file>', 'write it to a new file, for the plan')
    .option('--json', 'print JSON')
    .action((options: ShowOptions) => show(options, output))
  recover
    .command('plan')
    .description('choose what each group goes on from, and say what may be lost; changes nothing')
    .addOption(
      repeatable('--data <directory>', 'a survivor’s data directory, again for others', 'none')
    )
    .addOption(repeatable('--report <file>', 'what a survivor holds, again for others', 'none'))
    .addOption(repeatable('--lost <node>', 'never comes back, again for others', 'none'))
    .requiredOption('--out <file>', 'the plan; a new file')
    .option('--force', 'also where the survivors are a quorum of every group')
    .option('--json', 'print JSON')
    .action((options: PlanOptions) => plan(options, output))
  recover
    .command('apply')
    .description('have the data directory of a survivor follow the plan')
    .requiredOption('--plan <file>', 'the plan')
    .requiredOption('--data <directory>', 'the survivor’s data directory')
    .option('--by <name>', 'who, for the audit trail', 'skein')
    .option('--reason <words>', 'why, for the audit trail', 'lost quorum')
    .option('--force', 'do it: what may be lost is lost for good')
    .option('--json', 'print JSON')
    .action((options: ApplyOptions) => apply(options, output))
  return recover
}

async function show({ data, out, json }: ShowOptions, output: Output): Promise<void> {
  const report = await reportOf(data)
  if (out !== undefined) await writeNew(out, encodeReport(report))
  output.line(json ? encodeReport(report).trimEnd() : renderReport(report))
}

async function plan(options: PlanOptions, output: Output): Promise<void> {
  const { data, report, lost, out, force = false, json } = options
  const reports = [
    ...(await Promise.all(report.map(readReport))),
    ...(await inTurn(data, (directory) => reportOf(directory)))
  ]
  if (reports.length === 0) throw usageError('say --data or --report of each survivor')
  const made = planRecovery(nodeCrypto(), { reports, lost: lost.map(toNodeId), force })
  await writeNew(out, encodePlan(made))
  output.line(json ? encodePlan(made).trimEnd() : renderPlan(made))
  const nodes = made.survivors.map(({ nodeId }) => nodeId).join(', ')
  output.note(`next: skein recover apply --plan ${out} --data … --force, for each of ${nodes}`)
}

async function apply(options: ApplyOptions, output: Output): Promise<void> {
  const { data, by, force = false, json } = options
  const made = await readPlan(options.plan)
  const { nodeId } = await reportOf(data)
  if (!force) {
    output.line(renderPlan(made))
    throw new CliError(`${nodeId} stays as it is: say --force to follow the plan`)
  }
  const { clusterId, clusterIdBefore, lost } = made
  const action = `RECOVER from ${clusterIdBefore}; lost ${lost.join(' ')}: ${options.reason}`
  const outcome = await followPlan(await componentsOf(data, { node: nodeId, by, action }), made)
  if (json) return output.line(JSON.stringify({ nodeId, outcome, clusterId }))
  const what = outcome === 'recovered' ? 'follows the plan' : 'follows the plan already'
  output.line(printable(`${nodeId} ${what}: cluster ${made.clusterName} (${clusterId})`))
  output.note(nextOf(made))
}

const nextOf = ({ survivors }: RecoveryPlan): string =>
  survivors.length === 1
    ? 'next: start it; then give new nodes empty directories, and skein members add NODE'
    : 'next: the same on every survivor, start them, and skein members add NODE for each of them'

async function reportOf(data: string): Promise<SurvivorReport> {
  return readSurvivor(await componentsOf(data, null))
}

async function componentsOf(
  data: string,
  author: RecoveryAuthor | null
): Promise<RecoveryComponents> {
  const { sqliteEngine } = await loadTools()
  const directory = resolve(data)
  const disk = new NodeDisk(directory)
  const [clock, crypto] = [nodeClock(), nodeCrypto()]
  const engines = sqliteEngine({ isolation: 'inline', readers: 1 })
  return {
    clock,
    crypto,
    logger: silentLogger,
    disk,
    log: new SegmentedLog({ disk }, { directory: 'log', segmentBytes }),
    engines: enginesWith(engines, { clock, crypto, disk }),
    parts: new DirectoryParts(author),
    engineDirectory: (group) => join(directory, engineDirectory(group))
  }
}

/** Of what a recovery writes nothing begins a new segment. */
const segmentBytes = Number.MAX_SAFE_INTEGER

const writeNew = (file: string, text: string): Promise<void> =>
  makeWholeFile(file, (made) => writeFile(made, text, { mode: 0o600 }))

async function inTurn<T, R>(values: readonly T[], work: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const value of values) results.push(await work(value))
  return results
}
