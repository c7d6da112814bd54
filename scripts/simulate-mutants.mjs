// Do the simulators have teeth? Each bug of `mutants.mjs` is planted in a copy of the built sources, and
// three harnesses look for it: whole clusters first, the seed that showed it before and a few others; then routing or
// Raft cores alone, which are quick, where the bug lies there; then the clusters again, up to the bound. A bug that a
// second line of defence makes harmless names the test that holds the first. Ends with a table on stderr and one JSON
// object; fails when a bug is not found.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import {
  clear,
  huntInCluster,
  huntInCore,
  huntInRouting,
  huntInTest,
  plant
} from './mutant-hunt.mjs'
import { mutants } from './mutants.mjs'

const usage = `usage: npm run simulate:mutants -- [--only TEXT] [--seeds N] [--workers N] [--json]
  --only TEXT   plants only the bugs whose names contain TEXT
  --seeds N     seeds after which a bug counts as not found (300)
  --workers N   bugs hunted at the same time (${availableParallelism()})`
const { only, seeds, workers } = readArguments()
/** Seeds of whole clusters before the quick harnesses have their turn. */
const firstSeeds = Math.min(6, seeds)
const cluster = { nodes: 5, seconds: 30 }

const wanted = mutants.filter(({ name }) => name.includes(only))
if (wanted.length === 0) fail(`--only: no bug is called like '${only}'`)
const startedAt = performance.now()
const results = new Map()
const queue = [...wanted.entries()]
await Promise.all(Array.from({ length: workers }, (_, number) => work(number)))
clear()
report()

async function work(number) {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [at, mutant] = next
    const begunAt = performance.now()
    const found = await hunt(plant(mutant, number), mutant)
    const seconds = Math.round((performance.now() - begunAt) / 1_000)
    const { seed = null, by = null, why = '' } = found ?? {}
    results.set(at, { name: mutant.name, caught: found !== null, by, seed, seconds })
    const told = found ? `${by}, ${seed ?? 'no seed'}: ${firstLine(why)}` : 'NOT CAUGHT'
    console.error(`${results.size}/${wanted.length} ${mutant.name}: ${told} (${seconds} s)`)
  }
}

async function hunt(root, { file, shownBy, test }) {
  if (test !== undefined) {
    const failed = await huntInTest(root, test)
    return failed && { by: 'test', ...failed }
  }
  const { seed, ...size } = shownBy ?? {}
  const again = shownBy && (await huntInCluster(root, { ...size, first: seed, seeds: 1 }))
  if (again) return { by: 'cluster', ...again }
  const early = await huntInCluster(root, { ...cluster, first: 1, seeds: firstSeeds })
  if (early !== null) return { by: 'cluster', ...early }
  const inRouting = file.startsWith('src/routing/') ? await huntInRouting(root, seeds) : null
  if (inRouting !== null) return { by: 'routing', ...inRouting }
  const inCore = file.startsWith('src/consensus/') ? await huntInCore(root, seeds) : null
  if (inCore !== null) return { by: 'core', ...inCore }
  if (firstSeeds === seeds) return null
  const rest = { first: firstSeeds + 1, seeds: seeds - firstSeeds }
  const late = await huntInCluster(root, { ...cluster, ...rest })
  return late && { by: 'cluster', ...late }
}

function report() {
  const rows = wanted.map((_, at) => results.get(at))
  const width = Math.max(...rows.map(({ name }) => name.length))
  console.error(`\n${'bug'.padEnd(width)}  caught by  seed  seconds`)
  for (const { name, caught, by, seed, seconds } of rows) {
    const [who, which] = caught ? [by, String(seed ?? '')] : ['NOBODY', '']
    const cells = [name.padEnd(width), who.padEnd(9), which.padStart(4), `${seconds}`.padStart(7)]
    console.error(cells.join('  '))
  }
  const caught = rows.filter((row) => row.caught).length
  const ok = caught === rows.length
  const wall_seconds = Math.round((performance.now() - startedAt) / 1_000)
  console.log(JSON.stringify({ ok, caught, seeds, wall_seconds, mutants: rows }))
  process.exitCode = ok ? 0 : 1
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: '' },
        seeds: { type: 'string', default: '300' },
        workers: { type: 'string', default: String(availableParallelism()) },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' }
      }
    })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    const count = (name) => {
      const value = Number(values[name])
      if (Number.isSafeInteger(value) && value >= 1) return value
      return fail(`--${name} must be a whole number from 1, not '${values[name]}'`)
    }
    return { only: values.only, seeds: count('seeds'), workers: count('workers') }
  } catch (error) {
    return fail(error.message)
  }
}

function fail(message) {
  console.error(`${message}\n${usage}`)
  process.exit(2)
}

function firstLine(text) {
  return text.split('\n')[0].slice(0, 120)
}
