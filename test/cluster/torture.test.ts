/** What `npm run torture` does, as short as it says something. */
import { join } from 'node:path'
import t from 'tap'
import { skein } from '../support/run-skein.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { runPowerFailures } from '../torture/power-failure.js'
import { runTorture } from '../torture/torture-run.js'
import { workloadNames } from '../torture/workloads.js'

t.test('J-01 J-03 J-04 J-05 nodes are struck, and keep what they acknowledged', async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const report = await runTorture(
    { minutes: 0.4, seed: 1, nodes: 3, workloads: workloadNames, historyFile, nemeses: null },
    (line) => t.comment(line)
  )
  const { histories, ...rest } = report
  t.match(rest, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.ok(rest.operations > 100, `${rest.operations} operations`)
  for (const [model, prefix] of [
    ['register', 'register/'],
    ['list-append', 'list/'],
    ['bank', 'bank/']
  ] as const) {
    const checked = await skein('check', historyFile, `--model=${model}`, `--keys=${prefix}`)
    t.match(checked, { status: 0, stdout: /^accepted: \d+ operations/ }, model)
  }
  t.same(
    Object.values(histories).map(({ verdict }) => verdict),
    ['accepted', 'accepted', 'accepted']
  )
})

t.test('R-P02 R-P07 the power fails for all, and nothing acknowledged is lost', async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const report = await runPowerFailures(
    { rounds: 3, seed: 1, nodes: 3, workloads: workloadNames, historyFile },
    (line) => t.comment(line)
  )
  t.match(report, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.ok(report.acknowledged > 20, `${report.acknowledged} writes acknowledged`)
  t.ok(report.engines_put_back > 0, 'engines lost what was not synced')
})
