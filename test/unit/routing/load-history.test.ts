import t from 'tap'
import { type EligibleNode, type NodeId, SplittableRandom } from '../../../src/core/index.js'
import { LoadReader } from '../../../src/routing/load-history.js'
import { type NodeLoad, NodeObservations } from '../../../src/routing/node-observations.js'

const copyOf = (load: NodeLoad): EligibleNode => ({
  node: load.node,
  inFlight: load.inFlight,
  latencyMs: load.latencyMs,
  peakLatencyMs: load.peakLatencyMs,
  answeredAt: load.answeredAt,
  utilisation: load.utilisation,
  queueDepth: load.queueDepth,
  reportedAt: load.reportedAt,
  locality: load.locality,
  weight: load.weight
})

/** Loads that change at random; each mark is kept by the history, and as a plain copy of them. */
class Twins {
  readonly observations = new NodeObservations()
  readonly random: SplittableRandom
  readonly kept: { readonly mark: number; readonly loads: NodeLoad[]; copies: EligibleNode[] }[] =
    []
  loads: NodeLoad[]
  now = 0

  constructor(seed: number) {
    this.random = SplittableRandom.fromSeed(seed)
    const size = 1 + this.random.nextInt(12)
    this.loads = Array.from({ length: size }, (_, i) => this.observations.of(`n${i}` as NodeId))
  }

  change(): void {
    const { random } = this
    const load = this.loads[random.nextInt(this.loads.length)] as NodeLoad
    this.now += random.nextInt(20)
    if (random.nextInt(30) === 0) this.#replace(load)
    else if (random.nextInt(8) === 0) load.place(random.nextInt(3) / 2, 1 + random.nextInt(2))
    else if (random.nextInt(2) === 0) load.begin()
    else {
      const latencyMs = random.nextInt(4) === 0 ? Number.NaN : random.nextFloat() * 50
      load.end({ latencyMs, utilisation: random.nextFloat(), queueDepth: 1 }, this.now)
    }
  }

  mark(keptMax: number): void {
    const mark = this.observations.history.mark()
    this.kept.push({ mark, loads: this.loads, copies: this.loads.map(copyOf) })
    if (this.kept.length > keptMax) this.kept.shift()
    this.observations.history.forgetBefore(this.kept[0]?.mark ?? mark)
  }

  /** It left, and came back as another record. */
  #replace(load: NodeLoad): void {
    while (load.inFlight > 0) {
      load.end({ latencyMs: 1, utilisation: Number.NaN, queueDepth: Number.NaN }, this.now)
    }
    this.observations.retain((node) => node !== load.node)
    const another = this.observations.of(load.node)
    this.loads = this.loads.map((one) => (one === load ? another : one))
  }
}

t.test('what loads were at each mark is what a copy of them all says', async (t) => {
  let grown = 0
  let compared = 0
  for (let seed = 1; seed <= 60; seed++) {
    const twins = new Twins(seed)
    const keptMax = 1 + twins.random.nextInt(40)
    const changesMax = 1 + twins.random.nextInt(40)
    const { history } = twins.observations
    for (let step = 0; step < 120; step++) {
      for (let n = twins.random.nextInt(changesMax); n > 0; n--) twins.change()
      if (twins.random.nextInt(3) > 0) twins.mark(keptMax)
      if (step % 10 > 0) continue
      const all = new LoadReader(history)
      for (const { mark, loads, copies } of [...twins.kept].reverse()) {
        const alone = new LoadReader(history)
        const told = loads.map((load) => all.at(mark, load))
        const toldAlone = loads.map((load) => alone.at(mark, load))
        compared++
        if (JSON.stringify([told, toldAlone]) === JSON.stringify([copies, copies])) continue
        t.same(told, copies, `seed ${seed}, step ${step}: read after newer ones`)
        t.same(toldAlone, copies, `seed ${seed}, step ${step}: read alone`)
        return
      }
    }
    if (history.length > 64) grown++
    const bound = keptMax * (twins.loads.length + 1)
    t.ok(history.length <= Math.max(64, 2 * bound), `${history.length} entries, seed ${seed}`)
  }
  t.ok(compared > 2_000 && grown > 10, `${compared} marks compared, ${grown} histories grew`)
})

t.test('a load saves once per mark, and nothing before the first', async (t) => {
  const observations = new NodeObservations()
  const { history } = observations
  const load = observations.of('a' as NodeId)
  load.begin()
  t.equal(history.position, 0, 'nobody asks what was before')
  history.mark()
  for (let i = 0; i < 9; i++) load.begin()
  load.place(0, 1)
  t.equal(history.position, 1)
  const mark = history.mark()
  load.place(0, 1)
  t.equal(history.position, mark, 'no change, nothing to save')
  load.place(0.5, 1)
  t.equal(history.position, mark + 1)
})
