/** `npm run fuzz -- engine --runs N [--seed S]`: N statements, in runs from an empty database. */
import { parseArgs } from 'node:util'
import { fuzzEngine } from './engine-fuzz.js'

const statementsPerRun = 1_000

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false }
  }
})
const runs = Number(values.runs)
const firstSeed = Number(values.seed)
if (positionals.join() !== 'engine' || !(runs >= 1) || !Number.isSafeInteger(firstSeed)) {
  process.stderr.write('usage: npm run fuzz -- engine [--runs N] [--seed S]\n')
  process.exitCode = 2
} else {
  run()
}

function run(): void {
  const started = performance.now()
  const totals = { statements: 0, planned: 0, failed: 0, batches: 0, ddl: 0 }
  const errors: Record<string, number> = {}
  const faults: { seed: number; fault: string }[] = []
  for (let seed = firstSeed; totals.statements < runs && faults.length === 0; seed++) {
    const outcome = fuzzEngine(seed, Math.min(statementsPerRun, runs - totals.statements))
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += outcome[name]
    for (const [code, count] of Object.entries(outcome.errors)) {
      errors[code] = (errors[code] ?? 0) + count
    }
    if (outcome.fault !== null) faults.push({ seed, fault: outcome.fault })
    const seconds = Math.round((performance.now() - started) / 1000)
    process.stderr.write(`seed ${seed}: ${totals.statements} statements, ${seconds} s\n`)
    if (outcome.fault !== null) process.stderr.write(`${outcome.fault}\n`)
  }
  const ok = faults.length === 0
  const seconds = Math.round((performance.now() - started) / 100) / 10
  process.stdout.write(
    `${JSON.stringify({ ok, fuzz: 'engine', ...totals, seconds, errors, faults })}\n`
  )
  process.exitCode = ok ? 0 : 1
}
