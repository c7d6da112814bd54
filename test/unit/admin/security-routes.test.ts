import t from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { KeyChangeRefusedError, silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

async function served(t: { teardown(handler: () => unknown): void }) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await fetch(`http://${address}${path}`, init)
    return { status: response.status, body: (await response.json()) as object }
  }
  return { manager, post }
}

t.test('each verb reaches the manager with its options', async (t) => {
  const { manager, post } = await served(t)
  const id = '0badcafe'
  await post('/v1/keys/install', { key: 'ab'.repeat(32), rotates: true })
  await post('/v1/keys/use', { id })
  await post('/v1/keys/remove', { id, force: true })
  await post('/v1/security/revocations', { list: 'signed' })
  await post('/v1/security/certificates/reload', {})
  await post('/v1/security/certificates/reload', { everywhere: true })
  t.same(manager.security.asked, [
    { call: 'installKey', with: { key: 'ab'.repeat(32), rotates: true, force: false } },
    { call: 'useKey', with: { id, options: { force: false } } },
    { call: 'removeKey', with: { id, options: { force: true } } },
    { call: 'revoke', with: 'signed' },
    { call: 'reloadCertificates', with: null },
    { call: 'reloadEverywhere', with: null }
  ])
})

t.test('X-47 X-49 what is wrong or refused is told by code', async (t) => {
  const { manager, post } = await served(t)
  for (const [path, body, field] of [
    ['/v1/keys/install', { key: 'ab'.repeat(15) }, 'key'],
    ['/v1/keys/use', { id: '../..' }, 'id'],
    ['/v1/keys/use', {}, 'id'],
    ['/v1/keys/remove', { id: '0badcafe', force: 'yes' }, 'force'],
    ['/v1/security/revocations', { list: '' }, 'list']
  ] as const) {
    const { status, body: answer } = await post(path, body)
    t.equal(status, 400, path)
    t.match(answer, { code: 'ERR_SKEIN_INVALID_ARGUMENT', details: { field } })
  }
  t.same(manager.security.asked, [])
  manager.security.error = new KeyChangeRefusedError('key 0badcafe is not installed on c', {
    details: { missing: ['c'] }
  })
  t.match(await post('/v1/keys/use', { id: '0badcafe' }), {
    status: 409,
    body: { code: 'ERR_SKEIN_KEY_CHANGE_REFUSED', details: { missing: ['c'] } }
  })
})
