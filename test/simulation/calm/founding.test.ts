import t from 'tap'
import { after, type EngineProvider, must } from '../../../src/core/index.js'
import { someOf } from '../../support/thoroughness.js'
import { calmCluster } from './calm-cluster.js'

const groups = 6
const foundedWithinMs = 30_000
const openingMsMax = 3_000
/** Far below what lies between two looks without an occasion. */
const placedAfterMs = 2_000

/** Real engines take their time; the control group's is there at once. */
function opensLate(engines: EngineProvider, delayMs: () => number): EngineProvider {
  return {
    create(context) {
      const { clock } = context
      const engine = engines.create(context)
      const open = engine.open.bind(engine)
      engine.open = async () => {
        const at = after(clock.now(), delayMs())
        await new Promise<void>((resolve) => clock.schedule(at, resolve))
        return open()
      }
      return engine
    }
  }
}

t.test('every group of a new cluster is placed as soon as it is there', async (t) => {
  for (let seed = 1; seed <= someOf(40); seed++) {
    const { cluster, random, run, settle, time } = calmCluster(
      seed,
      3,
      {},
      {
        groups,
        wrap: (engines) => opensLate(engines, () => delays.nextInt(openingMsMax))
      }
    )
    const delays = random.split('engines')
    cluster.start()
    const led = () =>
      new Set(
        cluster.startedNodes().flatMap(({ manager }) =>
          manager
            .getClusterView()
            .groups.filter(({ leader }) => leader !== null)
            .map(({ group }) => group)
        )
      ).size
    // The control group is one more.
    while (led() <= groups && time.now < foundedWithinMs) await run(10)
    await run(placedAfterMs)
    const { manager } = must(cluster.startedNodes()[0], 'a node')
    const placement = await settle(manager.control.placement())
    t.equal(placement.groups.length, groups, `seed ${seed}`)
  }
})
