/** N statements, in runs from an empty database. */
import { fuzzEngine } from './engine-fuzz.js'

const statementsPerRun = 1_000

/** Tells each seed on stderr and the whole as JSON on stdout; answers whether all is well. */
export function runEngine(runs: number, firstSeed: number): boolean {
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
  return ok
}
