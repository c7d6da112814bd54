import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { createAdminServer, tokenOf } from '../../../lib/admin.js'
import { errorBodyOf, statusOf } from '../../../src/admin/http-status.js'
import { queryBodyBytesMax } from '../../../src/admin/route.js'
import {
  errorCodes,
  type NodeId,
  NotLeaderError,
  RemoteError,
  silentLogger
} from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

interface Setup {
  readonly manager: FakeManager
  readonly url: string
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Record<string, unknown>
}

async function serve(
  t: Test,
  changes: { token?: string; subscribers?: number } = {}
): Promise<Setup> {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: changes.token === undefined ? [] : [tokenOf(changes.token)],
    logger: silentLogger,
    eventSubscribersMax: changes.subscribers ?? 2
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const url = `http://${address}`
  const ask = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(url + path, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? JSON.parse(text) : {}
    }
  }
  return {
    manager,
    url,
    get: (path, headers = {}) => ask(path, { headers }),
    post: (path, body, headers = {}) =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body)
      })
  }
}

t.test('probes: alive always, ready when the node takes work', async (t) => {
  const { manager, get } = await serve(t)
  t.match(await get('/livez'), { status: 200, json: { live: true, node: 'a' } })
  t.match(await get('/readyz'), { status: 200, json: { ready: true } })
  const checks = [{ name: 'leader', ok: false, detail: 'no leader is known' }]
  manager.report = { healthy: false, ready: false, checks }
  t.same((await get('/readyz')).json, { ready: false })
  t.match(await get('/readyz?verbose'), { status: 503, json: { ready: false, checks } })
  t.match(await get('/v1/health'), { status: 200, json: { healthy: false } })
})

t.test('views show members with every name of their state', async (t) => {
  const { get } = await serve(t)
  t.match((await get('/v1/members')).json, {
    members: [
      { nodeId: 'a', liveness: 'alive', state: 'Alive', lastSeenAgoMs: 0 },
      { nodeId: 'b', state: 'Suspect', serviceState: 'suspected', lastSeenAgoMs: 1000 }
    ]
  })
  t.match(await get('/v1/members/b'), { status: 200, json: { nodeId: 'b' } })
  t.match(await get('/v1/members/z'), { status: 404, json: { code: 'ERR_SKEIN_NOT_FOUND' } })
  t.match((await get('/v1/cluster')).json, { clusterName: 'test', nodeId: 'a', members: [{}, {}] })
  t.match((await get('/v1/raft')).json, { groups: [{ group: 0, role: 'leader', term: 7 }] })
  t.match((await get('/v1/checksums')).json, { node: 'a', replicas: [{ index: 3, hash: 'ab' }] })
})

t.test('a query goes with all its options, and its values come back in JSON', async (t) => {
  const { manager, post } = await serve(t)
  manager.rows = [[null, 1.5, 'x', 2n ** 60n, Uint8Array.of(1, 2)]]
  const answer = await post('/v1/query', {
    sql: 'SELECT ?',
    params: [1, { $int: '1152921504606846976' }, { $blob: 'AQI=' }, null, 'x'],
    consistency: 'leader',
    priority: 'high',
    timeoutMs: 700,
    atLeastIndex: 5,
    client: { clientId: 'me', serial: 2, answeredBelow: 1 }
  })
  t.equal(answer.status, 200)
  t.same(answer.json, {
    columns: ['n'],
    rows: [[null, 1.5, 'x', { $int: '1152921504606846976' }, { $blob: 'AQI=' }]],
    rowsAffected: 0,
    lastInsertRowid: { $int: '1152921504606846976' },
    index: 9,
    group: 0,
    node: 'a'
  })
  t.same(manager.asked, [
    {
      call: 'executeQuery',
      query: 'SELECT ?',
      options: {
        params: [1, 2n ** 60n, Uint8Array.of(1, 2), null, 'x'],
        consistency: 'leader',
        priority: 1,
        timeoutMs: 700,
        atLeastIndex: 5,
        client: { clientId: 'me', serial: 2, answeredBelow: 1 }
      }
    }
  ])
})

t.test('a list of statements is answered by a list of results', async (t) => {
  const { manager, post } = await serve(t)
  const statements = [{ sql: 'INSERT 1', params: { a: 1 } }, { sql: 'INSERT 2' }]
  const answer = await post('/v1/query', { statements })
  t.equal((answer.json as unknown as unknown[]).length, 2)
  t.same(manager.asked[0]?.query, statements)
})

t.test('every fault of a body is reported with its field', async (t) => {
  const { manager, post } = await serve(t)
  const faultsOf = async (body: unknown, path = '/v1/query') => {
    const { status, json } = await post(path, body)
    t.equal(status, 400)
    t.equal(json.code, 'ERR_SKEIN_INVALID_ARGUMENT')
    const { faults } = json.details as { faults: string[] }
    return faults.map((line) => line.split(': ')[0])
  }
  t.same(
    await faultsOf({
      statements: [{ sql: '' }, { params: [1, { $int: 'x' }] }],
      consistency: 'strong',
      timeoutMs: -1,
      client: { clientId: 'has space', serial: 0, answeredBelow: 1 },
      other: 1
    }),
    [
      'statements[0].sql',
      'statements[1].sql',
      'statements[1].params[1]',
      'consistency',
      'timeoutMs',
      'client.clientId',
      'client.serial',
      'client.answeredBelow',
      'body'
    ]
  )
  t.same(await faultsOf({}), ['sql'])
  t.same(await faultsOf({ sql: 'a', params: [], statements: [{ sql: 'b' }] }), ['sql', 'params'])
  t.same(await faultsOf({ sql: 'a', client: { clientId: 'x', serial: 1, answeredBelow: 2 } }), [
    'client.answeredBelow'
  ])
  t.same(await faultsOf([]), ['body'])
  t.same(await faultsOf({ sql: 1 }, '/v1/route_query'), ['sql'])
  t.same(await faultsOf({ clientId: '' }, '/v1/clients'), ['clientId'])
  t.same(manager.asked, [], 'nothing was executed')
})

t.test('routes are decided and explained, clients registered', async (t) => {
  const { manager, post } = await serve(t)
  t.match(await post('/v1/route_query', { sql: 'SELECT 1', priority: 'low' }), {
    status: 200,
    json: { node: 'a', kind: 'read', reason: /best/ }
  })
  t.match(await post('/v1/explain_route', { sql: 'SELECT 1' }), {
    status: 200,
    json: { decision: { node: 'a' }, candidates: [] }
  })
  t.match(await post('/v1/clients', { clientId: 'me' }), { status: 200, json: { clientId: 'me' } })
  t.match(manager.asked.at(-1), { call: 'registerClient', query: 'me' })
  t.match(manager.asked[0], { options: { priority: 3 } })
})

t.test('every error code is answered with its status and its facts', async (t) => {
  const { manager, post } = await serve(t)
  for (const code of errorCodes) {
    manager.error = new RemoteError({ code, message: 'told', retryable: true })
    const { status, json } = await post('/v1/query', { sql: 'SELECT 1' })
    t.equal(status, statusOf[code], code)
    t.ok(status >= 400 && status < 600)
    t.same(json, { code, message: 'told', retryable: true })
  }
  t.same(Object.keys(statusOf).sort(), [...errorCodes].sort())
  manager.error = new NotLeaderError('no', { leaderHint: 'b' as NodeId, details: { term: 3 } })
  t.match((await post('/v1/query', { sql: 'x' })).json, { leader: 'b', details: { term: 3 } })
  t.same(
    errorBodyOf({
      code: 'ERR_SKEIN_INTERNAL',
      message: '',
      retryable: false,
      nodeId: 'b' as NodeId
    }),
    {
      code: 'ERR_SKEIN_INTERNAL',
      message: '',
      retryable: false,
      details: { nodeId: 'b' }
    }
  )
})

t.test('a defect is coded too', async (t) => {
  const { manager, post } = await serve(t)
  manager.error = new TypeError('oops')
  const answer = await post('/v1/query', { sql: 'SELECT 1' })
  t.match(answer, { status: 500, json: { code: 'ERR_SKEIN_INTERNAL', message: 'oops' } })
})

t.test('wrong paths, methods, types and bodies get coded answers', async (t) => {
  const { get, post, url } = await serve(t)
  t.match(await get('/nothing'), { status: 404, json: { code: 'ERR_SKEIN_NOT_FOUND' } })
  const wrong = await get('/v1/query')
  t.match(wrong, { status: 405, json: { code: 'ERR_SKEIN_METHOD_NOT_ALLOWED' } })
  t.equal(wrong.headers.get('allow'), 'POST')
  t.equal((await post('/v1/members/b', {})).headers.get('allow'), 'GET, DELETE')
  t.match(await post('/v1/query', '{"sql":'), { status: 400, json: { details: { field: 'body' } } })
  t.match(await post('/v1/query', ''), {
    status: 400,
    json: { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  })
  t.match(await post('/v1/query', 'x', { 'content-type': 'text/plain' }), {
    status: 400,
    json: { details: { field: 'content-type' } }
  })
  const large = await post('/v1/query', { sql: 'x'.repeat(queryBodyBytesMax) })
  t.match(large, { status: 413, json: { code: 'ERR_SKEIN_MESSAGE_TOO_LARGE' } })
  t.match(await get('/v1/members/%E0%A4%A'), { status: 400, json: { details: { field: 'url' } } })
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.end('garbage\r\n\r\n')
  const [chunk] = (await once(socket, 'data')) as [Uint8Array]
  t.match(String(chunk), /^HTTP\/1\.1 400 /)
})

t.test('with a token only its bearer is answered, but for the plain probes', async (t) => {
  const { get, post } = await serve(t, { token: 's3cret-token' })
  const bearer = { authorization: 'Bearer s3cret-token' }
  for (const headers of [
    {},
    { authorization: 'Bearer wrong' },
    { authorization: 'Bearer s3cret-tokeN' },
    { authorization: 'Basic s3cret-token' },
    { authorization: 'Bearer' }
  ] as Record<string, string>[]) {
    const { get } = await serve(t, { token: 's3cret-token' })
    for (const path of ['/v1/cluster', '/metrics', '/v1/events', '/readyz?verbose', '/nothing']) {
      const { status, json, headers: answered } = await get(path, headers)
      t.match({ status, json }, { status: 401, json: { code: 'ERR_SKEIN_UNAUTHENTICATED' } }, path)
      t.equal(answered.get('www-authenticate'), 'Bearer')
    }
  }
  t.equal((await get('/v1/cluster', bearer)).status, 200)
  t.equal((await post('/v1/query', { sql: 'SELECT 1' }, bearer)).status, 200)
  t.equal((await get('/livez')).status, 200)
  t.equal((await get('/readyz')).status, 200)
})

t.test('every refusal is counted, in both forms of the metrics', async (t) => {
  const { manager, url, get, post } = await serve(t, { token: 's3cret-token' })
  const bearer = { authorization: 'Bearer s3cret-token' }
  manager.metrics = { topology: { ping_count: 1 } }
  await get('/v1/cluster')
  await get('/nothing', bearer)
  await get('/v1/query', bearer)
  await post('/v1/query', { sql: 7 }, bearer)
  await post('/v1/query', { sql: 'x'.repeat(queryBodyBytesMax) }, bearer)
  manager.error = new NotLeaderError('not here')
  await post('/v1/query', { sql: 'SELECT 1' }, bearer)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.end('\x16\x03\x01 no request\r\n\r\n')
  let received = ''
  for await (const chunk of socket) received += chunk
  t.match(received, /^HTTP\/1\.1 400 /)
  const said = received.slice(received.indexOf('{'))
  t.match(JSON.parse(said), { code: 'ERR_SKEIN_INVALID_ARGUMENT', details: { field: 'request' } })
  const { json } = await get('/v1/metrics', bearer)
  t.same(json, {
    topology: { ping_count: 1 },
    admin: {
      requests: 7,
      requests_unauthenticated: 1,
      requests_not_authorized: 0,
      requests_invalid: 1,
      requests_too_large: 1,
      requests_not_found: 1,
      requests_method_not_allowed: 1,
      requests_failed: 1,
      connections_malformed: 1,
      connections_slow: 0
    }
  })
  const { text } = await get('/metrics', bearer)
  t.match(text, /\nskein_admin_requests_total 8\n/)
  t.match(text, /\nskein_admin_requests_unauthenticated_total 1\n/)
})

t.test('without a token a foreign host name is refused', async (t) => {
  const { url } = await serve(t)
  const request = httpRequest(`${url}/v1/cluster`, { headers: { host: 'evil.example:80' } })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  t.equal(response.statusCode, 403)
})

t.test('without a token it listens on loopback only; a port in use is a coded error', async (t) => {
  const options = { tokens: [], logger: silentLogger, eventSubscribersMax: 1 }
  t.throws(() => createAdminServer(new FakeManager(), { ...options, listenAddress: '0.0.0.0:0' }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
  const { url } = await serve(t)
  const taken = createAdminServer(new FakeManager(), {
    ...options,
    listenAddress: url.slice('http://'.length)
  })
  t.teardown(() => taken.stop())
  await t.rejects(taken.start(), { code: 'ERR_SKEIN_LISTEN_FAILED' })
})

t.test('a query whose caller hangs up is cancelled', async (t) => {
  const { manager, url } = await serve(t)
  const cancelled = new Promise<void>((resolve) => {
    manager.onCancelled = resolve
  })
  const controller = new AbortController()
  const asking = fetch(`${url}/v1/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"sql":"SELECT 1"}',
    signal: controller.signal
  })
  const failed = t.rejects(asking)
  while (manager.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
  controller.abort()
  await failed
  await cancelled
  t.pass('the manager heard of it')
})

t.test('load balancers learn who leads and who follows closely enough', async (t) => {
  const { manager, get } = await serve(t, { token: 's3cret-token' })
  const view = manager.getClusterView()
  const [group] = view.groups
  const be = (changes: object) => {
    const groups = [{ ...group, ...changes }] as unknown as typeof view.groups
    manager.getClusterView = () => ({ ...view, groups })
  }
  const statuses = async (query = '') =>
    Promise.all(
      ['/leader', '/follower', '/replica'].map(async (p) => (await get(p + query)).status)
    )
  t.same(await statuses(), [200, 503, 200], 'a leader')
  t.match((await get('/leader')).json, { serves: true, role: 'leader', lagEntries: 1 })
  be({ role: 'follower', commitIndex: 50, appliedIndex: 40 })
  t.same(await statuses(), [503, 200, 200], 'a follower')
  t.same(await statuses('?lagEntriesMax=9'), [503, 503, 503], 'too far behind')
  t.same(await statuses('?lagEntriesMax=10'), [503, 200, 200])
  t.same(await statuses('?group=7'), [503, 503, 503], 'no replica of it is here')
  t.match((await get('/replica?group=7')).json, { serves: false, role: null, lagEntries: null })
  t.same(await statuses('?group=x'), [400, 400, 400])
  for (const changes of [{ role: 'candidate' }, { role: 'leader', failed: 'disk' }]) {
    be(changes)
    t.same(await statuses(), [503, 503, 503])
  }
  be({})
  manager.report = { ...manager.report, ready: false }
  t.same(await statuses(), [503, 503, 503], 'one that drains')
})
