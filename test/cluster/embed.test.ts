import t from 'tap'
import { runThreeNodes } from '../../examples/embed.js'
import { must } from '../../src/core/index.js'

t.test('an own engine in a three-node cluster in one process', async (t) => {
  const managers = await runThreeNodes(t.testdir())
  t.teardown(async () => {
    for (const manager of managers) await manager.stop({ drain: false })
  })
  const [first, second, third] = managers.map((manager) => must(manager, 'manager'))

  const added = await must(first, 'first').executeQuery('add geese 3', { timeoutMs: 20_000 })
  t.same(added.rows, [[3]])
  const again = await must(second, 'second').executeQuery('add geese 4', { timeoutMs: 20_000 })
  t.same(again.rows, [[7]])
  t.ok(again.index > added.index, 'the log went on')
  for (const manager of [first, second, third]) {
    const read = await must(manager, 'manager').executeQuery('get geese', { timeoutMs: 20_000 })
    t.same(read.rows, [[7]], 'every node sees what was acknowledged')
  }
  t.equal(must(third, 'third').getAliveMembers().length, 3)

  must(second, 'second').channels.accept('shout', async (channel) => {
    for await (const bytes of channel) {
      await channel.write(Buffer.from(Buffer.from(bytes).toString().toUpperCase()))
    }
    channel.end()
  })
  const to = must(second, 'second').nodeId
  const channel = await must(first, 'first').channels.open(to, 'shout')
  const words = 'honk '.repeat(100_000)
  const heard: Uint8Array[] = []
  const listening = (async () => {
    for await (const bytes of channel) heard.push(bytes)
  })()
  await channel.write(Buffer.from(words))
  channel.end()
  await listening
  t.ok(Buffer.concat(heard).toString() === words.toUpperCase(), 'a channel carries both ways')
})
