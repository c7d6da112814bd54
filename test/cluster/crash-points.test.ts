/** What `npm run torture -- --crash-points` does, at one of the points, or a few. */
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { looksAtAll } from '../support/thoroughness.js'
import { runCrashPoints } from '../torture/crash-points/campaign.js'
import type { CrashPoint } from '../torture/crash-points/crash-points.js'

const points: CrashPoint[] = ['decision_persist.after', 'log_frame.half', 'identity_rename.after']

t.test('J-06 R-P16 nodes die at named points, and keep what they acknowledged', async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const report = await runCrashPoints(
    {
      rounds: 1,
      seed: 1,
      nodes: 3,
      workloads: ['bank'],
      processesPerWorkload: 1,
      points: looksAtAll ? points : points.slice(0, 1),
      historyFile
    },
    (line) => t.comment(line)
  )
  t.match(report, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.same(report.never_struck, [])
  t.ok(report.acknowledged > 10, `${report.acknowledged} writes acknowledged`)
})
