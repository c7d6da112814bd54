// Plants each bug of `two-phase-mutants.mjs` and demands that the seeds or the crash matrix of two-phase commit find it. Progress
// on stderr; the last line of stdout is one JSON object. `-- --mutant TEXT` runs those whose name contains TEXT,
// `-- --seeds N` gives up on a mutant after N seeds.
import { parseArgs } from 'node:util'
import { clear, huntInTwoPhase, plant } from './mutant-hunt.mjs'
import { twoPhaseMutants } from './two-phase-mutants.mjs'

const { values } = parseArgs({
  options: { mutant: { type: 'string' }, seeds: { type: 'string', default: '100' } }
})
const seeds = Number(values.seeds)
if (!Number.isInteger(seeds) || seeds < 1) {
  console.error('--seeds must be a whole number from 1')
  process.exit(2)
}
const wanted = twoPhaseMutants.filter(({ name }) => name.includes(values.mutant ?? ''))

const outcomes = []
for (const mutant of wanted) {
  const found = await huntInTwoPhase(plant(mutant, 'two-phase'), seeds)
  const reason = found?.why.split('\n')[0].slice(0, 120)
  console.error(
    found ? `caught   ${mutant.name}: ${found.by}, ${reason}` : `SURVIVED ${mutant.name}`
  )
  outcomes.push({ mutant: mutant.name, caught: found !== null, by: found?.by ?? null, reason })
}
clear()
const caught = outcomes.filter((outcome) => outcome.caught).length
const ok = wanted.length > 0 && caught === wanted.length
console.log(JSON.stringify({ ok, seeds, mutants: wanted.length, caught, outcomes }))
process.exitCode = ok ? 0 : 1
