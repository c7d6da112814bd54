import t from 'tap'
import * as routes from '../../../src/admin/routes/session-routes.js'
import { serveRoutes } from './serve-routes.js'

const id = '0123456789abcdef0123456789abcdef'

t.test('sessions are listed, moved and ended over HTTP', async (t) => {
  const { manager, ask } = await serveRoutes(t)
  const moved = await ask('POST', `/v1/sessions/${id}/move`, { target: 'b', reason: 'rebalance' })
  t.ok(routes.moveReportAnswer.safeParse(moved.json).success)
  t.match(moved.json, { outcome: 'moved', target: 'b' })
  t.match(await ask('POST', `/v1/sessions/${id}/move`, { target: 'c' }), {
    status: 200,
    json: { outcome: 'refused', refusal: 'unreachable' }
  })
  t.match(await ask('POST', `/v1/sessions/${id}/move`), { json: { outcome: 'moved' } })
  t.match(manager.sessions.asked, [
    { call: 'move', with: { target: 'b', reason: 'rebalance' } },
    { call: 'move', with: { target: 'c' } },
    { call: 'move', with: {} }
  ])
  const listed = await ask('GET', '/v1/sessions')
  t.ok(routes.sessionsAnswer.safeParse(listed.json).success)
  t.match(listed.json, {
    sessions: [{ id, home: 'a', prepared: ['pay'], lastInsertRowid: { $int: '7' } }],
    reports: [{ outcome: 'moved' }, { outcome: 'refused' }, { outcome: 'moved' }]
  })
  t.match(await ask('POST', `/v1/sessions/${id}/close`), { status: 200, json: { id } })
  t.match(await ask('POST', '/v1/sessions/0/move'), { status: 404 })
  t.match(await ask('POST', `/v1/sessions/${id}/move`, { target: 'B!' }), { status: 400 })
  t.match(await ask('POST', `/v1/sessions/${id}/move`, { reason: 'whim' }), { status: 400 })
})

t.test('skein sessions lists, moves and ends', async (t) => {
  const { run } = await serveRoutes(t)
  const listed = await run('sessions')
  t.equal(listed.status, 0)
  t.match(listed.stdout, new RegExp(`${id} +app +a +attached +3 +1 +read_only=on`))
  t.match(listed.stdout, '3 opened, 1 closed, 1 moved, 1 taken over, 1 expired, 0 lost')
  const moved = await run('sessions', 'move', id, '--to', 'b')
  t.match([moved.status, moved.stdout], [0, `session ${id} moved from a to b`])
  const refused = await run('sessions', 'move', id, '--to', 'c')
  t.equal(refused.status, 1)
  t.match(refused.stdout, `session ${id} stays on a: unreachable, c does not answer`)
  const closed = await run('sessions', 'close', id)
  t.match([closed.status, closed.stdout], [0, `session ${id} has ended`])
  t.equal((await run('sessions', 'close', '0')).status, 1)
})
