import t from 'tap'
import * as planned from '../../../src/admin/routes/planned-routes.js'
import { TransferFailedError } from '../../../src/core/index.js'
import { serveRoutes } from './serve-routes.js'

t.test('a node is drained and undrained, a leadership handed over', async (t) => {
  const { manager, ask } = await serveRoutes(t)
  const drained = await ask('POST', '/v1/drain', { node: 'b', leadersTimeoutMs: 5 })
  t.ok(planned.drainAnswer.safeParse(drained.json).success)
  t.match(await ask('POST', '/v1/undrain', { node: 'b' }), { json: { node: 'b' } })
  const moved = await ask('POST', '/v1/switchover', { group: 0, target: 'b' })
  t.ok(planned.switchoverAnswer.safeParse(moved.json).success)
  t.match(manager.asked, [
    { call: 'drain', query: 'b' },
    { call: 'undrain', query: 'b' },
    { call: 'switchover', options: { group: 0, target: 'b' } }
  ])
  t.match(await ask('POST', '/v1/drain', { node: 'B!', more: 1 }), { status: 400 })
  t.match(await ask('POST', '/v1/switchover', { group: -1 }), { status: 400 })
  manager.error = new TransferFailedError('c is behind in group 0')
  t.match(await ask('POST', '/v1/switchover', { group: 0 }), {
    status: 503,
    json: { code: 'ERR_SKEIN_TRANSFER_FAILED', retryable: true }
  })
})

t.test('a rolling restart is previewed, started, shown and stopped', async (t) => {
  const { manager, ask } = await serveRoutes(t)
  const preview = await ask('POST', '/v1/rolling_restart', { dryRun: true, canary: 'b' })
  t.ok(planned.previewAnswer.safeParse(preview.json).success)
  t.same((await ask('POST', '/v1/rolling_restart', { nodes: ['b'], delayMs: 0 })).json, {
    id: 'p1'
  })
  t.match(await ask('POST', '/v1/rolling_restart'), { json: { id: 'p1' } })
  const listed = await ask('GET', '/v1/rolling_restart')
  t.ok(planned.plansAnswer.safeParse(listed.json).success)
  const one = await ask('GET', '/v1/rolling_restart/p1')
  t.ok(planned.planAnswer.safeParse(one.json).success)
  t.match(await ask('GET', '/v1/rolling_restart/p2'), { status: 404 })
  for (const action of ['pause', 'resume', 'abort']) {
    t.match(await ask('POST', `/v1/rolling_restart/p1/${action}`), { json: { id: 'p1', action } })
  }
  t.match(await ask('POST', '/v1/rolling_restart/p2/abort'), { status: 404 })
  t.same(
    manager.restarts.asked.map(({ call }) => call),
    ['preview', 'start', 'start', 'pause', 'resume', 'abort']
  )
  t.same(manager.restarts.asked[1]?.with, { nodes: ['b'], delayMs: 0 })
  t.match(await ask('POST', '/v1/rolling_restart', { errorRateMax: 2, nodes: [] }), { status: 400 })
})

t.test('skein drain, undrain, switchover', async (t) => {
  const { run } = await serveRoutes(t)
  const drained = await run('drain', 'b')
  t.equal(drained.status, 0, drained.stderr)
  t.match(drained.stdout, /b has given its work away: 2 leaderships moved, 3 sessions, 1 refused/)
  t.match((await run('undrain', 'b')).stdout, /b takes work again/)
  t.match((await run('switchover', '--group', '3', '--to', 'b')).stdout, /b leads group 3, a did/)
  t.match((await run('switchover', '--to', 'a')).stdout, /a leads group 0 already/)
  t.match(await run('switchover', '--group', 'x'), { status: 2 })
})

t.test('skein rolling-restart', async (t) => {
  const { manager, run } = await serveRoutes(t)
  const preview = await run('rolling-restart', '--dry-run')
  t.equal(preview.status, 0, preview.stderr)
  t.match(preview.stdout, /1 {2}b .*canary .*0 to a .*its hook .*may go/)
  manager.restarts.ok = false
  t.match(await run('rolling-restart', 'b', '--dry-run'), { status: 1, stdout: /a is not alive/ })
  const followed = await run('rolling-restart', 'b', '--delay-ms', '10', '--follow')
  t.equal(followed.status, 0, followed.stderr)
  t.match(followed.stdout, /rolling restart p1; .*rolling restart p1: finished/s)
  t.match(followed.stderr, /b: rejoin\nfinished/)
  t.match(manager.restarts.asked.at(-1), { call: 'start', with: { nodes: ['b'], delayMs: 10 } })
  t.match((await run('rolling-restart', 'show')).stdout, /b {5}done/)
  t.match((await run('rolling-restart', 'show', 'p1', '--json')).stdout, /"status":"finished"/)
  t.match((await run('rolling-restart', 'abort', 'p1')).stdout, /abort: p1/)
  t.match(await run('rolling-restart', 'show', 'p2'), { status: 1, stderr: /NOT_FOUND/ })
  t.match(await run('rolling-restart', '--error-rate-max', '7'), { status: 2 })
})
