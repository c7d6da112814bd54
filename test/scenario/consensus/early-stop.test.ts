import t from 'tap'
import { CONTROL_GROUP, DEFAULT_GROUP } from '../../../src/core/index.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const syncLatencyMs = 40
const stepMs = 7

t.test('a node that is stopped at any moment of its founding leaves nothing behind', async (t) => {
  let isWhole = false
  for (let moment = 0; !isWhole; moment += stepMs) {
    const cluster = new TestCluster({
      nodes: ['a'],
      groups: [DEFAULT_GROUP, CONTROL_GROUP],
      syncLatencyMs
    })
    const { driver } = await cluster.start('a')
    await cluster.clock.advance(moment)
    isWhole = driver.groups().length === 2
    await cluster.clock.settle(driver.stop())
    await cluster.clock.advance(5_000)
    t.equal(cluster.clock.pending, 0, `stopped after ${moment} ms no timer goes on`)
  }
})
