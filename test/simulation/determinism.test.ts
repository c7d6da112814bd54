import t from 'tap'
import { simulate } from '../../lib/testing.js'
import { skein, skeinProcess } from '../support/run-skein.js'

const options = { nodes: 5, seconds: 5 }

t.test('D-01 the same seed gives the same trace, here and in another process', async (t) => {
  const first = await simulate(2_001, options)
  const again = await simulate(2_001, options)
  t.equal(again.hash, first.hash)
  t.strictSame(again.history, first.history)
  const args = ['simulate', '--seed', '2001', '--nodes', '5', '--seconds', '5', '--json']
  const { stdout } = await skeinProcess(...args)
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
  for (const [args, named] of [
    [['--seed', 'x'], '--seed'],
    [['--nodes', '0'], '--nodes'],
    [['--seconds', '-1'], '--seconds'],
    [['--what'], '--what'],
    [['13'], 'argument']
  ] as const) {
    const ended = await skein('simulate', ...args)
    t.match(ended, { status: 2, stdout: '', stderr: new RegExp(named) }, args.join(' '))
  }
  const { stdout } = await skein('simulate', '--help')
  t.match(stdout, /--trace/)
})
