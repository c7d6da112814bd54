// Plants each bug of `restart-mutants.mjs` in a copy of the built sources, and demands that simulated
// rolling restarts find it. Progress on stderr; the last line of stdout is one JSON object.
// `-- --mutant TEXT` runs those whose name contains TEXT, `-- --seeds N` gives up after N seeds.
import { parseArgs } from 'node:util'
import { clear, huntInRestarts, plantAll } from './mutant-hunt.mjs'
import { restartMutants } from './restart-mutants.mjs'

const { values } = parseArgs({
  options: { mutant: { type: 'string' }, seeds: { type: 'string', default: '300' } }
})
const seeds = Number(values.seeds)
if (!Number.isInteger(seeds) || seeds < 1) {
  console.error('--seeds must be a whole number from 1')
  process.exit(2)
}
const wanted = restartMutants.filter(({ name }) => name.includes(values.mutant ?? ''))

const outcomes = []
for (const mutant of wanted) {
  const failure = await huntInRestarts(plantAll(mutant, 'restart'), seeds)
  const reason = failure?.why.split('\n')[0].slice(0, 120) ?? null
  const told = failure ? `caught   ${mutant.name}: seed ${failure.seed}, ${reason}` : null
  console.error(told ?? `SURVIVED ${mutant.name}`)
  const seed = failure?.seed ?? null
  outcomes.push({ mutant: mutant.name, caught: failure !== null, seed, reason })
}
clear()
const caught = outcomes.filter((outcome) => outcome.caught).length
const ok = wanted.length > 0 && caught === wanted.length
console.log(JSON.stringify({ ok, seeds, mutants: wanted.length, caught, outcomes }))
process.exitCode = ok ? 0 : 1
