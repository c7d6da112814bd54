import t from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { ChangeRefusedError, NoLeaderError, silentLogger } from '../../../src/core/index.js'
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
  const ask = async (method: 'GET' | 'POST', path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) }
    const response = await fetch(`http://${address}${path}`, init)
    return { status: response.status, body: (await response.json()) as object }
  }
  return { manager, ask }
}

t.test('placement and versions are shown; actions reach the manager', async (t) => {
  const { manager, ask } = await served(t)
  t.match(await ask('GET', '/v1/placement'), {
    status: 200,
    body: { version: 3, groups: [{ group: 0, voters: ['a', 'b'] }] }
  })
  t.match(await ask('GET', '/v1/placement/schema_changes'), {
    status: 200,
    body: {
      changes: [{ table: 'accounts', doneIn: [1], status: 'stopped', code: 'ERR_SKEIN_SQL' }]
    }
  })
  const id = '00112233445566778899aabbccddeeff'
  const abort = (change: string) =>
    ask('POST', `/v1/placement/schema_changes/${change}/abort`, { by: 'ann' })
  t.match(await abort('nothing'), { status: 400, body: { code: 'ERR_SKEIN_INVALID_ARGUMENT' } })
  t.match(await abort(id), { status: 200, body: { id, status: 'aborted', doneIn: [] } })
  t.same(manager.control.asked.splice(0), [{ call: 'abortSchemaChange', with: { id, by: 'ann' } }])
  manager.control.recorded.splice(0)
  t.match(await ask('GET', '/v1/cluster_version'), { status: 200, body: { silent: ['b'] } })
  await ask('POST', '/v1/cluster_version/finalize', {})
  await ask('POST', '/v1/cluster_version/finalize', { to: 2 })
  await ask('POST', '/v1/cluster_version/forget', { node: 'gone' })
  t.same(manager.control.asked, [
    { call: 'finalizeVersion', with: {} },
    { call: 'finalizeVersion', with: { to: 2 } },
    { call: 'forgetVersion', with: 'gone' }
  ])
  t.same(
    manager.control.recorded.map(({ action, status }) => `${status} ${action}`),
    ['finalize', 'finalize', 'forget'].map((verb) => `200 POST /v1/cluster_version/${verb}`)
  )
})

t.test('what is wrong, refused or out of reach is told by code', async (t) => {
  const { manager, ask } = await served(t)
  for (const [verb, body, field] of [
    ['finalize', { to: 0 }, 'to'],
    ['finalize', { to: 1.5 }, 'to'],
    ['forget', {}, 'node'],
    ['forget', { node: '../..' }, 'node']
  ] as const) {
    const answer = await ask('POST', `/v1/cluster_version/${verb}`, body)
    t.match(answer, { status: 400, body: { details: { field } } })
  }
  t.same(manager.control.asked, [])
  manager.control.error = new ChangeRefusedError('the cluster version stays', {
    details: { section: 'cluster-version', reason: 'olderMembers', nodes: ['b'] }
  })
  t.match(await ask('POST', '/v1/cluster_version/finalize', {}), {
    status: 409,
    body: { code: 'ERR_SKEIN_CHANGE_REFUSED', retryable: false, details: { nodes: ['b'] } }
  })
  manager.control.error = new NoLeaderError('no leader of the control group is known')
  t.match(await ask('GET', '/v1/placement'), {
    status: 503,
    body: { code: 'ERR_SKEIN_NO_LEADER', retryable: true }
  })
})
