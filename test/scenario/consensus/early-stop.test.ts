import t from 'tap'
import { replicaInvite } from '../../../src/consensus/group/group-messages.js'
import { CONTROL_GROUP, DEFAULT_GROUP, type NodeId, nodeOf } from '../../../src/core/index.js'
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

t.test(
  'R-P07 an invitation that comes while replicas are opened finds what they had',
  async (t) => {
    const groups = [DEFAULT_GROUP, CONTROL_GROUP]
    const cluster = new TestCluster({ groups, syncLatencyMs })
    await cluster.startAll()
    await cluster.start('d')
    for (const group of groups) {
      const leader = await cluster.untilLeader(group)
      const { driver } = cluster.node(leader)
      await cluster.clock.settle(driver.addNode(group, 'd' as NodeId, cluster.deadline()))
    }
    await cluster.clock.until(() =>
      groups.every((group) => {
        const status = cluster.group('d', group).raft.status()
        const { configuration, configurationIndex, durableIndex } = status
        return configuration.voters.length === 4 && durableIndex >= configurationIndex
      })
    )
    const { voters } = cluster.group('d', CONTROL_GROUP).raft.core.configuration
    const founders = voters.filter((replica) => nodeOf(replica) !== 'd')
    for (const name of ['a', 'b', 'c', 'd']) cluster.crash(name)

    const operator = cluster.network.join('operator' as NodeId)
    const invitation = { group: CONTROL_GROUP, groups, clusterName: 'test', founders }
    let isStarted = false
    const starting = cluster.start('d').then(() => {
      isStarted = true
    })
    const answers: Promise<boolean>[] = []
    while (!isStarted) {
      const deadline = cluster.deadline(1_000)
      const asked = operator.request('d' as NodeId, replicaInvite, invitation, { deadline })
      const isTaken = (answer: Promise<unknown>) => answer.then(Boolean, () => false)
      answers.push(isTaken(asked))
      await cluster.clock.advance(stepMs)
    }
    await starting
    const taken = (await cluster.clock.settle(Promise.all(answers))).filter(Boolean).length
    t.ok(taken > 1, `${taken} of ${answers.length} while it was opening`)
    t.same(cluster.group('d', CONTROL_GROUP).status().voters.join(''), 'abcd')
    t.ok(cluster.group('d', CONTROL_GROUP).status().term > 0, 'its term and its vote')
  }
)
