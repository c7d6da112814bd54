import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import type { z } from 'zod'
import { createAdminServer } from '../../../lib/admin.js'
import * as answers from '../../../src/admin/routes/answers.js'
import { silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

interface ApiDocument {
  readonly paths: Record<string, Record<string, { operationId: string; tags: string[] }>>
}

t.test('the document is valid, whole and has no name twice', async (t) => {
  const server = createAdminServer(new FakeManager(), {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const response = await fetch(`http://${address}/v1/openapi.json`)
  const document = (await response.json()) as ApiDocument
  const checked = await new Validator().validate(JSON.stringify(document, null, 1))
  t.ok(checked.valid, JSON.stringify(checked.errors))
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, tags }]) => {
      t.equal(tags.length, 1, path)
      return { asked: `${method} ${path}`, operationId }
    })
  )
  const ids = operations.map(({ operationId }) => operationId)
  t.equal(new Set(ids).size, ids.length)
  const asked = operations.map((operation) => operation.asked)
  for (const one of ['get /livez', 'get /metrics', 'get /v1/members/{id}', 'post /v1/query']) {
    t.ok(asked.includes(one), one)
  }
  for (const [path, methods] of Object.entries(document.paths)) {
    if (methods.get === undefined || path.includes('{') || path === '/v1/events') continue
    // The answer of a leader to who asks for a follower.
    const expected = path === '/follower' ? 503 : 200
    t.equal((await fetch(`http://${address}${path}`)).status, expected, `${path} is served`)
  }
})

t.test('answers have the shape that the document says', async (t) => {
  const server = createAdminServer(new FakeManager(), {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const holds = async (shape: z.ZodType, path: string, body?: object, method = 'POST') => {
    const init =
      body === undefined
        ? {}
        : {
            method,
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body)
          }
    const json = await (await fetch(`http://${address}${path}`, init)).json()
    const parsed = shape.safeParse(json)
    t.ok(parsed.success, `${path} ${parsed.error?.message ?? ''}`)
  }
  await holds(answers.livenessAnswer, '/livez')
  await holds(answers.readinessAnswer, '/readyz?verbose')
  await holds(answers.clusterAnswer, '/v1/cluster')
  await holds(answers.membersAnswer, '/v1/members')
  await holds(answers.memberAnswer, '/v1/members/b')
  await holds(answers.healthAnswer, '/v1/health')
  await holds(answers.groupsAnswer, '/v1/raft')
  await holds(answers.checksumsAnswer, '/v1/checksums')
  await holds(answers.metricsAnswer, '/v1/metrics')
  await holds(answers.auditAnswer, '/v1/audit')
  await holds(answers.placementAnswer, '/v1/placement')
  await holds(answers.clusterVersionAnswer, '/v1/cluster_version')
  await holds(answers.clusterVersionAnswer, '/v1/cluster_version/finalize', {})
  await holds(answers.clusterVersionAnswer, '/v1/cluster_version/forget', { node: 'b' })
  await holds(answers.securityAnswer, '/v1/security')
  await holds(answers.keysAnswer, '/v1/keys')
  await holds(answers.reloadAnswer, '/v1/security/certificates/reload', { everywhere: true })
  await holds(answers.tellAnswer, '/v1/security/revocations', { list: 'PEM' })
  await holds(answers.keysAnswer, '/v1/keys/install', {})
  await holds(answers.decisionAnswer, '/v1/route_query', { sql: 'SELECT 1' })
  await holds(answers.explanationAnswer, '/v1/explain_route', { sql: 'SELECT 1' })
  await holds(answers.queryAnswer, '/v1/query', { sql: 'SELECT 1' })
  await holds(answers.queryAnswer, '/v1/query', { statements: [{ sql: 'SELECT 1' }] })
  await holds(answers.clientAnswer, '/v1/clients', { clientId: 'me' })
  await holds(answers.explanationsAnswer, '/v1/routing?decisions=1')
  await holds(answers.explanationAnswer, '/v1/routing/decisions/1')
  await holds(answers.strategyAnswer, '/v1/routing_strategy', { strategy: 'random' }, 'PUT')
  await holds(answers.hotspotsAnswer, '/v1/hotspots')
  await holds(answers.allMetadataAnswer, '/v1/metadata')
  await holds(answers.metadataAnswer, '/v1/metadata/a')
  await holds(answers.metadataEntryAnswer, '/v1/metadata/x%2Fy', { value: '1' }, 'PUT')
  await holds(answers.metadataDeletedAnswer, '/v1/metadata/x%2Fy', {}, 'DELETE')
  await holds(answers.deathAnswer, '/v1/deaths/b')
  await holds(answers.partitionsAnswer, '/v1/partitions')
  await holds(answers.configAnswer, '/v1/config')
  const change = { routing: { queryTimeoutMs: 2_000 } }
  await holds(answers.configAnswer, '/v1/config', change, 'PATCH')
  await holds(answers.errorAnswer, '/v1/nothing')
})
