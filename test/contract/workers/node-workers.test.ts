import { threadId } from 'node:worker_threads'
import t from 'tap'
import { silentLogger } from '../../../src/core/index.js'
import { NodeWorkers } from '../../../src/runtime/index.js'
import { countingModule } from './counting-tasks.js'
import { workersContract } from './workers-contract.js'

workersContract('piscina', () => new NodeWorkers({ logger: silentLogger }))

const open = (t: { teardown(handler: () => unknown): void }, taskTimeoutMs: number) => {
  const workers = new NodeWorkers({ logger: silentLogger }, { taskTimeoutMs })
  t.teardown(() => workers.close())
  return workers.open(countingModule)
}

t.test('piscina: tasks run in another thread', async (t) => {
  t.not(await open(t, 10_000).run('thread', undefined as never), threadId)
})

t.test('piscina: a thread that ends is replaced, and has forgotten', async (t) => {
  const runner = open(t, 10_000)
  t.equal(await runner.run('add', 5), 5)
  await t.rejects(runner.run('exit', undefined as never), { code: 'ERR_SKEIN_WORKER_LOST' })
  t.equal(await runner.run('add', 5), 5)
})

t.test('piscina: a thread that stands still is replaced', async (t) => {
  const runner = open(t, 2_000)
  t.equal(await runner.run('add', 5), 5)
  await t.rejects(runner.run('spin', new SharedArrayBuffer(4)), { code: 'ERR_SKEIN_WORKER_LOST' })
  t.equal(await runner.run('add', 5), 5)
})
