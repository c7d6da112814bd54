/** `examples/client.ts`, and a client of an engine of one’s own, against real nodes. */
import t from 'tap'
import { countGeese } from '../../examples/client.js'
import { counterEngine, runThreeNodes } from '../../examples/embed.js'
import { SkeinClient } from '../../lib/client.js'
import { ClusterNetworkManager } from '../../lib/index.js'
import { sqliteEngine } from '../../lib/sqlite.js'
import { must } from '../../src/core/index.js'

t.test('the example counts each goose once, and sees what it wrote', async (t) => {
  const manager = ClusterNetworkManager.create({
    preset: 'local',
    engine: sqliteEngine(),
    config: {
      node: { id: 'lake', listenAddress: '127.0.0.1:0', dataDirectory: t.testdir() },
      cluster: { bootstrap: { voters: ['lake'] } },
      security: { insecure: true }
    }
  })
  t.teardown(() => manager.stop({ drain: false }))
  await manager.start()
  const options = {
    addresses: [manager.getClusterView().address],
    insecure: true,
    timeoutMs: 20_000
  }
  t.equal(await countGeese(options), 1)
  t.equal(await countGeese(options), 2)
})

t.test('a client knows one address of three nodes, and learns the others', async (t) => {
  const managers = await runThreeNodes(t.testdir())
  t.teardown(async () => {
    for (const manager of managers) await manager.stop({ drain: false })
  })
  const [first] = managers
  // A name, not an address: names are looked up with each dial.
  const port = must(first, 'first').getClusterView().address.split(':')[1]
  const client = await SkeinClient.connect({
    addresses: [`localhost:${port}`],
    insecure: true,
    classify: must(counterEngine.classify, 'classify'),
    timeoutMs: 20_000
  })
  t.teardown(() => client.close())
  const events = client.subscribeToEvents()
  t.same((await client.query('add geese 3')).rows, [[3]])
  t.same((await client.query('get geese')).rows, [[3]])
  for (let i = 0; i < 20; i++) {
    const { rows } = await client.query('get geese', undefined, { consistency: 'local' })
    t.same(rows, [[3]], 'its own write is seen wherever it reads')
  }
  t.equal(client.routeQuery('add geese 1').reason.endsWith('the leader of the group'), true)
  const { candidates } = client.explainRoute('get geese', { consistency: 'local' })
  t.same(
    candidates.map(({ node, eligible }) => `${node} ${eligible}`),
    ['goose-1 true', 'goose-2 true', 'goose-3 true']
  )
  await client.close()
  const seen: string[] = []
  for await (const { type } of events) seen.push(type)
  t.ok(seen.includes('PeerConnected') || seen.includes('ClusterChanged'))
  await t.rejects(client.query('get geese'), { code: 'ERR_SKEIN_STOPPED' })
})
