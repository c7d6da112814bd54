import t from 'tap'
import { runThreeNodes } from '../../examples/embed.js'
import { factsOf, must } from '../../src/core/index.js'

t.test('who lost its quorum is told so, and every write names who is missing', async (t) => {
  const managers = await runThreeNodes(t.testdir())
  t.teardown(async () => {
    for (const manager of managers) await manager.stop({ drain: false })
  })
  const [survivor, ...others] = managers.map((manager) => must(manager, 'manager'))
  const node = must(survivor, 'survivor')
  await node.executeQuery('add geese 3', { timeoutMs: 20_000 })
  const events = node.subscribeToEvents()
  t.teardown(() => events.close())
  for (const other of others) await other.stop({ drain: false })
  const missing = others.map(({ nodeId }) => nodeId).sort()
  for await (const event of events) {
    if (event.type !== 'QuorumLost') continue
    t.match(event, { needed: 2, present: [node.nodeId], missing: Array })
    break
  }
  const write = node.executeQuery('add geese 4', { timeoutMs: 5_000 })
  const facts = factsOf(
    await write.then(
      () => t.fail('it was executed'),
      (error) => error
    )
  )
  t.equal(facts.code, 'ERR_SKEIN_NO_QUORUM')
  t.ok(facts.details?.missing !== undefined && facts.retryable)
  for (const nodeId of (facts.details?.missing ?? []) as readonly string[]) {
    t.ok(
      missing.some((name) => name === nodeId),
      `${nodeId} is missing`
    )
  }
})
