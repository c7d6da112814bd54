import t, { type Test } from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { tokenOf } from '../../../src/admin/access/tokens.js'
import { silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

async function served(t: Test) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [tokenOf('root'), tokenOf('app', 'app', 'operate')],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const ask = (method: string, path: string, body?: object, token = 'root') => {
    const authorization = `Bearer ${token}`
    const init: RequestInit =
      body === undefined
        ? { headers: { authorization } }
        : {
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify(body)
          }
    return fetch(`http://${address}${path}`, { method, ...init })
  }
  return { manager, ask }
}

const part = '/v1/backups/b1/groups/0?offset=1&length=2'

t.test('a backup is taken, read in parts and ended; what was done is recorded', async (t) => {
  const { manager, ask } = await served(t)
  const taken = await ask('POST', '/v1/backups', { timeoutMs: 5_000 })
  t.match(await taken.json(), { id: 'b1', heldMs: 4, groups: [{ group: 0, index: 7 }] })
  const read = await ask('GET', part)
  t.equal(read.headers.get('content-type'), 'application/octet-stream')
  t.same(new Uint8Array(await read.arrayBuffer()), Uint8Array.of(2, 3))
  t.equal((await ask('DELETE', '/v1/backups/b1')).status, 200)
  t.same(
    manager.control.recorded.map(({ action }) => action),
    ['POST /v1/backups', 'DELETE /v1/backups/b1']
  )
})

t.test('it holds all data: nobody but an administrator reads it', async (t) => {
  const { ask } = await served(t)
  for (const [method, path] of [
    ['POST', '/v1/backups'],
    ['GET', part],
    ['DELETE', '/v1/backups/b1']
  ] as const) {
    const answer = await ask(method, path, method === 'POST' ? {} : undefined, 'app')
    t.equal(answer.status, 403, `${method} ${path}`)
  }
})

t.test('what is wrong is told by its field', async (t) => {
  const { ask } = await served(t)
  const rows: readonly (readonly [string, string])[] = [
    ['/v1/backups/b1/groups/x?offset=0&length=1', 'group'],
    ['/v1/backups/b1/groups/0?offset=-1&length=1', 'offset'],
    ['/v1/backups/b1/groups/0?offset=0&length=1048577', 'length'],
    ['/v1/backups/b1/groups/0?offset=0', 'length']
  ]
  for (const [path, field] of rows) {
    const answer = await ask('GET', path)
    t.match(await answer.json(), { code: 'ERR_SKEIN_INVALID_ARGUMENT', details: { field } }, path)
  }
  const late = await ask('POST', '/v1/backups', { timeoutMs: 3_600_001 })
  t.match(await late.json(), { details: { field: 'timeoutMs' } })
  t.equal((await ask('GET', part.replace('b1', 'b2'))).status, 404)
})
