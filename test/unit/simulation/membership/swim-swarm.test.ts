import t from 'tap'
import { type Config, must, resolveConfig, SplittableRandom } from '../../../../src/core/index.js'
import { measureDetection } from '../../../../src/simulation/membership/detection.js'
import { EventHeap } from '../../../../src/simulation/membership/event-heap.js'
import { runDistress, variants } from '../../../../src/simulation/membership/false-deaths.js'
import { SwimSwarm } from '../../../../src/simulation/membership/swim-swarm.js'

const defaults = (): Config['membership'] =>
  resolveConfig({
    code: {
      node: { id: 'x', dataDirectory: '/x' },
      cluster: { bootstrap: { voters: ['x'] } },
      security: { insecure: true }
    }
  }).membership

t.test('events happen by time, then in the order in which they were scheduled', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  const heap = new EventHeap()
  const twin: { at: number; name: number }[] = []
  const ran: number[] = []
  const expected: number[] = []
  for (let name = 0; name < 3_000; name++) {
    if (random.nextInt(3) > 0 || twin.length === 0) {
      const at = random.nextInt(50)
      heap.push(at, () => ran.push(name))
      twin.push({ at, name })
      continue
    }
    const first = twin.reduce((a, b) => (b.at < a.at ? b : a))
    twin.splice(twin.indexOf(first), 1)
    expected.push(first.name)
    t.equal(heap.nextAt, first.at) || t.bailout('wrong order')
    heap.pop()?.()
  }
  t.same(ran, expected)
  t.equal(new EventHeap().nextAt, Number.POSITIVE_INFINITY)
  t.equal(new EventHeap().pop(), null)
})

/** Rounds of a probe per interval, each until the next: what the arithmetic is of. */
const published = (): Config['membership'] => ({
  ...defaults(),
  probeIntervalMs: 500,
  probeTimeoutMs: 250,
  suspicionFloorMs: 0,
  mutualProbes: false
})

t.test('the same seed is the same swarm, another is not', async (t) => {
  const trace = (seed: number): string[] => {
    const told: string[] = []
    const options = { members: 10, seed, config: defaults(), delayMinMs: 1, delayMaxMs: 9 }
    const swarm = new SwimSwarm({ ...options, lossShare: 0.2 }, ({ nodeId }, { type }, at) => {
      told.push(`${at} ${nodeId} ${type}`)
    })
    swarm.run(30_000)
    swarm.crash(must(swarm.members[4], 'a member'))
    swarm.run(30_000)
    return [...told, `${swarm.datagrams} ${swarm.bytes}`]
  }
  const first = trace(1)
  t.ok(first.some((line) => line.endsWith('MemberDied')))
  t.same(trace(1), first)
  t.notSame(trace(2), first)
})

t.test('who is blocked reads nothing, and sends what it held back when it goes on', async (t) => {
  const refutations: string[] = []
  const options = { members: 8, seed: 4, config: defaults(), delayMinMs: 1, delayMaxMs: 2 }
  const swarm = new SwimSwarm({ ...options, lossShare: 0 }, (viewer, event) => {
    if (event.type === 'MemberRefuted') refutations.push(viewer.nodeId)
  })
  const first = must(swarm.members[0], 'a member')
  swarm.block(first)
  swarm.run(2_500)
  const seen = (): string[] =>
    swarm.members.slice(1).map(({ swim }) => swim.member(first.nodeId)?.liveness ?? '')
  t.ok(seen().includes('suspect'))
  t.equal(first.swim.self().incarnation, 2, 'it knows nothing of it')
  swarm.release(first)
  swarm.run(2_000)
  t.same(new Set(seen()), new Set(['alive']))
  t.ok(refutations.length > 0)
  t.ok(first.swim.self().incarnation > 2)
})

t.test('S-01: plain SWIM buries the living under distress, Lifeguard does not', async (t) => {
  const distress = { count: 8, stillMs: 16_384, workingMs: 64 }
  const found = variants.map(({ name, config }) => ({
    name,
    ...runDistress(32, { ...defaults(), ...config }, distress, { seed: 1, durationMs: 120_000 })
  }))
  const [plain] = found
  t.equal(plain?.name, 'SWIM')
  t.ok((plain?.falseDeaths ?? 0) > 20, `${plain?.falseDeaths} false deaths of plain SWIM`)
  const full = found.at(-1)
  t.ok((full?.falseDeaths ?? 99) <= (plain?.falseDeaths ?? 0) * 0.015, 'with everything on')
  for (const { datagrams, bytes } of found) t.ok(datagrams > 0 && bytes > datagrams * 60)
})

t.test('S-03, S-30: detection and traffic follow the formulas', async (t) => {
  const measured = measureDetection(20, defaults(), { deaths: 30, seed: 1, lossShare: 0 })
  const { suspectedMs, declaredMs, knownEverywhereMs, formulas, falseDeaths } = measured
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  t.equal(falseDeaths, 0)
  t.equal(knownEverywhereMs.length, 30)
  const ratio = mean(declaredMs) / formulas.declaredMs
  t.ok(Math.abs(ratio - 1) < 0.2, `${ratio} of the published time`)
  t.ok(mean(suspectedMs) < 2 * 1_000)
  for (const [i, known] of knownEverywhereMs.entries()) {
    const declared = declaredMs[i] ?? 0
    t.ok(known >= declared && known - declared < 1_000) || t.bailout(`${known}, ${declared}`)
  }
  const perSecond = measured.datagramsPerMemberSecond
  t.ok(Math.abs(perSecond / formulas.datagramsPerMemberSecond - 1) < 0.05, `${perSecond}`)
})

/**
 * What the arithmetic alone makes of a crash among `members`: each of the others probes the dead
 * one at its place in a shuffled round, knows an interval later, and the verdict falls when the
 * suspicion ends that each further accuser shortens.
 */
function arithmeticOfDeath(random: SplittableRandom, members: number, intervalMs: number): number {
  const targets = members - 1
  const knownAt: number[] = []
  for (let prober = 0; prober < targets; prober++) {
    const gone = random.nextInt(targets)
    const place = random.nextInt(targets)
    const slots = place >= gone ? place - gone : targets - gone + random.nextInt(targets)
    knownAt.push((random.nextFloat() + slots + 1) * intervalMs)
  }
  const [first = 0, ...others] = knownAt.sort((a, b) => a - b)
  const minMs = 4 * Math.log10(members) * intervalMs
  const endsAt = (accusers: number): number =>
    first + Math.max(minMs, 6 * minMs - 5 * minMs * (Math.log(accusers + 1) / Math.log(3)))
  let verdictAt = endsAt(0)
  others.slice(0, 2).forEach((at, i) => {
    if (at < verdictAt) verdictAt = Math.max(at, endsAt(i + 1))
  })
  return verdictAt
}

t.test('S-03: the tail of detection is that of the arithmetic, and no delay of ours', async (t) => {
  const random = SplittableRandom.fromSeed(12)
  const expected = Array.from({ length: 20_000 }, () => arithmeticOfDeath(random, 12, 500))
  const { declaredMs } = measureDetection(12, published(), { deaths: 1_000, seed: 1, lossShare: 0 })
  const at = (values: readonly number[], share: number): number =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0
  for (const share of [0.1, 0.5, 0.9, 0.99]) {
    const ratio = at(declaredMs, share) / at(expected, share)
    t.ok(Math.abs(ratio - 1) < 0.06, `${ratio} of the arithmetic at ${share}`)
  }
  const minMs = 4 * Math.log10(12) * 500
  t.ok(at(declaredMs, 0.99) <= minMs + 5 * 500, 'five intervals on top of the least suspicion')
})
