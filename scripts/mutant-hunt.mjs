// Plants a bug in a copy of the built sources and lets one of the harnesses look for it.
import { spawn } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const build = resolve('.build')
const parts = [
  'lib',
  'src',
  'test/scenario/consensus',
  'test/scenario/transactions',
  'test/support',
  'test/unit/routing',
  'test/unit/failover',
  'test/unit/consensus'
]
/** Virtual time with faults of one seed of the cores. */
const coreFaultsMs = 6_000
/** And of one seed of two-phase commit. */
const twoPhaseFaultsMs = 4_000

export const plant = ({ name, ...edit }, place) => plantAll({ name, edits: [edit] }, place)

/** The copy stands beside what it is a copy of: it must find the same node_modules. */
export function plantAll({ name, edits }, place) {
  const root = join(build, 'mutants', String(place))
  rmSync(root, { recursive: true, force: true })
  for (const part of parts) cpSync(join(build, part), join(root, part), { recursive: true })
  for (const { file, find, replace } of edits) {
    const path = join(root, file)
    const pieces = readFileSync(path, 'utf8').split(find)
    if (pieces.length !== 2) throw new Error(`${name}: found ${pieces.length - 1} times in ${file}`)
    writeFileSync(path, pieces.join(replace))
  }
  return root
}

export const clear = () => rmSync(join(build, 'mutants'), { recursive: true, force: true })

/** Null, or the first seed that shows the bug, and how. */
export async function huntInCluster(root, { first, seeds, nodes, seconds }) {
  const numbers = { seed: first, seeds, nodes, seconds, workers: 1 }
  const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)])
  const command = [join(root, 'src/cli/main.js'), 'simulate']
  const args = [...command, ...flags, '--fail-fast', '--json']
  const { violations } = JSON.parse(await lastLine(args))
  const [violation] = violations
  if (violation === undefined) return null
  const { seed, invariant, detail } = violation
  return { seed, why: `${invariant}: ${detail}` }
}

export async function huntInCore(root, seeds) {
  const harness = pathToFileURL(join(root, 'test/support/raft/run-seeds.js')).href
  const code = `
    const { runSeeds } = await import(${JSON.stringify(harness)})
    const { failure } = runSeeds(${seeds}, ${coreFaultsMs})
    console.log(JSON.stringify(failure && { seed: failure.seed, why: failure.reason }))`
  return JSON.parse(await lastLine(['--input-type=module', '--eval', code]))
}

/** Routing alone, over fakes: whom it asks, how often, and what it says of the outcome. */
export async function huntInRouting(root, seeds) {
  const harness = pathToFileURL(join(root, 'test/unit/routing/query-fuzz.js')).href
  const code = `
    const { runSeeds } = await import(${JSON.stringify(harness)})
    const failure = await runSeeds(${seeds})
    console.log(JSON.stringify(failure && { seed: failure.seed, why: failure.reason }))
    process.exit(0)`
  return JSON.parse(await lastLine(['--input-type=module', '--eval', code]))
}

/** Two-phase commit alone: every crash under every partition, then seeds; null, or what shows the bug. */
export async function huntInTwoPhase(root, seeds) {
  const support = join(root, 'test/support/two-phase')
  const [matrix, runs] = ['crash-matrix.js', 'run-seeds.js'].map(
    (file) => pathToFileURL(join(support, file)).href
  )
  const code = `
    const { allCases, runCase } = await import(${JSON.stringify(matrix)})
    const { runSeeds } = await import(${JSON.stringify(runs)})
    const say = (found) => { console.log(JSON.stringify(found)); process.exit(0) }
    const { failure } = runSeeds(${seeds}, ${twoPhaseFaultsMs})
    if (failure) say({ by: 'seed ' + failure.seed, why: failure.reason })
    let count = 0
    for (const one of allCases()) {
      try { runCase(++count, one) } catch (error) { say({ by: 'case ' + count, why: error.message }) }
    }
    say(null)`
  return JSON.parse(await lastLine(['--input-type=module', '--eval', code]))
}

/** Rolling restarts of a model cluster, with the real drivers. */
export async function huntInRestarts(root, seeds) {
  const harness = pathToFileURL(join(root, 'test/support/restart/run-seeds.js')).href
  const code = `
    const { runSeeds } = await import(${JSON.stringify(harness)})
    const { failure } = await runSeeds(${seeds})
    console.log(JSON.stringify(failure && { seed: failure.seed, why: failure.reason }))
    process.exit(0)`
  return JSON.parse(await lastLine(['--input-type=module', '--eval', code]))
}

/** One file of unit tests; null, or the first of them that fails. */
export async function huntInTest(root, file) {
  const told = await output([join(root, file)])
  if (!told.startsWith('TAP')) throw new Error(`${file} is no test that runs`)
  const failed = told.split('\n').find((line) => line.startsWith('not ok'))
  return failed === undefined ? null : { why: `${file}: ${failed}` }
}

const lastLine = async (args) => (await output(args)).trim().split('\n').at(-1) ?? ''

/** What a process of Node's prints. */
async function output(args) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const chunks = []
  for await (const chunk of child.stdout) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
