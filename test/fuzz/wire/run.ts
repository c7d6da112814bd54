import { fuzzWire } from './wire-fuzz.js'

const inputsPerSeed = 50_000

/** Tells each seed on stderr and the whole as JSON on stdout; answers whether all is well. */
export function runWire(runs: number, firstSeed: number): boolean {
  const started = performance.now()
  const seconds = () => Math.round((performance.now() - started) / 100) / 10
  const inputs: Record<string, number> = {}
  const accepted: Record<string, number> = {}
  const faults: { seed: number; fault: string }[] = []
  let done = 0
  let slowOnce = 0
  for (let seed = firstSeed; done < runs && faults.length === 0; seed++) {
    const outcome = fuzzWire(seed, Math.min(inputsPerSeed, runs - done))
    done += outcome.runs
    slowOnce += outcome.slowOnce
    for (const [name, count] of Object.entries(outcome.inputs)) {
      inputs[name] = (inputs[name] ?? 0) + count
    }
    for (const [name, count] of Object.entries(outcome.accepted)) {
      accepted[name] = (accepted[name] ?? 0) + count
    }
    const heap = Math.round(process.memoryUsage().heapUsed / 1e6)
    process.stderr.write(`seed ${seed}: ${done} inputs, ${seconds()} s, heap ${heap} MB\n`)
    if (outcome.fault === null) continue
    faults.push({ seed, fault: outcome.fault })
    process.stderr.write(`${outcome.fault}\n`)
  }
  const ok = faults.length === 0
  const figures = { runs: done, seconds: seconds(), inputs, accepted, slow_once: slowOnce, faults }
  process.stdout.write(`${JSON.stringify({ ok, fuzz: 'wire', ...figures })}\n`)
  return ok
}
