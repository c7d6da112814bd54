import { once } from 'node:events'
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { type AdminServerOptions, createAdminServer, tokenOf } from '../../../lib/admin.js'
import { bodyDepthMax, bodyPartsMax, checkJsonShape } from '../../../src/admin/json-shape.js'
import { queryBodyBytesMax } from '../../../src/admin/route.js'
import { faultsMax, parseQuery } from '../../../src/admin/routes/request-bodies.js'
import { factsOf, type NodeId, silentLogger } from '../../../src/core/index.js'
import { TestAuthority } from '../../support/test-authority.js'
import { FakeManager } from './fake-manager.js'

async function serve(t: Test, changes: Partial<AdminServerOptions> = {}) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [tokenOf('right')],
    logger: silentLogger,
    eventSubscribersMax: 1,
    ...changes
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  /** As it is, so that no client puts it right. */
  const raw = async (head: string, body: string | Uint8Array = '') => {
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    t.teardown(() => socket.destroy())
    const bytes = Buffer.from(body)
    const common = `host: ${address}\r\nauthorization: Bearer right\r\nconnection: close\r\n`
    const length = bytes.length === 0 ? '' : `content-length: ${bytes.length}\r\n`
    socket.write(`${head}\r\n${common}${length}\r\n`)
    socket.write(bytes)
    let text = ''
    for await (const chunk of socket) text += chunk
    return Number(text.split(' ')[1])
  }
  const metrics = async (): Promise<Record<string, number>> => {
    const options = { ca: changes.tls?.ca, checkServerIdentity: () => undefined, agent: false }
    const scheme = changes.tls ? 'https' : 'http'
    const get = changes.tls ? getHttps : getHttp
    const headers = { authorization: 'Bearer right' }
    const call = get(`${scheme}://${address}/v1/metrics`, { ...options, headers })
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response) text += chunk
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${text}`)
    return JSON.parse(text).admin
  }
  return { manager, raw, address, server, metrics }
}

const json = 'content-type: application/json'

t.test('X-43 paths, methods and headers that are tricks get a refusal', async (t) => {
  const { manager, raw } = await serve(t)
  for (const path of ['//v1/cluster', '/v1//cluster', '/%2e%2e/v1/cluster', '/v1/../metrics']) {
    t.equal(await raw(`GET ${path} HTTP/1.1`), 404, path)
  }
  t.ok([400, 404].includes(await raw('GET /v1/members/%00 HTTP/1.1')))
  t.equal(await raw('GET /v1/cl\0uster HTTP/1.1'), 400)
  t.equal(await raw('GET /v1/cluster HTTP/1.1\r\n__proto__: x\r\nconstructor: y'), 200)
  t.equal(await raw('GET /v1/query HTTP/1.1\r\nx-http-method-override: POST'), 405)
  t.equal(await raw('TRACE /v1/cluster HTTP/1.1'), 404 + 1)
  t.same(manager.asked, [])
  t.equal(await raw('GET /livez HTTP/1.1'), 200, 'it serves on')
})

t.test('X-40 JSON that is meant to hurt is refused', async (t) => {
  const { manager, raw } = await serve(t)
  for (const [name, body] of Object.entries({
    deep: `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
    deepObject: `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
    proto: '{"sql":"SELECT 1","__proto__":{"consistency":"local"}}',
    escapedProto: '{"sql":"SELECT 1","\\u005f_proto__":{"consistency":"local"}}',
    constructed: '{"sql":"SELECT 1","constructor":{"prototype":{}}}',
    cut: '{"sql":"SELECT 1"',
    timeout: '{"sql":"SELECT 1","timeoutMs":1e999}',
    infinite: '{"sql":"SELECT 1","params":[1e999]}',
    integer: '{"sql":"SELECT 1","params":[9007199254740993]}',
    negative: '{"sql":"SELECT 1","params":[-9223372036854775807]}',
    long: `{"sql":"SELECT 1","params":[${'1'.repeat(1_000)}]}`,
    notUtf8: Buffer.from('{"sql":"SELECT \xff"}', 'latin1'),
    halfUtf8: Buffer.from('{"sql":"SELECT 1"}\xc3', 'latin1')
  })) {
    t.equal(await raw(`POST /v1/query HTTP/1.1\r\n${json}`, body), 400, name)
  }
  const config = '{"routing":{"retriesMax":1e999}}'
  t.equal(await raw(`PATCH /v1/config HTTP/1.1\r\n${json}`, config), 400)
  t.same(manager.asked, [])
  const twice =
    '\ufeff{"sql":"SELECT 1","sql":"SELECT 2","params":[-9007199254740991,1e20,1.5e300]}'
  t.equal(
    await raw(`POST /v1/query HTTP/1.1\r\n${json}`, twice),
    200,
    'a mark of order is let pass'
  )
  t.match(
    manager.asked,
    [{ query: 'SELECT 2' }],
    'of two keys the last one counts, as in JavaScript'
  )
})

t.test('X-40 depth and parts are counted before anything is built from them', async (t) => {
  const count = (text: string) => checkJsonShape(Buffer.from(text))
  t.equal(count('{"sql":"SELECT [1, \\"{\\\\","params":[1,{"$int":"5"}]}'), 13)
  t.equal(count(`{"sql":"${'[{,:'.repeat(50_000)}"}`), 4, 'what stands in a text is none')
  t.equal(count(`{"sql":"${'\\"'.repeat(50_000)}"}`), 4)
  t.equal(count(''), 0)
  t.equal(count('"open'), 1)
  t.equal(count('"open\\'), 1)
  t.equal(count('[1234567890123456, 123456789012345678.5, 12345678901234567890e3]'), 3)
  t.equal(count('['.repeat(bodyDepthMax) + ']'.repeat(bodyDepthMax)), bodyDepthMax)
  t.equal(count(`[${'0,'.repeat(bodyPartsMax - 1)}0]`), bodyPartsMax)
  const refused = (text: string, message: RegExp) =>
    t.throws(() => count(text), { code: 'ERR_SKEIN_INVALID_ARGUMENT', message })
  refused('['.repeat(bodyDepthMax + 1), /brackets within brackets/)
  refused(`[${'0,'.repeat(bodyPartsMax)}0]`, /more than 16384/)
  refused('""'.repeat(bodyPartsMax + 1), /more than 16384/)
  refused('[9007199254740993]', /\{"\$int"/)
  refused('[123456789012345678901234567890]', /\{"\$int"/)
  t.equal(count('[150000000000000000, -9007199254740992]'), 2, 'numbers hold these')
})

t.test('X-40 what is too deep or too much is refused unparsed', async (t) => {
  const { raw } = await serve(t)
  const { parse } = JSON
  t.teardown(() => {
    JSON.parse = parse
  })
  let parsed = 0
  JSON.parse = (...given: Parameters<typeof parse>) => {
    parsed++
    return parse(...given)
  }
  const bodies = [
    `${'['.repeat(500_000)}${']'.repeat(500_000)}`,
    `${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}`,
    `{"sql":"x","params":[${'0,'.repeat(500_000)}0]}`,
    `{"sql":"x","params":[${'{},'.repeat(300_000)}{}]}`,
    `{"statements":[${'{},'.repeat(300_000)}{}]}`
  ]
  for (const body of bodies) {
    t.equal(await raw(`POST /v1/query HTTP/1.1\r\n${json}`, body), 400)
  }
  t.equal(parsed, 0)
  await raw(`POST /v1/query HTTP/1.1\r\n${json}`, '{"sql":"SELECT 1"}')
  t.equal(parsed, 1, 'counting works')
})

t.test(
  'X-40 the costliest bodies that are let in: few faults told, and how long they hold',
  async (t) => {
    const list = (unit: string, parts: number) =>
      `${`${unit},`.repeat(Math.floor(bodyPartsMax / parts) - 8)}${unit}`
    const text = queryBodyBytesMax - 100
    for (const [name, body, isRight] of [
      ['one text', `{"sql":"${'a'.repeat(text)}"}`, true],
      ['escapes', `{"sql":"${'\\n'.repeat(text / 2)}"}`, true],
      ['numbers', `{"sql":"x","params":[${list('0', 1)}]}`, true],
      ['integers', `{"sql":"x","params":[${list('{"$int":"9007199254740993"}', 5)}]}`, true],
      ['a blob', `{"sql":"x","params":[{"$blob":"${'QUJD'.repeat(text / 5)}"}]}`, true],
      ['statements', `{"statements":[${list('{"sql":"x"}', 5)}]}`, true],
      ['wrong values', `{"sql":"x","params":[${list('{}', 2)}]}`, false],
      ['wrong statements', `{"statements":[${list('{}', 2)}]}`, false],
      ['wrong keys', `{${list('"a":0', 3).replace(/a/g, () => `a${keys++}`)}}`, false]
    ] as const) {
      const bytes = Buffer.from(body)
      faultsOf(bytes) // The first time is the compiler's.
      const before = process.cpuUsage()
      const { faults, message } = faultsOf(bytes)
      const { user, system } = process.cpuUsage(before)
      t.comment(`${name}: ${((user + system) / 1_000).toFixed(1)} ms`)
      t.equal(faults.length > 0, !isRight, name)
      t.ok(
        faults.length <= faultsMax && message.length < 10_000,
        `${name}: an answer of bounded size`
      )
    }
  }
)

let keys = 0

/** What the main loop does with a body before a query begins. */
function faultsOf(bytes: Uint8Array) {
  checkJsonShape(bytes)
  const given: unknown = JSON.parse(new TextDecoder().decode(bytes))
  try {
    parseQuery(given)
    return { faults: [], message: '' }
  } catch (error) {
    const { details, message } = factsOf(error)
    return { faults: (details as { faults: readonly string[] }).faults, message }
  }
}

/** Sends it, then nothing more; resolves with all that is answered until the connection ends. */
function slowly(t: Test, address: string, head: string): Promise<string> {
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write(head)
  return textOf(socket)
}

async function textOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}

/** Short, so that nobody waits; what they are by default stands in `connectionLimits`. */
const impatient = {
  handshakeTimeoutMs: 1_500,
  headersTimeoutMs: 1_500,
  requestTimeoutMs: 2_000,
  checkIntervalMs: 50
}
/** Of each kind. */
const slowOnes = 32

t.test('X-43 who is slow is told so, cut and counted; others are served meanwhile', async (t) => {
  const { address, raw, metrics } = await serve(t, { connections: impatient })
  const head = `POST /v1/query HTTP/1.1\r\nhost: ${address}\r\nauthorization: Bearer right\r\n`
  const slow = [
    ...Array.from({ length: slowOnes }, () => slowly(t, address, head)),
    ...Array.from({ length: slowOnes }, () =>
      slowly(t, address, `${head}${json}\r\ncontent-length: 1000\r\n\r\n{"sql":`)
    ),
    ...Array.from({ length: slowOnes }, () => slowly(t, address, ''))
  ]
  let isOver = false
  const ended = Promise.all(slow).finally(() => {
    isOver = true
  })
  let served = 0
  const statuses = new Set<number>()
  while (!isOver) {
    statuses.add(await raw('GET /v1/cluster HTTP/1.1'))
    served++
  }
  t.same([...statuses], [200], 'others are served')
  t.comment(`${served} others meanwhile`)
  for (const text of await ended) {
    t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.match(JSON.parse(text.slice(text.indexOf('{'))), { code: 'ERR_SKEIN_REQUEST_TOO_SLOW' })
  }
  t.match(await metrics(), { connections_slow: 3 * slowOnes, connections_malformed: 0 })
})

t.test('X-43 a dribble of headers does not last longer', async (t) => {
  const { address, raw, metrics } = await serve(t, { connections: impatient })
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write('GET /livez HTTP/1.1\r\nx: ')
  const said = textOf(socket)
  let isOver = false
  void said.finally(() => {
    isOver = true
  })
  while (!isOver) {
    await raw('GET /livez HTTP/1.1')
    socket.write('y')
  }
  // What comes after the end resets the connection, and the answer may be lost with it.
  t.match(await said, /^(HTTP\/1\.1 408 |$)/)
  t.match(await metrics(), { connections_slow: 1 })
})

t.test('X-43 who does not take an answer is cut and counted', async (t) => {
  const { address, manager, metrics } = await serve(t, { connections: { answerTimeoutMs: 500 } })
  manager.rows = Array.from({ length: 1_000 }, () => ['x'.repeat(20_000)])
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.pause()
  const body = '{"sql":"SELECT 1"}'
  socket.write(
    `POST /v1/query HTTP/1.1\r\nhost: ${address}\r\nauthorization: Bearer right\r\n` +
      `${json}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  )
  for (;;) if ((await metrics()).connections_slow === 1) break
  t.pass('counted')
})

t.test('X-43 with client certificates a slow handshake, header or body is cut too', async (t) => {
  const authority = await TestAuthority.make(t, 'test')
  const node = await authority.material({
    kind: 'node',
    nodeId: 'a' as NodeId,
    clusterName: 'test'
  })
  const viewer = await authority.material({ kind: 'client', name: 'viewer', clusterName: 'test' })
  const ca = node.authority
  const { address, server, metrics } = await serve(t, {
    connections: impatient,
    tls: { cert: node.certificate, key: node.key, ca },
    clientRoles: { viewer: 'operate' }
  })
  t.ok(server)
  const port = Number(address.split(':')[1])
  const shown = { cert: viewer.certificate, key: viewer.key }
  const open = async (head: string) => {
    const options = { host: '127.0.0.1', port, ca, checkServerIdentity: () => undefined, ...shown }
    const socket = connectTls(options)
    t.teardown(() => socket.destroy())
    await once(socket, 'secureConnect')
    socket.write(head)
    return textOf(socket)
  }
  const head = `POST /v1/query HTTP/1.1\r\nhost: ${address}\r\n`
  const answers = [open(head), open(`${head}${json}\r\ncontent-length: 99\r\n\r\n{`)]
  const dumb = Array.from({ length: slowOnes }, () => slowly(t, address, '\x16\x03\x01'))
  const quick = await open(
    `GET /v1/cluster HTTP/1.1\r\nhost: ${address}\r\nconnection: close\r\n\r\n`
  )
  t.match(quick, /^HTTP\/1\.1 200 /, 'others are served')
  for (const text of await Promise.all(answers)) t.match(text, /^HTTP\/1\.1 408 /)
  t.same(new Set(await Promise.all(dumb)), new Set(['']), 'before the handshake there is no answer')
  t.match(await metrics(), { connections_slow: 2 + slowOnes })
})
