// Plants each bug of `mutants.mjs` that lies in the Raft core and breaks what holds at each moment, and demands that the core's own seeds find
// it, or the test that it names. Progress on stderr; the last line of stdout is one JSON object. `-- --mutant TEXT` runs those whose
// name contains TEXT, `-- --seeds N` gives up on a mutant after N seeds.
import { parseArgs } from 'node:util'
import { clear, huntInCore, huntInTest, plant } from './mutant-hunt.mjs'
import { mutants } from './mutants.mjs'

const { values } = parseArgs({
  options: { mutant: { type: 'string' }, seeds: { type: 'string', default: '300' } }
})
const seeds = Number(values.seeds)
if (!Number.isInteger(seeds) || seeds < 1) {
  console.error('--seeds must be a whole number from 1')
  process.exit(2)
}
const wanted = mutants.filter(
  ({ name, file, isOfClusters = false }) =>
    file.startsWith('src/consensus/raft/') && !isOfClusters && name.includes(values.mutant ?? '')
)

const outcomes = []
for (const mutant of wanted) {
  const root = plant(mutant, 'core')
  const failure = mutant.test ? await huntInTest(root, mutant.test) : await huntInCore(root, seeds)
  const reason = failure?.why.split('\n')[0].slice(0, 120)
  const by = mutant.test ? 'its test' : `seed ${failure?.seed}`
  const verdict = failure ? `caught   ${mutant.name}: ${by}, ${reason}` : null
  console.error(verdict ?? `SURVIVED ${mutant.name}`)
  const seed = failure?.seed ?? null
  outcomes.push({ mutant: mutant.name, caught: failure !== null, seed, reason })
}
clear()
const caught = outcomes.filter((outcome) => outcome.caught).length
const ok = wanted.length > 0 && caught === wanted.length
console.log(JSON.stringify({ ok, seeds, mutants: wanted.length, caught, outcomes }))
process.exitCode = ok ? 0 : 1
