// Plants each bug of `raft-mutants.mjs` in a copy of the built sources and demands that the seeds find it.
// Progress on stderr; the last line of stdout is one JSON object. `-- --mutant TEXT` runs those whose
// name contains TEXT, `-- --seeds N` gives up on a mutant after N seeds.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { mutants } from './raft-mutants.mjs'

const { values } = parseArgs({
  options: { mutant: { type: 'string' }, seeds: { type: 'string', default: '300' } }
})
const seeds = Number(values.seeds)
if (!Number.isInteger(seeds) || seeds < 1) {
  console.error('--seeds must be a whole number from 1')
  process.exit(2)
}
const faultsMs = 6_000
const build = resolve('.build')
const workshop = join(build, 'raft-mutants')
const wanted = mutants.filter(({ name }) => name.includes(values.mutant ?? ''))

const outcomes = []
for (const [number, mutant] of wanted.entries()) {
  const root = join(workshop, String(number))
  rmSync(root, { recursive: true, force: true })
  for (const part of ['src/core', 'src/wire', 'src/consensus', 'test/support/raft']) {
    cpSync(join(build, part), join(root, part), { recursive: true })
  }
  plant(root, mutant)
  const harness = await import(pathToFileURL(join(root, 'test/support/raft/run-seeds.js')).href)
  const { failure } = harness.runSeeds(seeds, faultsMs)
  const reason = failure?.reason.split('\n')[0].slice(0, 120)
  console.error(
    failure ? `caught   ${mutant.name}: seed ${failure.seed}, ${reason}` : `SURVIVED ${mutant.name}`
  )
  outcomes.push({
    mutant: mutant.name,
    caught: failure !== null,
    seed: failure?.seed ?? null,
    reason
  })
}
rmSync(workshop, { recursive: true, force: true })
const caught = outcomes.filter((outcome) => outcome.caught).length
const ok = wanted.length > 0 && caught === wanted.length
console.log(JSON.stringify({ ok, seeds, mutants: wanted.length, caught, outcomes }))
process.exitCode = ok ? 0 : 1

function plant(root, { name, file, find, replace }) {
  const path = join(root, file)
  const source = readFileSync(path, 'utf8')
  const parts = source.split(find)
  if (parts.length !== 2) throw new Error(`${name}: found ${parts.length - 1} times in ${file}`)
  writeFileSync(path, parts.join(replace))
}
