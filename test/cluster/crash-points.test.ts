/** What `npm run torture -- --crash-points` does, at a few of the points. */
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { looksAtAll } from '../support/thoroughness.js'
import { runCrashPoints } from '../torture/crash-points/campaign.js'
import type { CrashPoint } from '../torture/crash-points/crash-points.js'

const points: CrashPoint[] = ['decision_persist.after', 'log_frame.half', 'identity_rename.after']

const skip = looksAtAll ? false : 'npm run test:all, npm run torture -- --crash-points'

t.test('J-06 R-P16 nodes die at named points, and lose nothing', { skip }, async (t) => {
  const historyFile = join(await temporaryDirectory(t), 'history.jsonl')
  const report = await runCrashPoints(
    {
      rounds: 1,
      seed: 1,
      nodes: 3,
      workloads: ['bank'],
      processesPerWorkload: 1,
      points,
      historyFile
    },
    (line) => t.comment(line)
  )
  t.match(report, { ok: true, acknowledged_lost: 0, consistent: true, crashes: [] })
  t.same(report.never_struck, [])
  t.ok(report.acknowledged > 10, `${report.acknowledged} writes acknowledged`)
})
