import t from 'tap'
import { must } from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'

const key = 'accounts.aid=1'

t.test('a hot key is found in a real cluster, named, spread and gone', async (t) => {
  const routing = {
    hotspotWindowMs: 6_000,
    hotspotFloorPerSecond: 5,
    hotspotKeyFloorPerSecond: 5,
    hotspotDwellMs: 1_000
  }
  const cluster = await ProcessCluster.start(t, 3, { routing })
  const leader = await cluster.leader()
  await cluster.run(leader, 'CREATE TABLE hot (id INTEGER PRIMARY KEY, n INTEGER)')
  await cluster.run(leader, 'INSERT INTO hot VALUES (1, 1)')
  const [busy = ''] = cluster.others(leader)
  const { next } = await mitigationAt(cluster, busy)
  const answeredBy = new Set<string>()
  let isOver = false
  const load = async () => {
    while (!isOver) {
      const answer = await cluster.run(busy, 'SELECT n FROM hot WHERE id = 1', {
        consistency: 'local',
        key
      })
      answeredBy.add(answer.node)
    }
  }
  const loads = [load(), load(), load(), load()]
  const begun = performance.now()
  const event = await next
  t.comment(`found and spread after ${Math.round(performance.now() - begun)} ms`)
  t.match(event, { type: 'HotspotMitigated', hotspot: { scope: 'key', key } })
  await until('all three replicas answer', 30_000, async () => answeredBy.size === 3)
  t.ok((await cluster.metric(busy, 'load_balancer', 'hotspots_detected')) >= 1)
  t.ok((await cluster.metric(busy, 'load_balancer', 'rebalance_operations')) >= 1)
  isOver = true
  await Promise.all(loads)
  await until('nothing is hot', 60_000, async () => {
    const hot = await Promise.all(
      cluster.ids.map((id) => cluster.metric(id, 'load_balancer', 'hotspots_now'))
    )
    return hot.every((count) => count === 0)
  })
  t.same(cluster.unexpectedExits, [])
})

/** Subscribed when it resolves; `next` is the first event that tells of a hot key being spread. */
async function mitigationAt(cluster: ProcessCluster, id: string) {
  const response = await fetch(`${cluster.node(id).options.admin}/v1/events`, {
    headers: { authorization: `Bearer ${cluster.workspace.token}` }
  })
  return { next: firstIn(response) }
}

async function firstIn(response: Response): Promise<unknown> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of must(response.body, 'stream')) {
    text += decoder.decode(chunk, { stream: true })
    const found = /^data: (.*"HotspotMitigated".*)$/m.exec(text)?.[1]
    if (found !== undefined) return JSON.parse(found)
  }
  throw new Error('the stream of events ended')
}
