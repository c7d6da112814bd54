import t, { type Test } from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import * as routes from '../../../src/admin/routes/session-routes.js'
import { silentLogger } from '../../../src/core/index.js'
import { skein } from '../../support/run-skein.js'
import { FakeManager } from './fake-manager.js'

const id = '0123456789abcdef0123456789abcdef'

async function serve(t: Test) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const url = `http://${address}`
  const ask = async (method: string, path: string, body?: unknown) => {
    const headers: Record<string, string> = {}
    if (body !== undefined) headers['content-type'] = 'application/json'
    const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) }
    const response = await fetch(`${url}${path}`, init)
    return { status: response.status, json: JSON.parse(await response.text()) }
  }
  return { manager, ask, run: (...args: string[]) => skein(...args, '--admin', url) }
}

t.test('sessions are listed, moved and ended over HTTP', async (t) => {
  const { manager, ask } = await serve(t)
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
  const { run } = await serve(t)
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
