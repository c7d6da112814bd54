/** What `npm run torture -- --crash-points` does, at a few of the points. */
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { runCrashPoints } from '../torture/crash-points/campaign.js'

t.test('J-06 R-P16 nodes die at named points, and keep what they acknowledged', async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const report = await runCrashPoints(
    {
      rounds: 1,
      seed: 1,
      nodes: 3,
      workloads: ['bank'],
      processesPerWorkload: 1,
      points: ['identity_rename.after', 'log_frame.half', 'decision_persist.after'],
      historyFile
    },
    (line) => t.comment(line)
  )
  t.match(report, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.same(report.never_struck, [])
  t.ok(report.acknowledged > 10, `${report.acknowledged} writes acknowledged`)
})
