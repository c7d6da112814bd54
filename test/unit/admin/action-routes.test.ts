import t, { type Test } from 'tap'
import { createAdminServer, issueToken, parseTokens } from '../../../lib/admin.js'
import { silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

async function serve(t: Test) {
  const manager = new FakeManager()
  const issued = {
    read: issueToken('viewer', 'read'),
    operate: issueToken('app', 'operate'),
    admin: issueToken('root', 'admin')
  }
  const file = Object.values(issued).map(({ line }) => line)
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: parseTokens(file.join('\n'), 'tokens'),
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    { role = 'admin', key }: { role?: keyof typeof issued; key?: string } = {}
  ) => {
    const headers: Record<string, string> = { authorization: `Bearer ${issued[role].token}` }
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (key !== undefined) headers['idempotency-key'] = key
    const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) }
    const response = await fetch(`http://${address}${path}`, init)
    return { status: response.status, json: JSON.parse(await response.text()) }
  }
  return { manager, ask }
}

t.test('the routing strategy is changed by who may operate, to one that there is', async (t) => {
  const { manager, ask } = await serve(t)
  const body = { strategy: 'random' }
  t.match(await ask('PUT', '/v1/routing_strategy', body, { role: 'read' }), { status: 403 })
  t.same(await ask('PUT', '/v1/routing_strategy', body, { role: 'operate' }), {
    status: 200,
    json: { strategy: 'random', previous: 'adaptive' }
  })
  t.match(manager.asked, [{ call: 'setRoutingStrategy', query: 'random' }])
  t.match(await ask('PUT', '/v1/routing_strategy', { strategy: 'magic' }), {
    status: 400,
    json: { details: { field: 'strategy' }, message: /must be one of adaptive, random/ }
  })
  t.match(await ask('PUT', '/v1/routing_strategy', { strategy: 7, more: 1 }), { status: 400 })
})

t.test('decisions are listed and found by their number', async (t) => {
  const { ask } = await serve(t)
  t.match(await ask('GET', '/v1/routing'), {
    json: { strategy: 'adaptive', ejections: [{ nodeId: 'b' }], decisions: [{ id: 1 }] }
  })
  t.same((await ask('GET', '/v1/routing?decisions=0')).json.decisions, [])
  t.match(await ask('GET', '/v1/routing?decisions=all'), {
    status: 400,
    json: { details: { field: 'decisions' } }
  })
  t.match(await ask('GET', '/v1/routing/decisions/1'), { status: 200, json: { id: 1 } })
  t.match(await ask('GET', '/v1/routing/decisions/2'), { status: 404 })
  t.match(await ask('GET', '/v1/routing/decisions/x'), { status: 400 })
})

t.test('hotspots, deaths and partitions are told', async (t) => {
  const { ask } = await serve(t)
  t.match(await ask('GET', '/v1/hotspots'), {
    json: { current: [{ scope: 'key', key: 'k' }], loads: [{ node: 'b', ratePerSecond: 1_300 }] }
  })
  t.match(await ask('GET', '/v1/deaths/b'), {
    json: { now: 1_500, at: 1_400, suspicion: { confirmedBy: ['c'] } }
  })
  t.match(await ask('GET', '/v1/deaths/zz'), { status: 404, json: { code: /NOT_FOUND/ } })
  t.match(await ask('GET', '/v1/partitions'), {
    json: { partitions: [{ unreachable: ['b'], sinceAgoMs: 500 }], quorum: { isPresent: true } }
  })
})

t.test('metadata of this node is set and deleted, of others it is read', async (t) => {
  const { ask } = await serve(t)
  const set = await ask('PUT', '/v1/metadata/a%2Fb', { value: 'x' }, { role: 'operate' })
  t.same(set.json, { key: 'a/b', value: 'x', version: 2 })
  t.match(await ask('GET', '/v1/metadata/a'), {
    json: { nodeId: 'a', entries: [{ key: 'zone' }, { key: 'a/b', value: 'x' }] }
  })
  t.match(await ask('GET', '/v1/metadata'), { json: { nodes: [{ nodeId: 'a' }, { entries: [] }] } })
  t.match(await ask('GET', '/v1/metadata/nobody'), { status: 404 })
  t.same((await ask('DELETE', '/v1/metadata/a%2Fb')).json, { key: 'a/b', deleted: true })
  t.same((await ask('DELETE', '/v1/metadata/a%2Fb')).json, { key: 'a/b', deleted: false })
  t.match(await ask('PUT', '/v1/metadata/x', { value: 7 }), {
    status: 400,
    json: { details: { field: 'value' } }
  })
  const long = 'é'.repeat(64)
  t.equal((await ask('PUT', `/v1/metadata/${encodeURIComponent(long)}`, { value: '' })).status, 200)
  t.match(await ask('PUT', `/v1/metadata/${'k'.repeat(129)}`, { value: '' }), {
    status: 400,
    json: { details: { field: 'key' } }
  })
  t.match(await ask('DELETE', '/v1/metadata/x', undefined, { role: 'read' }), { status: 403 })
})

t.test('a change of configuration is taken whole, or all its faults are told', async (t) => {
  const { manager, ask } = await serve(t)
  const change = { routing: { queryTimeoutMs: 1_234, retriesMax: 2 } }
  t.match(await ask('PATCH', '/v1/config', change, { role: 'operate' }), { status: 403 })
  t.match(await ask('PATCH', '/v1/config', change), { status: 200, json: { config: change } })
  t.match((await ask('GET', '/v1/config', undefined, { role: 'read' })).json, {
    config: { ...change, security: { insecure: true } },
    reloadable: ['routing.strategy']
  })
  t.match(manager.asked, [{ call: 'reconfigure', options: change.routing }])
  const wrong = {
    routing: { queryTimeoutMs: 0, retriesMax: 'many', retryBackoffMs: 5, executionsMax: 3 },
    node: { id: 'other' },
    magic: { on: true },
    health: 7
  }
  const { status, json } = await ask('PATCH', '/v1/config', wrong)
  t.equal(status, 400)
  t.equal(json.code, 'ERR_SKEIN_INVALID_CONFIG')
  const faults = json.details.faults.join('\n')
  t.match(faults, /^routing.executionsMax: cannot change while the node runs/m)
  t.match(faults, /^node.id: cannot change while the node runs/m)
  t.match(faults, /^magic.on: names no configuration field$/m)
  t.match(faults, /^health: must be an object$/m)
  t.match(faults, /^routing.queryTimeoutMs: /m)
  t.match(faults, /^routing.retriesMax: /m)
  t.equal(manager.asked.length, 1)
  t.match((await ask('GET', '/v1/config')).json, { config: change })
  for (const body of [{}, [], 7, null])
    t.equal((await ask('PATCH', '/v1/config', body)).status, 400)
})

t.test('X-44 an action replayed under its key is done once and answered alike', async (t) => {
  const { manager, ask } = await serve(t)
  const body = { strategy: 'random' }
  const first = await ask('PUT', '/v1/routing_strategy', body, { key: 'k-1' })
  manager.routing.strategy = 'random'
  const again = await ask('PUT', '/v1/routing_strategy', body, { key: 'k-1' })
  t.same(again, first)
  t.equal(manager.asked.length, 1)
  const other = await ask('PUT', '/v1/routing_strategy', { strategy: 'adaptive' }, { key: 'k-1' })
  t.match(other, { status: 400, json: { details: { field: 'idempotency-key' } } })
  const bare = await ask('PUT', '/v1/routing_strategy', body)
  t.match(bare.json, { previous: 'random' }, 'without a key it is done again')
  t.equal(manager.asked.length, 2)
  const { json } = await ask('GET', '/v1/audit')
  t.same(
    json.records.map(({ path, status }: { path: string; status: number }) => `${status} ${path}`),
    ['200', '400', '200', '200'].map((status) => `${status} /v1/routing_strategy`)
  )
})

t.test('members are added and removed by administrators, or that is only tried', async (t) => {
  const { manager, ask } = await serve(t)
  const body = { nodeId: 'c' }
  t.match(await ask('POST', '/v1/members', body, { role: 'operate' }), { status: 403 })
  t.match(await ask('DELETE', '/v1/members/c', undefined, { role: 'operate' }), { status: 403 })
  t.same(manager.asked, [])
  t.match(await ask('POST', '/v1/members?dryRun=true', body), {
    status: 200,
    json: { nodeId: 'c', change: 'add', dryRun: true, groups: [{ outcome: 'planned' }] }
  })
  const key = 'once'
  for (const _ of [1, 2]) {
    t.match(await ask('POST', '/v1/members?timeoutMs=90000', body, { key }), {
      status: 200,
      json: { groups: [{ outcome: 'changed', voters: ['a', 'b', 'c'] }] }
    })
  }
  t.match(await ask('DELETE', '/v1/members/c'), { json: { change: 'remove', dryRun: false } })
  t.same(manager.asked, [
    { call: 'addNode', query: 'c', options: { dryRun: true } },
    { call: 'addNode', query: 'c', options: { dryRun: false, timeoutMs: 90_000 } },
    { call: 'removeNode', query: 'c', options: { dryRun: false } }
  ])
  for (const [method, path, given] of [
    ['POST', '/v1/members', { nodeId: 'C!' }],
    ['POST', '/v1/members', { node: 'c' }],
    ['POST', '/v1/members?dryRun=maybe', body],
    ['DELETE', '/v1/members/c?timeoutMs=0', undefined]
  ] as const) {
    t.match(await ask(method, path, given), { status: 400 }, path)
  }
  const { records } = (await ask('GET', '/v1/audit')).json
  const paths = records.map(({ method, path }: Record<string, string>) => `${method} ${path}`)
  t.ok(paths.includes('POST /v1/members?dryRun=true'), 'a dry run is told apart')
  t.ok(paths.includes('DELETE /v1/members/c'))
})
