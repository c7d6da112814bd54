import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { nodeClock } from '../../../src/runtime/index.js'
import { guardedExecArgv, isProduct, RunGuard } from '../../../src/simulation/run-guard.js'

t.test('product code that looks at the real clock is told of, others are not', async (t) => {
  const told: string[] = []
  const { now } = Date
  const guard = new RunGuard({
    turnsMax: 1_000,
    keepsStacks: true,
    onRealWorld: (what) => told.push(what)
  })
  const clock = nodeClock()
  guard.install()
  Date.now()
  Math.random()
  t.strictSame(told, [])
  clock.now()
  t.strictSame(told, ['performance.now'])
  clock.schedule(clock.now(), () => {}).cancel()
  t.ok(told.includes('setTimeout'), told.join(', '))
  guard.remove()
  const before = told.length
  clock.now()
  t.equal(told.length, before)
  t.equal(Date.now, now)
})

t.test('runs that end in another order than they began leave nothing behind', async (t) => {
  const told: string[] = []
  const make = (name: string) =>
    new RunGuard({ turnsMax: 1_000, keepsStacks: false, onRealWorld: () => told.push(name) })
  const [one, other] = [make('one'), make('other')]
  const clock = nodeClock()
  one.install()
  other.install()
  one.remove()
  clock.now()
  t.strictSame(told, ['other'])
  other.remove()
  clock.now()
  t.strictSame(told, ['other'])
})

t.test('endless promises and microtasks are given up, and the process goes on', async (t) => {
  const guard = new RunGuard({ turnsMax: 5_000, keepsStacks: true, onRealWorld: () => {} })
  guard.install()
  t.teardown(() => guard.remove())
  const spin = async (): Promise<never> => {
    for (;;) await null
  }
  const spinByTasks = () => queueMicrotask(spinByTasks)
  for (const begin of [() => void spin(), spinByTasks]) {
    guard.beginEvent()
    t.notOk(guard.isExhausted)
    begin()
    await new Promise<void>(setImmediate)
    t.ok(guard.isExhausted)
  }
  guard.beginEvent()
  for (let turn = 0; turn < 100; turn++) await null
  t.notOk(guard.isExhausted)
})

t.test('product code is known by its stack in the package that is put together, too', async (t) => {
  const index = new URL('../../../bundle/index.js', import.meta.url).href
  const program = `const { resolveConfig } = await import('${index}')
    try { resolveConfig({ code: {} }) } catch ({ stack }) { console.log(stack) }`
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...guardedExecArgv,
    '--input-type=module',
    '--eval',
    program
  ])
  t.ok(stdout.split('\n').some(isProduct), stdout)
})
