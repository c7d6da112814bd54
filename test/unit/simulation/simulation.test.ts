import t from 'tap'
import type { Compression, Crypto } from '../../../src/core/index.js'
import { type SimulationResult, simulate } from '../../../src/simulation/simulation.js'
import { Invariants } from '../../../src/simulation/violations.js'
import { type ToyFaults, toyManager, toySwarm } from './toy-manager.js'

const noCrypto = {} as Crypto
const noCompression = {} as Compression
const options = { nodes: 5, seconds: 12 }

t.test('a correct toy passes, and the faults that can reach it do', async (t) => {
  const struck = new Set<string>()
  let ok = 0
  for (let seed = 1; seed <= 12; seed++) {
    const result = await run(seed)
    t.strictSame(result.violations, [], `seed ${seed}`)
    ok += result.operations.ok
    for (const [kind, count] of Object.entries(result.faults)) if (count > 0) struck.add(kind)
  }
  for (const kind of [
    'crash',
    'delay',
    'loss',
    'one_way',
    'partition',
    'pause',
    'skew',
    'unsynced_loss'
  ]) {
    t.ok(struck.has(kind), kind)
  }
  t.ok(ok > 2_000, `${ok} operations`)
})

t.test('D-01 the same seed gives the same trace, another seed another', async (t) => {
  const [first, second, other] = [await run(3), await run(3), await run(4)]
  t.equal(first.hash, second.hash)
  t.strictSame(first.history, second.history)
  t.not(first.hash, other.hash)
})

t.test('D-01 what is drawn from elsewhere shows in the trace', async (t) => {
  const [first, second] = [
    await run(3, { drawsRealTime: true }),
    await run(3, { drawsRealTime: true })
  ]
  t.not(first.hash, second.hash)
})

t.test('D-14 planted faults of the toy are found', async (t) => {
  const expected: [ToyFaults, string[]][] = [
    [{ acknowledgesBeforeSync: true }, [Invariants.Linearizable, Invariants.AcknowledgedKept]],
    [{ forgetsSerials: true }, [Invariants.Linearizable, Invariants.AcknowledgedKept]],
    [{ readsAnywhere: true }, [Invariants.Linearizable]],
    [{ boundsNothing: true }, [Invariants.QueueBounds]]
  ]
  for (const [faults, invariants] of expected) {
    const found = await firstViolation(faults)
    t.ok(invariants.includes(found ?? ''), `${JSON.stringify(faults)}: ${found}`)
  }
})

t.test('an endless loop of awaits fails the seed, and the process goes on', async (t) => {
  const { violations } = await run(1, { spins: true })
  t.match(violations, [{ invariant: Invariants.DrainBudget, detail: /turns of promises/ }])
  t.strictSame((await run(1)).violations, [])
})

async function firstViolation(faults: ToyFaults): Promise<string | undefined> {
  for (let seed = 1; seed <= 30; seed++) {
    const [violation] = (await run(seed, faults)).violations
    if (violation) return violation.invariant
  }
  return undefined
}

function run(seed: number, faults: ToyFaults = {}): Promise<SimulationResult> {
  return simulate(seed, options, {
    create: toyManager(faults),
    crypto: noCrypto,
    compression: noCompression,
    swarm: toySwarm
  })
}
