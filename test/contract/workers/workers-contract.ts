import t from 'tap'
import type { Workers } from '../../../src/core/index.js'
import { countingModule } from './counting-tasks.js'

type Tap = { teardown(handler: () => unknown): void }

/** What every `Workers` owes its callers. */
export function workersContract(name: string, make: () => Workers): void {
  const open = (t: Tap) => {
    const workers = make()
    t.teardown(() => workers.close())
    return { workers, runner: workers.open(countingModule) }
  }

  t.test(`${name}: tasks remember, and run in the order of their calls`, async (t) => {
    const { runner } = open(t)
    const totals = await Promise.all([1, 10, 100].map((amount) => runner.run('add', amount)))
    t.same(totals, [1, 11, 111])
  })

  t.test(`${name}: each runner has tasks of its own`, async (t) => {
    const { workers, runner } = open(t)
    const other = workers.open(countingModule)
    t.equal(await runner.run('add', 5), 5)
    t.equal(await other.run('add', 7), 7)
    t.equal(await runner.run('add', 1), 6)
  })

  t.test(`${name}: inputs and answers are copies`, async (t) => {
    const { runner } = open(t)
    const value = { list: [1, 2], bytes: new Uint8Array([3]), at: new Map([['a', 1]]) }
    const running = runner.run('echo', value)
    value.list.push(9)
    const answer = await running
    t.same(answer, { list: [1, 2], bytes: new Uint8Array([3]), at: new Map([['a', 1]]) })
    t.not(answer, value)
  })

  t.test(`${name}: shared memory is shared`, async (t) => {
    const { runner } = open(t)
    const shared = new SharedArrayBuffer(4)
    t.equal(await runner.run('raise', shared), 1)
    t.equal(await runner.run('raise', shared), 2)
    t.equal(new Int32Array(shared)[0], 2)
  })

  t.test(`${name}: a task is never run before the call returns`, async (t) => {
    const { runner } = open(t)
    const shared = new SharedArrayBuffer(4)
    const running = runner.run('raise', shared)
    t.equal(new Int32Array(shared)[0], 0)
    await running
  })

  t.test(`${name}: a task that throws fails its own call and no other`, async (t) => {
    const { runner } = open(t)
    const outcomes = await Promise.allSettled([
      runner.run('add', 1),
      runner.run('fail', 'no luck'),
      runner.run('add', 1)
    ])
    t.match(outcomes, [
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { code: 'ERR_SKEIN_INTERNAL', message: 'no luck' } },
      { status: 'fulfilled', value: 2 }
    ])
  })

  t.test(`${name}: what waits is bounded`, async (t) => {
    const { runner } = open(t)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 300 }, () => runner.run('add', 1))
    )
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    t.equal(refused.length, 300 - 256)
    t.match(refused[0], { reason: { code: 'ERR_SKEIN_BACKPRESSURE' } })
    t.equal(await runner.run('add', 0), 256)
  })

  t.test(`${name}: closed is closed`, async (t) => {
    const { workers, runner } = open(t)
    const other = workers.open(countingModule)
    await runner.run('add', 1)
    await runner.close()
    await t.rejects(runner.run('add', 1), { code: 'ERR_SKEIN_STOPPED' })
    t.equal(await other.run('add', 4), 4)
    await workers.close()
    await t.rejects(other.run('add', 1), { code: 'ERR_SKEIN_STOPPED' })
  })
}
