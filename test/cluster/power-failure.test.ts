/** What `npm run torture -- --power-failure` does, as short as it says something. */
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { someOf } from '../support/thoroughness.js'
import { runPowerFailures } from '../torture/power-failure.js'
import { workloadNames } from '../torture/workloads.js'

t.test('R-P02 R-P07 the power fails for all, and nothing acknowledged is lost', async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const report = await runPowerFailures(
    { rounds: someOf(4), seed: 1, nodes: 3, workloads: workloadNames, historyFile },
    (line) => t.comment(line)
  )
  t.match(report, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.ok(report.acknowledged > 20, `${report.acknowledged} writes acknowledged`)
  t.ok(report.engines_put_back > 0, 'engines lost what was not synced')
})
