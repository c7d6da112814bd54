import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { simulate } from '../../lib/testing.js'

const run = promisify(execFile)
const options = { nodes: 5, seconds: 5 }

t.test('D-01 the same seed gives the same trace, here and in another process', async (t) => {
  const first = await simulate(2_001, options)
  const again = await simulate(2_001, options)
  t.equal(again.hash, first.hash)
  t.strictSame(again.history, first.history)
  const command = new URL('../../src/cli/main.js', import.meta.url).pathname
  const args = ['simulate', '--seed', '2001', '--nodes', '5', '--seconds', '5', '--json']
  const { stdout } = await run(process.execPath, [command, ...args])
  const report = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  t.equal(report.ok, true)
  t.equal(report.hashes['2001'], first.hash)
  t.equal(report.repeated, 1)
})

t.test('another seed gives another trace', async (t) => {
  const [one, other] = [await simulate(2_001, options), await simulate(2_002, options)]
  t.not(one.hash, other.hash)
})

t.test('bad arguments end with exit status 2 and name the argument', async (t) => {
  const command = new URL('../../src/cli/main.js', import.meta.url).pathname
  for (const [args, named] of [
    [['--seed', 'x'], '--seed'],
    [['--nodes', '0'], '--nodes'],
    [['--seconds', '-1'], '--seconds'],
    [['--what'], '--what'],
    [['13'], 'argument']
  ] as const) {
    const failed = run(process.execPath, [command, 'simulate', ...args])
    await t.rejects(failed, { code: 2, stdout: '', stderr: new RegExp(named) }, args.join(' '))
  }
  const { stdout } = await run(process.execPath, [command, 'simulate', '--help'])
  t.match(stdout, /--trace/)
})
