import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Command, Option } from 'commander'
import t from 'tap'
import { version } from '../../../lib/version.js'
import { AdminClient } from '../../../src/cli/admin-client.js'
import { loadCommands } from '../../../src/cli/commands.js'
import { readConfig } from '../../../src/cli/config-file.js'
import type { NodeMessage } from '../../../src/cli/node-channel.js'
import { failureOf } from '../../../src/cli/node-failure.js'
import { type NodeHost, type RunningNode, runNode } from '../../../src/cli/node-runner.js'
import { printable, table } from '../../../src/cli/output.js'
import { parseParams, renderAnswer } from '../../../src/cli/query-command.js'
import { type ClusterAnswer, renderStatus } from '../../../src/cli/status-command.js'
import {
  CertificateError,
  type ClusterEvent,
  EventHub,
  type NodeId,
  RolledBackError,
  silentLogger,
  type WallMs
} from '../../../src/core/index.js'
import { mainFile } from '../../support/main-file.js'
import { skein, skeinProcess } from '../../support/run-skein.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { vacantAddress } from '../../support/vacant-port.js'

type Tap = { teardown(handler: () => unknown): void }

async function adminServer(
  t: Tap,
  handle: (request: IncomingMessage, response: ServerResponse) => void
): Promise<string> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('skein certs makes what a node needs', async (t) => {
  const dir = join(await temporaryDirectory(t), 'certs')
  t.equal((await skein('certs', 'init', '--dir', dir, '--cluster', 'flock')).status, 0)
  const issued = await skein('certs', 'issue', '--dir', dir, '--node', 'a', '--json')
  t.equal(issued.status, 0)
  const { certificateFile } = JSON.parse(issued.stdout)
  t.match(await readFile(certificateFile, 'utf8'), /BEGIN CERTIFICATE/)
  t.equal((await skein('certs', 'issue', '--dir', dir, '--client', 'app', '--days', '7')).status, 0)
  const again = await skein('certs', 'init', '--dir', dir)
  t.match(again, { status: 1, stderr: /has an authority; use another directory/ })
})

t.test('skein certs rotate keeps further names, or changes nothing', async (t) => {
  const dir = join(await temporaryDirectory(t), 'certs')
  const certs = (...args: string[]) => skein('certs', ...args, '--dir', dir)
  await certs('init', '--cluster', 'flock')
  await certs('issue', '--node', 'a', '--host', 'a.example')
  await certs('issue', '--node', 'b')
  const rotated = await certs('rotate', '--json')
  t.equal(rotated.status, 0, rotated.stderr)
  const file = join(dir, 'node-a.crt')
  const kept = await readFile(file, 'utf8')
  t.match(new X509Certificate(kept).subjectAltName, /a\.example/)

  await writeFile(join(dir, 'node-b.crt'), 'no certificate')
  const refused = await certs('rotate')
  t.equal(refused.status, 1)
  t.match(refused.stderr, /node-b\.crt.*nothing was rotated.*certs issue/)
  t.equal(await readFile(file, 'utf8'), kept)
})

t.test('who closes the output early sees no fault', async (t) => {
  const command = `"${process.execPath}" "${mainFile}" --help | true`
  const child = spawn('bash', ['-o', 'pipefail', '-c', command])
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (text) => {
      said += text
    })
  }
  const [status] = await once(child, 'close')
  t.same({ status, said }, { status: 0, said: '' })
})

t.test('the process ends with the status, and writes where it should', async (t) => {
  const dir = join(await temporaryDirectory(t), 'certs')
  const [done, failed, wrong] = await Promise.all([
    skeinProcess('certs', 'init', '--dir', dir),
    skeinProcess('status', '--admin', `http://${await vacantAddress(t)}`),
    skeinProcess('node', '--config', join(dir, 'missing.yaml'))
  ])
  t.match(done, { status: 0, stdout: /admin token: /, stderr: /^next: skein certs issue/ })
  t.match(failed, { status: 1, stdout: '', stderr: /does it run\? Name another: --admin/ })
  t.match(wrong, { status: 2, stdout: '', stderr: /ENOENT/ })
})

t.test('wrong use ends with status 2 and says what is wrong', async (t) => {
  const dir = await temporaryDirectory(t)
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['fly'], /unknown command/],
    [['certs', 'issue', '--dir', dir], /either --node ID or --client NAME/],
    [['certs', 'issue', '--dir', dir, '--node', 'Bad'], /must match/],
    [['certs', 'init'], /required option/],
    [['query', 'SELECT 1', '--params', '{'], /not JSON/],
    [['query', 'SELECT 1', '--consistency', 'eventual'], /Allowed choices/],
    [['query', 'SELECT 1', '--connect', 'a:1'], /needs --ca-file, --cert-file and --key-file/],
    [['status', '--admin', 'ftp://x'], /must be an http or https URL/],
    [['demo', '--nodes', '99'], /--nodes/],
    [['demo', '--once', '--data', '/dev/null'], /cannot be used/]
  ]
  for (const [args, message] of rows) {
    t.match(await skein(...args), { status: 2, stderr: message }, args.join(' '))
  }
})

t.test('help and version are told, own options first', async (t) => {
  t.match(await skein('--help'), { status: 0, stdout: /demo .*\n[\s\S]*certs/ })
  t.match(await skein('--version'), { status: 0, stdout: `${version}\n` })
  const demo = await skein('demo', '--help')
  t.match(demo, { status: 0, stdout: /Endpoints[\s\S]*admin API[\s\S]*Exit status/ })
  const { stdout } = await skein('query', '--help')
  t.ok(stdout.indexOf('--consistency') < stdout.indexOf('Connection:'), 'its own options first')
  t.notMatch(stdout, '[]', 'no default reads like code')
})

t.test('X-47 a wrong configuration is refused with all its faults', async (t) => {
  const file = join(await temporaryDirectory(t), 'node.yaml')
  await writeFile(
    file,
    'node: {id: UPPER, listenAddress: nowhere, dataDirectory: /tmp/x}\nconsensus: {speed: 1}\n'
  )
  const { status, stderr } = await skeinProcess('node', '--config', file)
  t.equal(status, 2)
  for (const fault of [/node\.id/, /node\.listenAddress/, /speed/]) t.match(stderr, fault)
})

t.test('variables of any option of the command are none of the configuration', async (t) => {
  const optionsOf = (command: Command): readonly Option[] => [
    ...command.options,
    ...command.commands.flatMap(optionsOf)
  ]
  const commands = await loadCommands(undefined, { line: () => {}, note: () => {} })
  const names = commands.flatMap(optionsOf).flatMap(({ envVar }) => envVar ?? [])
  t.ok(names.includes('SKEIN_KEY_FILE') && names.includes('SKEIN_SUPERVISED'), names.join(' '))
  const file = join(t.testdir(), 'node.json')
  const content = {
    node: { id: 'a', dataDirectory: 'd' },
    cluster: { bootstrap: { voters: ['a'] } },
    security: { insecure: true }
  }
  await writeFile(file, JSON.stringify(content))
  const config = await readConfig(file, Object.fromEntries(names.map((name) => [name, 'x'])))
  t.equal(config.node.id, 'a')
})

t.test('the preset and the environment come with the file', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'node.json')
  const content = {
    preset: 'wan',
    node: { id: 'a', dataDirectory: directory },
    cluster: { bootstrap: { voters: ['a'] } },
    security: { insecure: true }
  }
  await writeFile(file, JSON.stringify(content))
  const wan = await readConfig(file, { SKEIN_ADMIN_URL: 'http://x', HOME: '/' })
  t.equal(wan.consensus.heartbeatIntervalMs, 500)
  const local = await readConfig(file, {
    SKEIN_PRESET: 'local',
    SKEIN_ROUTING_STRATEGY: 'round-robin'
  })
  t.equal(local.consensus.heartbeatIntervalMs, 50)
  t.equal(local.routing.strategy, 'round-robin')
  const invalid = { code: 'ERR_SKEIN_INVALID_CONFIG' }
  await t.rejects(readConfig(file, { SKEIN_PRESET: 'moon' }), invalid)
  await t.rejects(readConfig(file, { SKEIN_ROUTING_MOOD: 'good' }), invalid)
  await writeFile(file, '- a list')
  await t.rejects(readConfig(file, {}), { name: 'CliError', message: /mapping/ })
})

t.test('the admin client tells what became of a call', async (t) => {
  const url = await adminServer(t, (request, response) => {
    if (request.url === '/lost') request.socket.destroy()
    else if (request.url === '/silent') request.resume()
    else if (request.url === '/refused') {
      response.statusCode = 409
      response.end(JSON.stringify({ code: 'ERR_SKEIN_NOT_LEADER', message: '', retryable: true }))
    } else response.end(JSON.stringify({ got: request.headers.authorization }))
  })
  const client = new AdminClient({ url: `${url}/`, token: 'secret', socketsMax: 1 })
  t.teardown(() => client.close())
  t.same(await client.get('/', 5_000), { kind: 'answer', body: { got: 'Bearer secret' } })
  t.match(await client.post('/refused', {}, 5_000), {
    kind: 'refused',
    status: 409,
    error: { retryable: true }
  })
  t.match(await client.post('/lost', {}, 5_000), { kind: 'unknown' })
  t.match(await client.post('/silent', {}, 50), { kind: 'unknown', reason: 'no answer in time' })
  const nobody = new AdminClient({
    url: `http://${await vacantAddress(t)}`,
    token: null,
    socketsMax: 1
  })
  t.match(await nobody.post('/', {}, 5_000), { kind: 'notSent', reason: 'ECONNREFUSED' })
})

t.test('query and status print tables or JSON, and fail with what to do', async (t) => {
  const answer = {
    columns: ['id', 'name'],
    rows: [
      [1, 'a'],
      [{ $int: '9007199254740993' }, null]
    ],
    rowsAffected: 0,
    lastInsertRowid: null,
    index: 7,
    node: 'n1'
  }
  const url = await adminServer(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end(JSON.stringify(answer)))
  })
  const plain = await skein('query', 'SELECT 1', '--admin', url)
  t.match(plain, { status: 0, stdout: /9007199254740993 +NULL\n\(2 rows, index 7, by n1\)/ })
  const json = await skein('query', 'SELECT 1', '--admin', url, '--json')
  t.same(JSON.parse(json.stdout), answer)
  const gone = await skein('status', '--admin', `http://${await vacantAddress(t)}`)
  t.match(gone, { status: 1, stderr: /does it run\? Name another: --admin/ })
})

t.test('results are rendered by their kind', async (t) => {
  const written = {
    columns: [],
    rows: [],
    rowsAffected: 3,
    lastInsertRowid: 1,
    index: 5,
    group: 0,
    node: 'a'
  }
  t.equal(renderAnswer(written), '3 rows changed, index 5, by a')
  const blob = { ...written, columns: ['b'], rows: [[{ $blob: '/wA=' }]] }
  t.match(renderAnswer(blob), /x'ff00'/)
  t.equal(
    table(
      ['a', 'bb'],
      [
        ['1', '2'],
        ['333', '']
      ]
    ),
    'a    bb\n1    2\n333'
  )
  t.equal(printable('a\x1b[2J\n\x9b'), 'a\\x1b[2J\\x0a\\x9b')
  t.same(parseParams('[1]'), [1])
  t.equal(parseParams(undefined), undefined)
  t.throws(() => parseParams('7'), { name: 'CliError' })
})

t.test('status shows members, leader and what is behind', async (t) => {
  const view = {
    clusterName: 'flock',
    clusterId: null,
    nodeId: 'a',
    version: '1',
    members: [
      { nodeId: 'a', address: 'x:1', liveness: 'alive', lifecycle: 'up', health: 'healthy' }
    ],
    groups: [
      {
        group: 0,
        role: 'leader',
        term: 2,
        leader: 'a',
        voters: ['a', 'b'],
        learners: ['c'],
        commitIndex: 5,
        appliedIndex: 5,
        lastIndex: 6,
        failed: 'disk',
        progress: [{ nodeId: 'b', matchIndex: 3, active: false }]
      }
    ]
  } as unknown as ClusterAnswer
  const text = renderStatus(view)
  t.match(text, /not founded/)
  t.match(text, /leader a, term 2, committed 5/)
  t.match(text, /b: matches 3, silent/)
  t.match(text, /voters a b, learners c/)
  t.match(text, /has stopped: disk/)
})

class FakeHost extends EventEmitter implements NodeHost {
  readonly sent: NodeMessage[] = []
  readonly exits: number[] = []
  connected = true
  send?: NonNullable<NodeHost['send']>

  constructor(isSupervised: boolean) {
    super()
    if (!isSupervised) return
    this.send = (message, callback) => {
      this.sent.push(message)
      callback(null)
      this.emit('sent')
    }
  }

  exit(code: number): void {
    this.exits.push(code)
  }
}

function fakeNode(
  stop: RunningNode['stop'] = async () => {},
  failed = new Promise<never>(() => {})
): RunningNode {
  async function* events() {
    yield { type: 'NodeStarted' } as ClusterEvent
  }
  const subscription = Object.assign(events(), { dropped: 0, close: () => {} })
  const manager = {
    getClusterView: () => ({ nodeId: 'a', address: 'x:1' }),
    subscribeToEvents: () => subscription
  } as unknown as RunningNode['manager']
  return { manager, admin: 'http://x:2', stop, failed }
}

t.test(
  'a supervised node says when it is ready, ignores SIGINT, ends with its channel',
  async (t) => {
    const host = new FakeHost(true)
    const ready = new Promise((resolve) => host.once('sent', resolve))
    let stops = 0
    const run = runNode(host, silentLogger, async () =>
      fakeNode(async () => {
        stops++
      })
    )
    await ready
    t.same(host.sent[0], { type: 'ready', nodeId: 'a', address: 'x:1', admin: 'http://x:2' })
    host.emit('SIGINT')
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(stops, 0)
    host.connected = false
    host.emit('disconnect')
    t.equal(await run, 0)
    t.equal(stops, 1)
  }
)

t.test('a node whose supervisor ended before it could listen stops', async (t) => {
  const host = new FakeHost(true)
  host.connected = false
  let stops = 0
  const node = fakeNode(async () => {
    stops++
  })
  t.equal(await runNode(host, silentLogger, async () => node), 0)
  t.equal(stops, 1)
  t.same(host.exits, [])
})

t.test('a node alone stops on SIGINT and on SIGTERM, at once when asked twice', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    const host = new FakeHost(false)
    let finish = () => {}
    const stopped = new Promise<void>((resolve) => {
      finish = resolve
    })
    const run = runNode(host, silentLogger, async () => fakeNode(() => stopped))
    host.emit(signal)
    t.same(host.exits, [])
    host.emit('SIGTERM')
    t.same(host.exits, [1])
    finish()
    t.equal(await run, 0)
  }
})

t.test('L-07 a node to which a rolling restart comes stops once, with status 75', async (t) => {
  const host = new FakeHost(true)
  let stops = 0
  const started = fakeNode(async () => {
    stops++
  })
  const status = await runNode(host, silentLogger, async (hook) => {
    await hook.restart('a' as NodeId)
    await hook.restart('a' as NodeId)
    return started
  })
  t.equal(status, 75)
  t.equal(stops, 1)
})

t.test('a node that is told to stop while it restarts stays away', async (t) => {
  const host = new FakeHost(true)
  const run = runNode(host, silentLogger, async (hook) => {
    await hook.restart('a' as NodeId)
    return fakeNode(async () => {
      host.emit('SIGTERM')
    })
  })
  t.equal(await run, 0)
  t.same(host.exits, [], 'it is not asked a second time')
})

t.test('R-P14 a node that must not go on ends without saying goodbye, and says why', async (t) => {
  const host = new FakeHost(true)
  const error = new RolledBackError('older')
  const stops: unknown[] = []
  const node = fakeNode(async (options) => {
    stops.push(options)
  }, Promise.reject(error))
  await t.rejects(
    runNode(host, silentLogger, async () => node),
    error
  )
  t.same(stops, [{ drain: false }])
  t.match(host.sent.at(-1), { type: 'failed', code: 'ERR_SKEIN_ROLLED_BACK', message: 'older' })
})

t.test('R-P14 only the proof of an older copy ends a node', async (t) => {
  const failed = (code: string) => ({ type: 'ReplicaFailed', code, message: code }) as ClusterEvent
  const hub = new EventHub({ eventQueueLengthMax: 8, eventSubscribersMax: 1 })
  const ended = failureOf({ subscribeToEvents: () => hub.subscribe() })
  hub.publish(failed('ERR_SKEIN_DIVERGED'), 0 as WallMs)
  hub.publish(failed('ERR_SKEIN_ROLLED_BACK'), 0 as WallMs)
  await t.rejects(ended, { code: 'ERR_SKEIN_ROLLED_BACK', message: 'ERR_SKEIN_ROLLED_BACK' })
  t.equal(hub.subscriberCount, 0)
})

t.test('a node that cannot start tells its supervisor why', async (t) => {
  const host = new FakeHost(true)
  const start = async () => {
    throw new CertificateError('expired')
  }
  await t.rejects(runNode(host, silentLogger, start), { code: 'ERR_SKEIN_CERTIFICATE' })
  t.same(host.sent, [{ type: 'failed', code: 'ERR_SKEIN_CERTIFICATE', message: 'expired' }])
})
