import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import {
  type AdminServerOptions,
  type AdminToken,
  createAdminServer,
  issueToken,
  parseTokens,
  tokenOf
} from '../../../lib/admin.js'
import { AuditTrail, auditRecordsMax } from '../../../src/admin/access/audit-trail.js'
import {
  addressesMax,
  FailedLogins,
  failuresPerMinuteMax
} from '../../../src/admin/access/failed-logins.js'
import {
  IdempotentAnswers,
  idempotentAnswersMax
} from '../../../src/admin/access/idempotent-answers.js'
import { mayAccess, Roles } from '../../../src/admin/access/roles.js'
import {
  type NodeId,
  NoLeaderError,
  type PeerIdentity,
  silentLogger
} from '../../../src/core/index.js'
import { TestAuthority } from '../../support/test-authority.js'
import { FakeControl, FakeManager } from './fake-manager.js'

async function serve(t: Test, changes: Partial<AdminServerOptions>) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 2,
    ...changes
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const ask = async (path: string, token: string | null, init: RequestInit = {}) => {
    const headers: Record<string, string> = { ...(init.headers as Record<string, string>) }
    if (token !== null) headers.authorization = `Bearer ${token}`
    const response = await fetch(`http://${address}${path}`, { ...init, headers })
    return { status: response.status, json: JSON.parse((await response.text()) || 'null') }
  }
  return { manager, address, ask, server }
}

const query: RequestInit = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"sql":"SELECT 1"}'
}

t.test('roles contain one another', async (t) => {
  t.ok(mayAccess(Roles.Admin, 'read') && mayAccess(Roles.Admin, 'operate'))
  t.ok(mayAccess(Roles.Operate, 'read') && !mayAccess(Roles.Operate, 'admin'))
  t.ok(!mayAccess(Roles.Read, 'operate') && mayAccess(Roles.Read, 'open'))
})

t.test('X-43 a token opens what its role may do, and nothing more', async (t) => {
  const issued = {
    read: issueToken('viewer', 'read'),
    operate: issueToken('app', 'operate'),
    admin: issueToken('root', 'admin')
  }
  const file = Object.values(issued)
    .map(({ line }) => line)
    .join('\n')
  const { ask } = await serve(t, { tokens: parseTokens(`# who\n\n${file}\n`, 'tokens') })
  const statuses = async (path: string, init?: RequestInit) => [
    (await ask(path, issued.read.token, init)).status,
    (await ask(path, issued.operate.token, init)).status,
    (await ask(path, issued.admin.token, init)).status
  ]
  t.same(await statuses('/v1/cluster'), [200, 200, 200])
  t.same(await statuses('/v1/query', query), [403, 200, 200])
  t.same(await statuses('/v1/route_query', query), [200, 200, 200])
  t.same(await statuses('/v1/audit'), [403, 403, 200])
  t.match(await ask('/v1/audit', issued.read.token), {
    json: { code: 'ERR_SKEIN_NOT_AUTHORIZED', message: /the role admin, and yours is read/ }
  })
  t.equal((await ask(`/v1/cluster?token=${issued.admin.token}`, null)).status, 401)
})

t.test('a token file names its faulty line', async (t) => {
  const fails = (text: string, message: RegExp) =>
    t.throws(() => parseTokens(text, 'tokens'), { code: 'ERR_SKEIN_CERTIFICATE', message })
  fails('', /holds no token/)
  fails('# only\n', /holds no token/)
  fails('good\nname boss sha256:00', /tokens: line 2 is not NAME ROLE/)
  fails(`${'x\n'.repeat(65)}`, /line 65 is above the bound of 64/)
  const [plain] = parseTokens('secret\n', 'tokens')
  t.match(plain, { name: 'token', role: 'admin' })
  t.same(plain?.digest, tokenOf('secret').digest)
})

t.test('X-43 wrong credentials are slowed down; a right one is let in all the same', async (t) => {
  const { ask } = await serve(t, { tokens: [tokenOf('right')] })
  for (let i = 0; i < failuresPerMinuteMax; i++) {
    t.equal((await ask('/v1/cluster', 'wrong')).status, 401)
  }
  t.match(await ask('/v1/cluster', 'wrong'), {
    status: 429,
    json: { code: 'ERR_SKEIN_BACKPRESSURE', message: /try again in \d+ s/ }
  })
  t.equal((await ask('/v1/cluster', 'right')).status, 200)
})

t.test('failures are counted by address for a minute, of so many addresses', async (t) => {
  const failed = new FailedLogins()
  for (let i = 0; i < failuresPerMinuteMax; i++) failed.add('a', 1_000 + i)
  t.equal(failed.waitMs('a', 2_000), 59_000)
  t.equal(failed.waitMs('b', 2_000), 0)
  t.equal(failed.waitMs('a', 61_000), 0)
  for (let i = 0; i < addressesMax; i++) failed.add(`x${i}`, 3_000)
  t.equal(failed.waitMs('a', 3_000), 0, 'the oldest is forgotten at the bound')
})

t.test('X-43 a page of another origin is refused, one of its own is not', async (t) => {
  const { ask, address } = await serve(t, { tokens: [tokenOf('right')] })
  const from = (origin: string) => ask('/v1/cluster', 'right', { headers: { origin } })
  t.equal((await from('http://evil.example')).status, 403)
  t.equal((await from('null')).status, 403)
  t.equal((await from(`http://${address}`)).status, 200)
})

t.test('without tokens and roles a server that is not on loopback does not start', async (t) => {
  const create = (changes: Partial<AdminServerOptions>) => () =>
    createAdminServer(new FakeManager(), {
      listenAddress: '0.0.0.0:0',
      tokens: [] as AdminToken[],
      logger: silentLogger,
      eventSubscribersMax: 1,
      ...changes
    })
  t.throws(create({}), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.throws(create({ clientRoles: { ops: 'admin' } }), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
})

t.test('a client certificate opens what the role of its name may do', async (t) => {
  const authority = await TestAuthority.make(t, 'test')
  const client = (name: string): PeerIdentity => ({ kind: 'client', name, clusterName: 'test' })
  const node = await authority.material({
    kind: 'node',
    nodeId: 'a' as NodeId,
    clusterName: 'test'
  })
  const tls = { cert: node.certificate, key: node.key, ca: node.authority }
  const { address } = await serve(t, { tls, clientRoles: { viewer: 'read' } })
  const ask = async (
    path: string,
    shown: { certificate: string; key: string } | null,
    headers: Record<string, string> = {}
  ) => {
    const request = httpsRequest(`https://${address}${path}`, {
      ca: node.authority,
      checkServerIdentity: () => undefined,
      agent: false,
      headers,
      ...(shown === null ? {} : { cert: shown.certificate, key: shown.key })
    })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }
  const viewer = await authority.material(client('viewer'))
  t.equal(await ask('/v1/cluster', viewer), 200)
  t.equal(await ask('/v1/audit', viewer), 403)
  t.equal(await ask('/v1/cluster', await authority.material(client('stranger'))), 401)
  t.equal(await ask('/v1/cluster', await authority.material(client('constructor'))), 401)
  t.equal(await ask('/v1/cluster', node), 401, 'a node is no operator')
  t.equal(await ask('/v1/cluster', null), 401)
  t.equal(await ask('/livez', null), 200)
  const other = await TestAuthority.make(t, 'test')
  const foreign = await other.material(client('viewer'))
  t.equal(await ask('/v1/cluster', foreign), 401, 'of another authority')
})

t.test('X-44 a repeated mutation is done once and answered alike', async (t) => {
  const answers = new IdempotentAnswers()
  let done = 0
  const act = async () => ({ status: 200, body: ++done })
  const once = (key: string, asked = 'one', now = 0, caller = 'me') =>
    answers.once(key, caller, asked, now, act)
  t.same(await once('k'), { status: 200, body: 1 })
  t.same(await Promise.all([once('k'), once('k')]), [
    { status: 200, body: 1 },
    { status: 200, body: 1 }
  ])
  t.same(await once('k', 'one', 0, 'another'), { status: 200, body: 2 })
  await t.rejects(once('k', 'two'), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  await t.rejects(once('has space'), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.same(await once('k', 'two', 600_000), { status: 200, body: 3 }, 'forgotten after ten minutes')
  const failing = answers.once('f', 'me', 'x', 0, async () => Promise.reject(new Error('no')))
  await t.rejects(failing, { message: 'no' })
  t.same(await once('f', 'other'), { status: 200, body: 4 }, 'what failed may be asked again')
  for (let i = 0; i < idempotentAnswersMax; i++) await once(`n${i}`)
  t.same(await once('f', 'other'), { status: 200, body: 5 + idempotentAnswersMax })
})

t.test('without the control group the audit trail answers with its own newest', async (t) => {
  const control = new FakeControl()
  const trail = new AuditTrail(() => control)
  const record = (path: string) => ({
    at: '',
    node: 'a' as NodeId,
    principal: 'p',
    role: 'admin',
    address: 'a',
    method: 'POST',
    path,
    status: 200
  })
  for (let i = 0; i <= auditRecordsMax; i++) trail.add(record(`/${i}`))
  t.equal(control.recorded.length, auditRecordsMax + 1, 'each is recorded in the control group')
  control.error = new NoLeaderError('nobody leads')
  const { source, records } = await trail.latest(2)
  t.equal(source, 'node')
  t.same(
    records.map(({ path }) => path),
    [`/${auditRecordsMax}`, `/${auditRecordsMax - 1}`]
  )
  t.equal((await trail.latest(auditRecordsMax * 2)).records.length, auditRecordsMax)
  control.error = null
  t.match(await trail.latest(1), {
    source: 'cluster',
    records: [{ node: 'a', method: 'POST', path: `/${auditRecordsMax}`, status: 200 }]
  })
  control.error = new Error('a defect')
  await t.rejects(trail.latest(1), { message: 'a defect' })
})

t.test('X-50 X-11 certificates are replaced while it serves; the revoked are cut', async (t) => {
  const [authority, next] = [
    await TestAuthority.make(t, 'test'),
    await TestAuthority.make(t, 'test')
  ]
  const peer: PeerIdentity = { kind: 'node', nodeId: 'a' as NodeId, clusterName: 'test' }
  const viewer: PeerIdentity = { kind: 'client', name: 'viewer', clusterName: 'test' }
  const tlsOf = async (from: TestAuthority) => {
    const { certificate, key, authority: ca } = await from.material(peer)
    return { cert: certificate, key, ca }
  }
  const first = await tlsOf(authority)
  const { address, server, manager } = await serve(t, {
    tls: first,
    clientRoles: { viewer: 'read' }
  })
  const shown = await authority.material(viewer)
  const [host = '', port] = address.split(':')
  const open = async (ca: string, own = shown) => {
    const options = { host, port: Number(port), ca, checkServerIdentity: () => undefined }
    const socket = connectTls({ ...options, cert: own.certificate, key: own.key })
    t.teardown(() => socket.destroy())
    await once(socket, 'secureConnect')
    const serial = socket.getPeerCertificate().serialNumber
    const ask = async () => {
      socket.write(`GET /v1/cluster HTTP/1.1\r\nhost: ${address}\r\n\r\n`)
      const [answer] = (await once(socket, 'data')) as [Uint8Array]
      return Number(String(answer).split(' ')[1])
    }
    return { serial, ask, closed: new Promise((resolve) => socket.once('close', resolve)) }
  }
  const before = await open(first.ca)
  t.equal(await before.ask(), 200)
  const second = await tlsOf(authority)
  server.setTls(second)
  const after = await open(first.ca)
  t.not(after.serial, before.serial, 'the new certificate is shown')
  t.equal(await after.ask(), 200)
  t.equal(await before.ask(), 200, 'an open connection stays')
  t.throws(() => server.setTls({ ...second, key: first.key }), { message: /key/ })
  t.equal((await open(first.ca)).serial, after.serial, 'what does not fit is not taken')

  const other = await authority.material(viewer)
  const { facts } = other
  const revoked = await open(first.ca, other)
  t.equal(await revoked.ask(), 200)
  manager.security.revoked.add(facts.serialNumber)
  t.equal(await revoked.ask(), 401, 'asked again before it is cut')
  await revoked.closed
  t.equal(await (await open(first.ca, other)).ask(), 401)
  t.equal(await after.ask(), 200, 'others stay')

  const third = await tlsOf(next)
  server.setTls(third)
  await Promise.all([before.closed, after.closed])
  t.equal(await (await open(third.ca, await next.material(viewer))).ask(), 200)
})
