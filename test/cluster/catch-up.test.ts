/** What `npm run catch-up` does, as short as it says something. */
import t from 'tap'
import { catchUp } from '../catch-up/catch-up.js'

const bytes = 8 << 20

t.test('R-S01 R-S08 a new node that is killed catches up while all is written over', async (t) => {
  const options = { bytes, dataBytes: bytes, interruptions: 1 }
  const report = await catchUp(t, options, (line) => t.comment(line))
  t.match(report, {
    ok: true,
    interruptions: 1,
    failed_writes: 0,
    rows_lost: 0,
    replicas_identical: true,
    unexpected_exits: []
  })
  t.ok(report.snapshot_bytes_received >= bytes, 'all of it came by snapshot')
  t.ok(report.bytes >= bytes, `${report.bytes} bytes written over`)
})
