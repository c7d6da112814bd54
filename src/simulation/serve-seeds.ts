import { beat, type SeedOutcome } from './campaign.js'
import type { SimulationOptions, SimulationResult } from './simulation.js'

type Simulate = (seed: number, options: SimulationOptions) => Promise<SimulationResult>

/** A sign of life is sent so often while a seed runs, as long as the event loop turns. */
const beatIntervalMs = 5_000

/** The other side of a campaign: runs the seeds that the parent process sends, one at a time. */
export function serveSeeds(simulate: Simulate): void {
  setInterval(() => process.send?.(beat), beatIntervalMs).unref()
  process.on('message', (message) => {
    const { seed, ...options } = message as SimulationOptions & { readonly seed: number }
    void simulate(seed, options).then((result) => process.send?.(outcomeOf(result)))
  })
}

export function outcomeOf(result: SimulationResult): SeedOutcome {
  const { seed, violations, hash, virtualMs, faults, features, events, operations, elections } =
    result
  return {
    seed,
    violations,
    hash,
    virtualMs,
    faults,
    features,
    events,
    operationsOk: operations.ok,
    operationsUnknown: operations.unknown,
    elections,
    swarm: JSON.stringify(result.swarm, toThreeDigits)
  }
}

/** What a person reads; the seed itself says the rest. */
const toThreeDigits = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value
