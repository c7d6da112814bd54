/** An embedder's own messages between three managers of this process, over TLS. */
import t, { type Test } from 'tap'
import { counterEngine } from '../../examples/embed.js'
import {
  ClusterNetworkManager,
  defineMessage,
  defineRequest,
  type NodeId,
  schema
} from '../../lib/index.js'
import { authorityFiles } from '../../src/network/index.js'
import { until } from '../support/process-cluster.js'
import { TestAuthority } from '../support/test-authority.js'

const clusterName = 'flock'
const voters = ['goose-1', 'goose-2', 'goose-3']
const note = defineMessage({
  number: 0xf100,
  name: 'Note',
  body: schema.openStruct({ number: schema.u32 })
})
const double = defineRequest({
  number: 0xf101,
  name: 'Double',
  body: schema.openStruct({ number: schema.u32 }),
  answer: schema.openStruct({ number: schema.u32 })
})

async function flock(t: Test): Promise<ClusterNetworkManager[]> {
  const authority = await TestAuthority.make(t, clusterName)
  const { gossipKeyFile } = authorityFiles(authority.directory)
  const managers: ClusterNetworkManager[] = []
  for (const id of voters) {
    const files = await authority.issue({ kind: 'node', nodeId: id as NodeId, clusterName })
    const { certificateFile, keyFile, caFile } = files
    const seeds = managers.map((manager) => manager.getClusterView().address)
    const manager = ClusterNetworkManager.create({
      preset: 'local',
      engine: counterEngine,
      messages: [note, double],
      config: {
        node: { id, listenAddress: '127.0.0.1:0', dataDirectory: `${authority.directory}/${id}` },
        cluster: { name: clusterName, seeds, bootstrap: { voters } },
        security: { certificateFile, keyFile, caFile, gossipKeyFile }
      }
    })
    t.teardown(() => manager.stop({ drain: false }))
    await manager.start()
    managers.push(manager)
  }
  await until('all know all', 20_000, async () =>
    managers.every((manager) => manager.getAliveMembers().length === voters.length)
  )
  return managers
}

t.test('messages, requests and broadcasts of three nodes over TLS', async (t) => {
  const [a, b, c] = (await flock(t)) as [
    ClusterNetworkManager,
    ClusterNetworkManager,
    ClusterNetworkManager
  ]
  const heard: (readonly [to: string, from: string, number: number, skipped: number])[] = []
  for (const manager of [a, b]) {
    manager.messages.onMessage(note, ({ from, body, skipped }) => {
      if (body.number === 13) throw new Error('unlucky')
      heard.push([manager.nodeId, from, body.number, skipped])
    })
  }
  b.messages.onRequest(double, async ({ body }) => ({ number: 2 * body.number }))

  const numbers = [1, 2, 3, 4, 5]
  const ordered = { reliability: 'ordered' } as const
  await Promise.all(
    numbers.map((number) => a.sendMessage(b.nodeId, { type: note, body: { number } }, ordered))
  )
  t.same(
    heard.splice(0),
    numbers.map((number) => [b.nodeId, a.nodeId, number, 0])
  )
  const unlucky = a.sendMessage(b.nodeId, { type: note, body: { number: 13 } })
  await t.rejects(unlucky, { code: 'ERR_SKEIN_INTERNAL' })

  const ask = (to: ClusterNetworkManager) =>
    a.request(to.nodeId, { type: double, body: { number: 21 } }, { timeoutMs: 10_000 })
  t.same(await ask(b), { number: 42 })
  await t.rejects(ask(c), { code: 'ERR_SKEIN_UNKNOWN_MESSAGE' }, 'nobody there answers')

  const all = await b.broadcastMessage({ type: note, body: { number: 7 } })
  t.match(all.outcomes, [
    { kind: 'delivered', nodeId: a.nodeId },
    { kind: 'skipped', nodeId: b.nodeId, reason: 'self' },
    { kind: 'failed', nodeId: c.nodeId, error: { code: 'ERR_SKEIN_UNKNOWN_MESSAGE' } }
  ])
  t.equal(all.complete, false)
  t.same(heard, [[a.nodeId, b.nodeId, 7, 0]])
  t.match(a.getAllMetrics().delivery, { acked_handled: 5, refused_by_handlers: 1 })
})
