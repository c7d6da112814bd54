// Does the simulator have teeth? Each bug of `mutants.mjs` is planted in a copy of the compiled library,
// and the copy is simulated until an invariant breaks. Ends with one JSON object; fails when one of the
// bugs is not found. `--only TEXT` picks by name, `--seeds N` bounds the search.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { mutants } from './mutants.mjs'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seeds: { type: 'string', default: '300' },
    nodes: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '30' }
  }
})
const root = '.build/mutants'
const chosen = mutants.filter(({ name }) => name.includes(values.only))
const results = []
for (const mutant of chosen) {
  const result = await hunt(mutant)
  results.push(result)
  const told = result.caught ? `${result.invariant}, seed ${result.seed}` : 'NOT CAUGHT'
  console.error(`${results.length}/${chosen.length} ${mutant.name}: ${told} (${result.seconds} s)`)
}
rmSync(root, { recursive: true, force: true })
const ok = results.length > 0 && results.every(({ caught }) => caught)
console.log(
  JSON.stringify({ ok, caught: results.filter(({ caught }) => caught).length, mutants: results })
)
process.exitCode = ok ? 0 : 1

async function hunt(mutant) {
  const startedAt = performance.now()
  plant(mutant)
  const { seeds, nodes, seconds } = values
  const args = ['--seed', '1', '--seeds', seeds, '--nodes', nodes, '--seconds', seconds]
  const report = await simulate([...args, '--fail-fast', '--json'])
  const [violation] = report.violations
  return {
    name: mutant.name,
    caught: violation !== undefined,
    invariant: violation?.invariant ?? null,
    seed: violation?.seed ?? null,
    seeds: report.seeds,
    seconds: Math.round((performance.now() - startedAt) / 1000)
  }
}

function plant({ file, find, replace }) {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  cpSync('dist', root, { recursive: true })
  const path = join(root, file)
  const text = readFileSync(path, 'utf8')
  const occurrences = text.split(find).length - 1
  if (occurrences !== 1) throw new Error(`${file} has ${occurrences} times: ${find}`)
  writeFileSync(
    path,
    text.replace(find, () => replace)
  )
}

async function simulate(args) {
  const child = spawn(process.execPath, [join(root, 'src/cli/simulate-main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const chunks = []
  for await (const chunk of child.stdout) chunks.push(chunk)
  const line = Buffer.concat(chunks).toString().trim().split('\n').at(-1) ?? ''
  return JSON.parse(line)
}
