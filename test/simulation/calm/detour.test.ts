import t from 'tap'
import { must, type NodeId, Priorities, type QueryOptions } from '../../../src/core/index.js'
import { calmCluster } from './calm-cluster.js'

const size = 5
const urgent: QueryOptions = { priority: Priorities.High, timeoutMs: 2_000 }

t.test('an urgent write goes round a cut link, also the first that its node makes', async (t) => {
  const { cluster, links, run, time } = calmCluster(7, size, {})
  cluster.start()
  await run(8_000)
  const ids = cluster.nodeIds()
  const decided = cluster.startedNodes()[0]?.manager.explainRoute('set k v').decision
  const leader = must(decided, 'a leader').node
  const [asking] = ids.map((_, host) => host).filter((host) => ids[host] !== leader)
  const from = must(asking, 'a follower')
  const to = ids.indexOf(leader)
  const { manager, process } = must(cluster.startedNodes()[from], 'who asks')
  links.cut(from, to, { kind: 'partition', streams: 'held' })
  links.cut(to, from, { kind: 'partition', streams: 'held' })
  const isRound = (target: NodeId) =>
    manager.health.routes().some((route) => route.target === target)
  for (let i = 0; i < 60 && !isRound(leader); i++) await run(1_000)
  t.ok(isRound(leader), 'a way round is found')
  await run(2_000)

  let outcome = 'nothing'
  time.post(time.now, 'query', process, () => {
    manager.executeQuery('set k v', urgent).then(
      ({ node }) => {
        outcome = `answered by ${node}`
      },
      (error: Error) => {
        outcome = error.message
      }
    )
  })
  await run(3_000)
  t.equal(outcome, `answered by ${leader}`)
})
