import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type AdminServerOptions, createAdminServer, parseTokens } from '../../../lib/admin.js'
import { type NodeId, silentLogger } from '../../../src/core/index.js'
import { skein } from '../../support/run-skein.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { TestAuthority } from '../../support/test-authority.js'
import { FakeManager, member } from '../admin/fake-manager.js'

async function serve(t: Test, changes: Partial<AdminServerOptions> = {}) {
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
  return { manager, address }
}

t.test('members, health and metrics are shown as tables and as JSON', async (t) => {
  const { manager, address } = await serve(t)
  const ask = (name: string, ...args: string[]) =>
    skein(name, '--admin', `http://${address}`, ...args)
  manager.members = [member('a'), member('b', { liveness: 'dead', rack: 'r2' })]
  manager.metrics = { topology: { ping_count: 12 } }
  const members = await ask('members')
  t.equal(members.status, 0)
  t.match(members.stdout, /^node +address +state +lifecycle +health +place +incarnation +seen\n/)
  t.match(members.stdout, /\nb +b:7946 +Dead +up +healthy +d1\/r2 +1 +1\.0 s\n/)
  t.match(JSON.parse((await ask('members', '--json')).stdout), { members: [{ nodeId: 'a' }, {}] })
  t.match(await ask('health'), { status: 0, stdout: /healthy, ready[\s\S]*leader +ok +a leader/ })
  const checks = [{ name: 'leader', ok: false, detail: 'no leader is known' }]
  manager.report = { healthy: false, ready: false, checks }
  t.match(await ask('health'), { status: 1, stdout: /not healthy, not ready[\s\S]*FAILED/ })
  t.match(await ask('metrics'), {
    status: 0,
    stdout: /topology +\nping_count +12\n|ping_count +12/
  })
  t.match((await ask('metrics', '--json')).stdout, /"ping_count":12/)
})

t.test('transfers and tenants are shown as tables and as JSON', async (t) => {
  const { address } = await serve(t)
  const ask = (name: string, ...args: string[]) =>
    skein(name, '--admin', `http://${address}`, ...args)
  const transfers = await ask('transfers')
  t.equal(transfers.status, 0)
  t.match(transfers.stdout, /^way +node +file +state +bytes +damaged +since\n/)
  t.match(transfers.stdout, /\nin +b +backup\.tar +moving +1000 of 4000 \(25 %\) +1 +1\.0 s\n/)
  t.match(transfers.stdout, /\nout +c +other +failed: ERR_SKEIN_FILE_TRANSFER /)
  t.match(transfers.stdout, /\nnode +breaker +asked again in\nc +open +0\.3 s/)
  t.match(JSON.parse((await ask('transfers', '--json')).stdout), {
    transfers: [{ startedAgoMs: 1_000, endedAgoMs: null }, { endedAgoMs: 800 }],
    breakers: [{ nodeId: 'c' }]
  })
  const tenants = await ask('tenants')
  t.match(tenants.stdout, /\nacme +billing mail +7 +900 +b +2023-11-14T22:13:20\.000Z/)
})

t.test('route and explain say which node, and why', async (t) => {
  const { manager, address } = await serve(t)
  const ask = (name: string, ...args: string[]) =>
    skein(name, 'SELECT * FROM t WHERE id = ?', '--admin', `http://${address}`, ...args)
  const route = await ask('route', '--params', '[7]', '--key', 'k', '--session', 's')
  t.match(route, { status: 0, stdout: /^node +group +term[\s\S]*\na +0 +- +read +linearizable/ })
  t.match(manager.asked.at(-1), {
    call: 'routeQuery',
    options: { params: [7], key: 'k', session: 's', priority: 2, consistency: 'linearizable' }
  })
  const explained = await ask('explain', '--priority', 'low')
  t.match(explained, { status: 0, stdout: /the best score[\s\S]*node +verdict +score +why/ })
  t.match(JSON.parse((await ask('explain', '--json')).stdout), { decision: { node: 'a' } })
  t.match(await ask('route', '--priority', 'urgent'), { status: 2, stderr: /critical/ })
  t.match(await ask('route', '--session', 'x'.repeat(129)), { status: 1, stderr: /session/ })
})

t.test('events come one a line, of the types asked for', async (t) => {
  const { manager, address } = await serve(t)
  const asked = skein(
    'events',
    '--admin',
    `http://${address}`,
    '--count',
    '2',
    '--type',
    'NodeStarted'
  )
  while (manager.hub.subscriberCount === 0) await new Promise((resolve) => setImmediate(resolve))
  manager.emit({ type: 'NodeStarted', nodeId: 'a' as NodeId })
  manager.emit({ type: 'NodeStopped', nodeId: 'a' as NodeId })
  manager.emit({ type: 'NodeStarted', nodeId: 'b' as NodeId })
  const { status, stdout } = await asked
  t.equal(status, 0)
  t.match(stdout, /^2023-11-14T22:13:20.000Z {2}#1 {2}NodeStarted {2}nodeId="a"\n.*#3 .*"b"\n$/)
  const refused = await skein('events', '--admin', `http://${address}`, '--count', '0')
  t.match(refused, { status: 2, stderr: /whole number/ })
})

t.test('tokens are issued once, kept as digests, and let their bearer in', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'tokens')
  const issued = await skein('tokens', 'issue', '--file', file, '--name', 'eye', '--json')
  const { token, role } = JSON.parse(issued.stdout)
  t.equal(role, 'read')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  const text = await readFile(file, 'utf8')
  t.notMatch(text, token)
  const { address } = await serve(t, { tokens: parseTokens(text, file) })
  const tokenFile = join(directory, 'token')
  await writeFile(tokenFile, token)
  const ask = (...args: string[]) => skein('members', '--admin', `http://${address}`, ...args)
  t.equal((await ask('--token-file', tokenFile)).status, 0)
  t.match(await ask(), { status: 1, stderr: /ERR_SKEIN_UNAUTHENTICATED.*--token-file/ })
  t.match(await skein('tokens', 'issue', '--file', file, '--name', 'Big Boss'), { status: 2 })
  t.match(await skein('tokens', 'issue', '--file', file, '--name', 'x', '--role', 'god'), {
    status: 2
  })
})

t.test('over https a client shows its certificate, and believes a node alone', async (t) => {
  const authority = await TestAuthority.make(t, 'test')
  const nodeA = await authority.material({
    kind: 'node',
    nodeId: 'a' as NodeId,
    clusterName: 'test'
  })
  const ops = { kind: 'client', name: 'ops', clusterName: 'test' } as const
  const files = await authority.issue(ops)
  const tls = { cert: nodeA.certificate, key: nodeA.key, ca: nodeA.authority }
  const { address } = await serve(t, { tls, clientRoles: { ops: 'read' } })
  const own = ['--cert-file', files.certificateFile, '--key-file', files.keyFile]
  const ask = (at: string, ...args: string[]) =>
    skein('members', '--admin', `https://${at}`, ...args)
  t.equal((await ask(address, '--ca-file', files.caFile, ...own)).status, 0)
  t.match(await ask(address, '--ca-file', files.caFile), { status: 1, stderr: /UNAUTHENTICATED/ })
  t.match(await ask(address), { status: 2, stderr: /needs --ca-file/ })
  const half = await ask(address, '--ca-file', files.caFile, '--cert-file', files.certificateFile)
  t.match(half, { status: 2, stderr: /belong together/ })
  const impostor = await authority.material(ops)
  const false_ = { cert: impostor.certificate, key: impostor.key, ca: impostor.authority }
  const { address: wrong } = await serve(t, { tls: false_, clientRoles: { ops: 'read' } })
  const refused = await ask(wrong, '--ca-file', files.caFile, ...own)
  t.match(refused, { status: 1, stderr: /no node answers/ })
})
