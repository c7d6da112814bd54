/** What lies outside of the cluster, and hears of a former leader after a new one. */
import t from 'tap'
import type { Control } from '../../../src/control/index.js'
import type { FencingToken } from '../../../src/core/failover.js'
import { DEFAULT_GROUP, type NodeId } from '../../../src/core/ids.js'
import { FailoversDriver } from '../../../src/failover/coordinator/failovers-driver.js'
import { FencingGate } from '../../../src/failover/index.js'
import { TestCluster } from '../../support/consensus-cluster.js'

/** A file somewhere else that whoever leads writes: it asks nobody, and looks at tokens alone. */
class Resource {
  readonly written: string[] = []
  readonly #gate = new FencingGate()

  write(token: FencingToken, what: string): boolean {
    const isAdmitted = this.#gate.admit(token)
    if (isAdmitted) this.written.push(what)
    return isAdmitted
  }
}

const control = { onApplied: () => {} } as unknown as Control

async function started() {
  const cluster = new TestCluster()
  await cluster.startAll()
  const first = await cluster.untilLeader()
  const tokenAt = (name: string) =>
    new FailoversDriver(
      { clock: cluster.clock, control, groupOf: () => cluster.group(name) },
      { self: name as NodeId }
    ).fencingToken(DEFAULT_GROUP, { timeoutMs: 2_000 })
  return { cluster, first, tokenAt }
}

t.test('a leader that was cut off is turned away once its successor was there', async (t) => {
  const { cluster, first, tokenAt } = await started()
  const resource = new Resource()
  const early = await cluster.clock.settle(tokenAt(first))
  t.ok(resource.write(early, 'by the first'))
  cluster.network.isolate(first as NodeId)
  const others = ['a', 'b', 'c'].filter((name) => name !== first)
  await cluster.clock.until(() => others.some((name) => cluster.group(name).isLeader))
  const second = others.find((name) => cluster.group(name).isLeader) as string
  const refused = cluster.clock.settle(tokenAt(first))
  await t.rejects(refused, { code: /NOT_LEADER|TIMEOUT|NO_LEADER/ }, 'no quorum confirms it')
  t.ok(resource.write(early, 'before anybody else came'))
  const late = await cluster.clock.settle(tokenAt(second))
  t.ok(late.term > early.term)
  t.ok(resource.write(late, 'by the second'))
  t.notOk(resource.write(early, 'stale'), 'the former leader knows nothing of it')
  cluster.network.heal()
  await cluster.untilLeader()
  await t.rejects(cluster.clock.settle(tokenAt(first)), { code: 'ERR_SKEIN_NOT_LEADER' })
  t.same(resource.written, ['by the first', 'before anybody else came', 'by the second'])
})

t.test('who handed over is turned away as well', async (t) => {
  const { cluster, first, tokenAt } = await started()
  const resource = new Resource()
  const early = await cluster.clock.settle(tokenAt(first))
  const group = cluster.group(first)
  await cluster.clock.settle(group.transferLeadership(null, cluster.deadline()))
  const second = await cluster.untilLeader()
  t.not(second, first)
  t.ok(resource.write(await cluster.clock.settle(tokenAt(second)), 'by the second'))
  t.notOk(resource.write(early, 'stale'))
})
