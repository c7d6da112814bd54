import { connect as connectTcp } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import {
  after,
  type ByteStream,
  type PeerIdentity,
  peerNameOf,
  silentLogger,
  toNodeId
} from '../../../src/core/index.js'
import { nodeClock, type TlsMaterial, TlsStreamNetwork } from '../../../src/runtime/index.js'
import { TestAuthority } from '../../support/test-authority.js'
import { vacantAddress } from '../../support/vacant-port.js'
import { clusterName, End, nodePeer, streamNetworkContract } from './stream-network-contract.js'

type Tap = { teardown(handler: () => unknown): void }

const clock = nodeClock()
const dayMs = 86_400_000

const peers = [nodePeer('a'), nodePeer('b'), nodePeer('c'), clientPeer('app')]
const materials = new Map<string, TlsMaterial>()
const prepared = prepare()

async function prepare(): Promise<TestAuthority> {
  const authority = await TestAuthority.make(t, clusterName)
  for (const peer of peers) materials.set(peerNameOf(peer), await authority.material(peer))
  return authority
}

/** Certificates take a while, and tests must be known before the file's first pause. */
function prove(name: string, body: (t: Test, authority: TestAuthority) => Promise<void>): void {
  t.test(name, async (t) => body(t, await prepared))
}

function clientPeer(name: string): PeerIdentity {
  return { kind: 'client', name, clusterName }
}

const networkWith = (material: TlsMaterial, handshakeTimeoutMs = 10_000) =>
  new TlsStreamNetwork(
    { clock, logger: silentLogger },
    { material, handshakeTimeoutMs, handshakesMax: 4 }
  )

const materialOf = (peer: PeerIdentity) => materials.get(peerNameOf(peer)) as TlsMaterial
const networkOf = (peer: PeerIdentity) => networkWith(materialOf(peer))
/** Gives up on who does not finish its handshake before the test would. */
const impatientNetwork = () => networkWith(materialOf(nodePeer('b')), 300)
const soon = () => after(clock.now(), 5_000)

streamNetworkContract('TLS', async (t) => {
  await prepared
  return {
    networkOf,
    address: () => '127.0.0.1:0',
    vacantAddress: () => vacantAddress(t),
    deadline: (ms) => after(clock.now(), ms)
  }
})

async function listening(t: Tap, network = networkOf(nodePeer('b'))) {
  const accepted: ByteStream[] = []
  const listener = await network.listen('127.0.0.1:0', (stream) => accepted.push(stream))
  t.teardown(() => listener.close())
  t.teardown(() => {
    for (const stream of accepted) stream.destroy()
  })
  return { network, accepted, port: Number(listener.address.split(':')[1]), listener }
}

/** A TLS peer that none of our code made, until its connection is closed. */
async function stranger(port: number, options: ConnectionOptions) {
  const socket: TLSSocket = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['skein/1'],
    ...options
  })
  let received = ''
  const errors: string[] = []
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? error.message))
  await new Promise((resolve) => socket.once('close', resolve))
  return { received, errors }
}

const credentials = ({ certificate, key }: TlsMaterial) => ({ cert: certificate, key })

prove('X-01 TLS 1.2 is refused', async (t) => {
  const { network, port } = await listening(t)
  const { received } = await stranger(port, {
    ...credentials(materialOf(nodePeer('a'))),
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2'
  })
  t.equal(received, '')
  t.equal(network.counters.get('refused_version'), 1)
})

for (const garbage of [
  'GET / HTTP/1.1\r\n\r\n',
  '\x80\x2e\x01\x00\x02',
  '\xff\xff\xff\xff\xff\xff'
]) {
  prove(`X-01 plain bytes ${JSON.stringify(garbage.slice(0, 4))} are refused`, async (t) => {
    const { network, port } = await listening(t, impatientNetwork())
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('error', () => socket.destroy())
    socket.resume()
    socket.write(Buffer.from(garbage, 'latin1'))
    await new Promise((resolve) => socket.once('close', resolve))
    const { refused_protocol, refused_version, refused_timeout } = network.counters.snapshot()
    t.equal(refused_protocol + refused_version + refused_timeout, 1)
  })
}

prove('X-02 no client certificate is refused with an alert', async (t) => {
  const { network, port, accepted } = await listening(t)
  const { received, errors } = await stranger(port, {})
  t.same([received, accepted.length], ['', 0])
  t.match(errors.join(), /CERTIFICATE_REQUIRED/)
  t.equal(network.counters.get('refused_no_certificate'), 1)
})

prove('X-03 another authority of the same cluster name is refused both ways', async (t) => {
  const { network, port, listener, accepted } = await listening(t)
  const other = await TestAuthority.make(t, clusterName)
  const material = await other.material(nodePeer('a'))
  const { received } = await stranger(port, credentials(material))
  t.same([received, accepted.length], ['', 0])
  t.equal(network.counters.get('refused_untrusted'), 1)
  const outsider = networkWith(material)
  await t.rejects(
    outsider.dial(listener.address, { expectedNodeId: toNodeId('b'), deadline: soon() }),
    { code: 'ERR_SKEIN_PEER_IDENTITY' }
  )
  t.equal(outsider.counters.get('dials_refused_identity'), 1)
})

prove('X-04 expired and not yet valid certificates are refused', async (t, authority) => {
  const { network, port, accepted } = await listening(t)
  for (const now of [Date.now() - 10 * dayMs, Date.now() + 10 * dayMs]) {
    const material = await authority.material(nodePeer('c'), { now, days: 5 })
    await stranger(port, credentials(material))
  }
  t.equal(accepted.length, 0)
  t.equal(network.counters.get('refused_expired'), 2)
})

prove('X-04 a listener with an expired certificate is not believed', async (t, authority) => {
  const now = Date.now() - 10 * dayMs
  const expired = await authority.material(nodePeer('c'), { now, days: 5 })
  const { listener } = await listening(t, networkWith(expired))
  const options = { expectedNodeId: toNodeId('c'), deadline: soon() }
  await t.rejects(networkOf(nodePeer('a')).dial(listener.address, options), {
    code: 'ERR_SKEIN_PEER_IDENTITY'
  })
})

prove('a refused dialler learns it: connected is not accepted', async (t, authority) => {
  const { listener } = await listening(t)
  const now = Date.now() - 10 * dayMs
  const expired = await authority.material(nodePeer('c'), { now, days: 5 })
  const dialler = networkWith(expired)
  const options = { expectedNodeId: toNodeId('b'), deadline: soon() }
  await t.rejects(dialler.dial(listener.address, options), { code: 'ERR_SKEIN_DIAL_FAILED' })
  t.equal(dialler.counters.get('dials_failed'), 1)
})

prove('X-05 the right authority and another cluster name is refused', async (t) => {
  const network = networkWith({
    ...materialOf(nodePeer('b')),
    peer: { kind: 'node', nodeId: toNodeId('b'), clusterName: 'elsewhere' }
  })
  const { port, accepted } = await listening(t, network)
  const { received } = await stranger(port, credentials(materialOf(nodePeer('a'))))
  t.same([received, accepted.length], ['', 0])
  t.equal(network.counters.get('refused_identity'), 1)
})

prove('a client that listens is no node', async (t) => {
  const { certificate, key } = materialOf(clientPeer('app'))
  const { createServer } = await import('node:tls')
  const server = createServer({ cert: certificate, key, ALPNProtocols: ['skein/1'] }, (socket) => {
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const options = { expectedNodeId: null, deadline: soon() }
  await t.rejects(networkOf(nodePeer('a')).dial(`127.0.0.1:${port}`, options), {
    code: 'ERR_SKEIN_PEER_IDENTITY'
  })
})

prove('without our protocol in ALPN nobody is accepted', async (t) => {
  const { network, port, accepted } = await listening(t)
  for (const ALPNProtocols of [['h2'], []]) {
    await stranger(port, { ...credentials(materialOf(nodePeer('a'))), ALPNProtocols })
  }
  t.equal(accepted.length, 0)
  t.equal(network.counters.get('refused_version'), 2)
})

prove('X-16 half-open connections end at the deadline and are bounded', async (t) => {
  const { network, port, listener } = await listening(t, impatientNetwork())
  const sockets = Array.from({ length: 6 }, () => connectTcp(port, '127.0.0.1'))
  for (const socket of sockets) {
    t.teardown(() => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.resume()
  }
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
  )
  t.match(network.counters.snapshot(), { refused_too_many: 2, refused_timeout: 4 })
  const options = { expectedNodeId: toNodeId('b'), deadline: soon() }
  const stream = await networkOf(nodePeer('a')).dial(listener.address, options)
  t.teardown(() => stream.destroy())
  t.same(stream.peer, nodePeer('b'), 'room again for those who are welcome')
})

prove('a dial to a silent listener ends at its deadline', async (t) => {
  const { createServer } = await import('node:net')
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    t.teardown(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const began = clock.now()
  const options = { expectedNodeId: toNodeId('b'), deadline: after(began, 100) }
  await t.rejects(networkOf(nodePeer('a')).dial(`127.0.0.1:${port}`, options), {
    code: 'ERR_SKEIN_DIAL_FAILED',
    message: /deadline/
  })
  t.ok(clock.now() >= began + 100, 'not before the deadline')
})

prove('no session is ever resumed', async (t) => {
  const { port } = await listening(t)
  const options = {
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['skein/1'],
    ...credentials(materialOf(nodePeer('a')))
  }
  const connectOnce = async (session?: Buffer) => {
    const socket = connect(session === undefined ? options : { ...options, session })
    t.teardown(() => socket.destroy())
    const sessions: Buffer[] = []
    socket.on('session', (one) => sessions.push(one))
    socket.on('error', () => socket.destroy())
    await new Promise((resolve) => socket.once('data', resolve))
    const isReused = socket.isSessionReused()
    socket.destroy()
    return { isReused, sessions }
  }
  const first = await connectOnce()
  t.equal(first.isReused, false)
  const second = await connectOnce(first.sessions.at(-1))
  t.equal(second.isReused, false)
})

prove('a reset in the middle is told as one', async (t) => {
  const { listener, accepted } = await listening(t)
  const options = { expectedNodeId: toNodeId('b'), deadline: soon() }
  const stream = await networkOf(nodePeer('a')).dial(listener.address, options)
  const near = new End(stream)
  while (accepted.length === 0) await new Promise((resolve) => setImmediate(resolve))
  accepted[0]?.destroy()
  t.match(await near.ended, /^(closed|reset)$/)
})
