import t from 'tap'
import type { Compression, Crypto } from '../../../src/core/index.js'
import { minimise, replayArguments } from '../../../src/simulation/minimise.js'
import {
  type SimulationOptions,
  type SimulationResult,
  simulate
} from '../../../src/simulation/simulation.js'
import { troubles } from '../../../src/simulation/swarm-options.js'
import { Invariants } from '../../../src/simulation/violations.js'
import { toyManager, toySwarm } from './toy-manager.js'

const components = {
  create: toyManager({ acknowledgesBeforeSync: true }),
  crypto: {} as Crypto,
  compression: {} as Compression,
  swarm: toySwarm
}
const run = (seed: number, options: SimulationOptions) => simulate(seed, options, components)
const limits = { attemptsMax: 200, onSmaller: () => {} }

t.test('D-15 a seed that fails is made smaller, and the replay fails alike', async (t) => {
  let seed = 1
  const options = { nodes: 5, seconds: 12 }
  while ((await run(seed, options)).ok) seed++
  const smallest = await minimise(seed, options, run, limits)
  t.match(smallest?.violation, { invariant: /linearizable|acknowledged_kept/ })
  const { seconds = 0, without = [], strikes = [] } = smallest?.options ?? {}
  t.ok(seconds < 12, `${seconds} seconds`)
  t.ok(without.length >= troubles.length - 3, `without ${without.join(', ')}`)
  t.ok(strikes.length <= 2, strikes.join(', '))
  t.ok(strikes.every((name) => name.startsWith('crash.') || name.startsWith('leader_hunt.')))
  const again = await run(seed, smallest?.options ?? options)
  t.same(again.violations[0], smallest?.violation)
})

t.test('D-15 a seed that breaks nothing is told so, and runs are bounded', async (t) => {
  const whole = (seed: number, options: SimulationOptions) =>
    simulate(seed, options, { ...components, create: toyManager() })
  t.equal(await minimise(3, { nodes: 5, seconds: 4 }, whole, limits), null)
  let runs = 0
  const failing = async (_: number, { strikes }: SimulationOptions) => {
    runs++
    const violations = [{ invariant: Invariants.Liveness, at: 11_000, detail: '' }]
    const all = Array.from({ length: 1_000 }, (_, i) => `crash.${i + 1}`)
    const isNeeded = strikes === undefined || strikes.includes('crash.700')
    return { violations: isNeeded ? violations : [], strikes: all } as unknown as SimulationResult
  }
  const found = await minimise(7, { nodes: 5, seconds: 30 }, failing, limits)
  t.same(found?.options.strikes, ['crash.700'], 'the one that matters')
  t.equal(
    replayArguments(found as NonNullable<typeof found>).join(' '),
    `--seed 7 --nodes 1 --seconds 1 --without ${troubles.join(',')} --strikes crash.700`
  )
  runs = 0
  await minimise(7, { nodes: 5, seconds: 30 }, failing, { ...limits, attemptsMax: 10 })
  t.equal(runs, 10)
})
