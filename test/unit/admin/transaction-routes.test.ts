import t from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

t.test('T-09 transactions in doubt are listed, and ended by hand with force alone', async (t) => {
  const server = createAdminServer(new FakeManager(), {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const ask = async (path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await fetch(`http://${address}${path}`, init)
    return { status: response.status, body: (await response.json()) as object }
  }
  const id = '0000000003e8-00000000000000ff'
  t.match(await ask('/v1/transactions'), {
    status: 200,
    body: { inDoubt: 1, transactions: [{ transaction: id, group: 2, state: 'prepared' }] }
  })
  const resolve = `/v1/transactions/${id}/resolve`
  const said = { group: 2, outcome: 'abort', by: 'somebody', reason: 'its coordinator is lost' }
  t.match(await ask(resolve, said), { status: 409, body: { code: 'ERR_SKEIN_CHANGE_REFUSED' } })
  t.match(await ask(resolve, { ...said, force: true }), {
    status: 200,
    body: { state: 'aborted' }
  })
  t.match(await ask(resolve, { ...said, outcome: 'perhaps' }), {
    status: 400,
    body: { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  })
  t.match(await ask('/v1/transactions/7/resolve', { ...said, force: true }), {
    status: 400,
    body: { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  })
})
