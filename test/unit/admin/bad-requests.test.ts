import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { createAdminServer, tokenOf } from '../../../lib/admin.js'
import { silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

async function serve(t: Test) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [tokenOf('right')],
    logger: silentLogger,
    eventSubscribersMax: 1
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
  return { manager, raw }
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

t.test('X-40 JSON that is meant to hurt is refused, and costs little', async (t) => {
  const { manager, raw } = await serve(t)
  const depth = 100_000
  for (const [name, body] of Object.entries({
    deep: `${'['.repeat(depth)}${']'.repeat(depth)}`,
    deepObject: `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    proto: '{"sql":"SELECT 1","__proto__":{"consistency":"local"}}',
    constructed: '{"sql":"SELECT 1","constructor":{"prototype":{}}}',
    cut: '{"sql":"SELECT 1"',
    timeout: '{"sql":"SELECT 1","timeoutMs":1e999}'
  })) {
    t.equal(await raw(`POST /v1/query HTTP/1.1\r\n${json}`, body), 400, name)
  }
  t.equal(
    await raw(`PATCH /v1/config HTTP/1.1\r\n${json}`, '{"routing":{"retriesMax":1e999}}'),
    400
  )
  t.same(manager.asked, [])
})
