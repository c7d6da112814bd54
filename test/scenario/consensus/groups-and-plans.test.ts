import t from 'tap'
import { clusterVersionSection } from '../../../src/control/index.js'
import { CONTROL_GROUP, DEFAULT_GROUP, type LogIndex } from '../../../src/core/ids.js'
import type { Engine } from '../../../src/core/ports/engine.js'
import { TestCluster } from '../../support/consensus-cluster.js'
import { ControlCluster } from '../../support/control-cluster.js'

t.test('a command stands at the index that its plan was told, or is planned again', async (t) => {
  const cluster = new TestCluster({ engine: { latencyMs: 5 } })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const engine: Engine | null = cluster.node(leader).engine
  if (engine === null) throw new Error('no engine')
  const told: (LogIndex | undefined)[] = []
  const plan = engine.plan.bind(engine)
  engine.plan = (request, context) => {
    told.push(context.index)
    return plan(request, context)
  }
  const quiet = await cluster.written(leader, 'set a 1')
  t.same(told, [quiet.index])
  const { raft } = cluster.group(leader)
  const other = raft.core.configuration.voters.find((replica) => !replica.startsWith(leader))
  if (other === undefined) throw new Error('no other voter')
  const written = cluster.write(leader, 'set a 2')
  await cluster.clock.advance(2)
  t.equal(told.length, 2, 'the plan is under way')
  t.match(raft.changeConfiguration([{ replica: other, role: 'learner' }]), { kind: 'proposed' })
  const { index } = await cluster.clock.settle(written)
  t.equal(told[1], index - 1, 'the change took the place that was expected')
  t.same(told.slice(2), [index])
  t.equal(await cluster.read(leader, 'a'), '2')
})

t.test(
  'founders found every group in one step, and one that came later when they start',
  async (t) => {
    const cluster = new ControlCluster()
    cluster.groups = [DEFAULT_GROUP]
    for (const name of ['a', 'b', 'c']) await cluster.start(name)
    const led = (name: string, group = DEFAULT_GROUP) =>
      cluster.node(name).consensus?.group(group)?.status().leader ?? null
    await cluster.clock.until(() => led('a') !== null)
    t.equal(cluster.node('a').consensus?.group(CONTROL_GROUP), null)
    const clusterId = cluster.node('a').consensus?.clusterId()
    for (const name of ['a', 'b', 'c']) cluster.node(name).kill()
    cluster.groups = [DEFAULT_GROUP, CONTROL_GROUP]
    await cluster.start('a')
    await cluster.clock.advance(2_000)
    t.equal(cluster.leader(), null, 'one of three elects nobody')
    await cluster.start('b')
    await cluster.untilLeader()
    await cluster.start('c')
    await cluster.clock.until(() => led('c', CONTROL_GROUP) !== null && led('c') !== null)
    t.equal(cluster.node('c').consensus?.clusterId(), clusterId, 'it is the same cluster')
    const change = {
      kind: 'report',
      node: cluster.node('c').id,
      min: 1,
      max: 1,
      software: '1'
    } as const
    const options = { deadline: cluster.deadline() }
    const { refusal } = await cluster.clock.settle(
      cluster.control('c').change(clusterVersionSection, change, options)
    )
    t.equal(refusal, null)
    t.same(
      cluster
        .node('a')
        .consensus?.groups()
        .map((group) => group.status().name),
      ['0', 'control']
    )
  }
)
