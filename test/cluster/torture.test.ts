/** What `npm run torture` does, as short as it says something. */
import { join } from 'node:path'
import t from 'tap'
import { skein } from '../support/run-skein.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { looksAtAll } from '../support/thoroughness.js'
import { runTorture } from '../torture/torture-run.js'
import { workloadNames } from '../torture/workloads.js'

t.test('J-01 J-03 J-04 J-05 nodes are struck, and keep what they acknowledged', async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const options = { minutes: 0.2, seed: 1, nodes: 3, workloads: workloadNames, historyFile }
  const report = await runTorture({ ...options, nemeses: null, atOnce: 1 }, (line) =>
    t.comment(line)
  )
  const { histories, ...rest } = report
  t.match(rest, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.ok(rest.operations > 100, `${rest.operations} operations`)
  t.same(
    Object.values(histories).map(({ verdict }) => verdict),
    ['accepted', 'accepted', 'accepted']
  )
  t.match(await skein('check', historyFile, '--model=list-append', '--keys=list/'), {
    status: 0,
    stdout: /^accepted: \d+ operations/
  })
})

const skip = looksAtAll ? false : 'npm run test:all, npm run torture -- --at-once 3'

t.test('J-02 kills, pauses, handovers and changes of members overlap', { skip }, async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const options = { minutes: 0.2, seed: 2, nodes: 3, workloads: workloadNames, historyFile }
  const report = await runTorture({ ...options, nemeses: null, atOnce: 3 }, (line) =>
    t.comment(line)
  )
  t.match(report, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.ok(report.overlapped > 0, `${report.overlapped} strikes overlapped`)
})
