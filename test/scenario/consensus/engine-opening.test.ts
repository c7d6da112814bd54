import t from 'tap'
import { enginesOpeningMax } from '../../../src/consensus/host/hosted-replicas-driver.js'
import { after } from '../../../src/core/deadlines.js'
import type { GroupId } from '../../../src/core/ids.js'
import type { Clock } from '../../../src/core/ports/clock.js'
import type { Engine } from '../../../src/core/ports/engine.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const groupCount = 3 * enginesOpeningMax
const groups = Array.from({ length: groupCount }, (_, group) => group as GroupId)
const openMs = 1_000

/** Engines that take their time to open, and are counted. */
class SlowEngines {
  readonly begun: GroupId[] = []
  readonly closed: GroupId[] = []
  opening = 0
  openingMax = 0
  isSlow = false
  failing: GroupId | null = null
  clock: Clock | null = null

  readonly wrap = (engine: Engine, group: GroupId): Engine =>
    new Proxy(engine, {
      get: (target, name) => {
        if (name === 'open') return () => this.#open(target, group)
        if (name === 'close') return () => this.#close(target, group)
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })

  async #open(engine: Engine, group: GroupId) {
    this.begun.push(group)
    this.opening++
    this.openingMax = Math.max(this.openingMax, this.opening)
    const { clock } = this
    if (this.isSlow && clock !== null) {
      await new Promise<void>((resolve) => clock.schedule(after(clock.now(), openMs), resolve))
    }
    this.opening--
    if (group === this.failing) throw new Error('it does not open')
    return engine.open()
  }

  async #close(engine: Engine, group: GroupId) {
    this.closed.push(group)
    await engine.close()
  }
}

async function restarting(failing: GroupId | null = null) {
  const engines = new SlowEngines()
  const cluster = new TestCluster({ groups, nodes: ['a'], wrap: engines.wrap })
  engines.clock = cluster.clock
  await cluster.startAll()
  await cluster.clock.until(() => cluster.node('a').driver.groupIds.length === groupCount)
  await cluster.clock.settle(cluster.node('a').driver.stop())
  cluster.crash('a')
  engines.begun.length = 0
  engines.closed.length = 0
  engines.isSlow = true
  engines.openingMax = 0
  engines.failing = failing
  return { cluster, engines }
}

t.test('engines of many groups open side by side, so many at a time', async (t) => {
  const { cluster, engines } = await restarting()
  const since = cluster.clock.now()
  await cluster.start('a')
  t.equal(engines.openingMax, enginesOpeningMax)
  t.equal(engines.begun.length, groupCount)
  const tookMs = cluster.clock.now() - since
  t.ok(tookMs < (openMs * groupCount) / enginesOpeningMax + openMs, `${tookMs} ms`)
  t.same(cluster.node('a').driver.groupIds, groups)
  t.same(cluster.node('a').driver.openingIds, [])
})

t.test('an engine that does not open fails the start, and none is left open', async (t) => {
  const { cluster, engines } = await restarting(1 as GroupId)
  await t.rejects(cluster.start('a'), { message: 'it does not open' })
  await cluster.clock.settle(cluster.node('a').driver.stop())
  t.ok(engines.begun.length <= 2 * enginesOpeningMax, 'who waited was not begun')
  const sorted = (ids: readonly GroupId[]) => [...ids].sort((a, b) => a - b)
  t.same(sorted(engines.closed), sorted(engines.begun))
})

t.test('a node that is stopped while engines open closes them', async (t) => {
  const { cluster, engines } = await restarting()
  const starting = cluster.start('a')
  await cluster.clock.until(() => engines.opening === enginesOpeningMax)
  await cluster.clock.settle(cluster.node('a').driver.stop())
  await cluster.clock.settle(starting)
  t.equal(engines.begun.length, enginesOpeningMax)
  t.same([...engines.closed].sort(), [...engines.begun].sort())
})
