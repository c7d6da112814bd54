import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  after,
  type ByteStream,
  type NodeId,
  type PeerIdentity,
  silentLogger,
  toNodeId,
  type WallMs
} from '../../../src/core/index.js'
import { authorityFiles, installPair, revoke } from '../../../src/network/index.js'
import { FileCredentials, nodeClock, TlsStreamNetwork } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { TestAuthority } from '../../support/test-authority.js'
import { clusterName, End, nodePeer } from './stream-network-contract.js'

const clock = nodeClock()
const soon = () => after(clock.now(), 10_000)
const validity = () => ({ now: Date.now() as WallMs, days: 30 })

interface Place {
  readonly certificateFile: string
  readonly keyFile: string
  readonly caFile: string
  readonly revocationFile: string
}

/** A node's own directory, with files that are replaced as an operator would. */
async function nodeOf(t: Test, authority: TestAuthority, id: string) {
  const directory = await temporaryDirectory(t)
  const place: Place = {
    certificateFile: join(directory, 'node.crt'),
    keyFile: join(directory, 'node.key'),
    caFile: join(directory, 'ca.crt'),
    revocationFile: join(directory, 'revoked')
  }
  await writeFile(place.caFile, await readFile(authorityFiles(authority.directory).caFile))
  await renew(authority, nodePeer(id), place)
  const self = { nodeId: toNodeId(id), clusterName }
  const credentials = await FileCredentials.open({ clock }, place, self)
  const { material, judge } = credentials
  const network = new TlsStreamNetwork(
    { clock, logger: silentLogger },
    { material, judge, handshakeTimeoutMs: 5_000, handshakesMax: 16 }
  )
  credentials.onChange((changed) => network.reload(changed))
  return { place, credentials, network }
}

const renew = async (authority: TestAuthority, peer: PeerIdentity, place: Place) =>
  installPair(await authority.issue(peer), place)

async function listening(t: Test, network: TlsStreamNetwork) {
  const accepted: ByteStream[] = []
  const listener = await network.listen('127.0.0.1:0', (stream) => accepted.push(stream))
  t.teardown(() => listener.close())
  t.teardown(() => {
    for (const stream of accepted) stream.destroy()
  })
  return { accepted, address: listener.address }
}

const dial = async (t: Test, network: TlsStreamNetwork, address: string, id: NodeId) => {
  const stream = await network.dial(address, { expectedNodeId: id, deadline: soon() })
  t.teardown(() => stream.destroy())
  return stream
}

t.test(
  'X-50 new certificates are used from the next handshake on; open streams stay',
  async (t) => {
    const authority = await TestAuthority.make(t, clusterName)
    const a = await nodeOf(t, authority, 'a')
    const b = await nodeOf(t, authority, 'b')
    const { accepted, address } = await listening(t, b.network)
    const old = new End(await dial(t, a.network, address, toNodeId('b')))
    const before = old.stream.certificate?.serialNumber
    await renew(authority, nodePeer('b'), b.place)
    await renew(authority, nodePeer('a'), a.place)
    t.equal(await b.credentials.reload(false), true)
    t.equal(await a.credentials.reload(false), true)
    t.equal(await b.credentials.reload(false), false, 'nothing has changed since')
    t.equal(await b.credentials.reload(true), false, 'the same is not taken again')
    const next = await dial(t, a.network, address, toNodeId('b'))
    t.not(next.certificate?.serialNumber, before, 'the listener shows its new one')
    t.equal(next.certificate?.serialNumber, b.credentials.current.own.serialNumber)
    while (accepted.length < 2) await new Promise((resolve) => setImmediate(resolve))
    t.equal(accepted[1]?.certificate?.serialNumber, a.credentials.current.own.serialNumber)
    const far = new End(accepted[0] as ByteStream)
    old.stream.write(new TextEncoder().encode('still here'))
    await far.until(({ text }) => text === 'still here')
  }
)

t.test('X-47 what does not fit is not taken, and what was in use stays', async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const other = await TestAuthority.make(t, clusterName)
  const a = await nodeOf(t, authority, 'a')
  const { own } = a.credentials.current
  const dayMs = 86_400_000
  const wrong: Readonly<Record<string, () => Promise<unknown>>> = {
    'the key of another': async () => {
      const { keyFile } = await authority.issue(nodePeer('c'))
      await writeFile(a.place.keyFile, await readFile(keyFile))
    },
    'another node': () => renew(authority, nodePeer('c'), a.place),
    'another cluster': async () => {
      const elsewhere = await TestAuthority.make(t, 'elsewhere')
      await renew(elsewhere, { ...nodePeer('a'), clusterName: 'elsewhere' }, a.place)
    },
    'another authority': () => renew(other, nodePeer('a'), a.place),
    'a certificate that has ended': async () => {
      const issue = { now: Date.now() - 10 * dayMs, days: 5 }
      await installPair(await authority.issue(nodePeer('a'), issue), a.place)
    },
    'no certificate': () => writeFile(a.place.certificateFile, 'nothing'),
    'no file': () => rename(a.place.certificateFile, `${a.place.certificateFile}.away`)
  }
  for (const [name, spoil] of Object.entries(wrong)) {
    await spoil()
    await t.rejects(a.credentials.reload(false), { code: 'ERR_SKEIN_CERTIFICATE' }, name)
    t.same(a.credentials.current.own, own, `${name}: the old one is in use`)
    await renew(authority, nodePeer('a'), a.place)
  }
  t.equal(await a.credentials.reload(false), true, 'what fits is taken again')
})

t.test('two authorities are believed while one replaces the other', async (t) => {
  const first = await TestAuthority.make(t, clusterName)
  const second = await TestAuthority.make(t, clusterName)
  const bundle = await Promise.all(
    [first, second].map(({ directory }) => readFile(authorityFiles(directory).caFile, 'utf8'))
  )
  const a = await nodeOf(t, first, 'a')
  const b = await nodeOf(t, first, 'b')
  const { address } = await listening(t, b.network)
  const reach = () => dial(t, a.network, address, toNodeId('b'))
  await reach()
  for (const { place, credentials } of [a, b]) {
    await writeFile(place.caFile, bundle.join(''))
    await credentials.reload(false)
    t.equal(credentials.current.authorities.length, 2)
  }
  await renew(second, nodePeer('b'), b.place)
  await b.credentials.reload(false)
  await reach()
  await renew(second, nodePeer('a'), a.place)
  await a.credentials.reload(false)
  await reach()
  for (const { place, credentials } of [a, b]) {
    await writeFile(place.caFile, bundle[1] ?? '')
    await credentials.reload(false)
  }
  await reach()
  const left = await nodeOf(t, first, 'c')
  await t.rejects(dial(t, left.network, address, toNodeId('b')), {
    code: 'ERR_SKEIN_PEER_IDENTITY'
  })
})

t.test('X-11 a revoked or denied peer does not come in, in either direction', async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const a = await nodeOf(t, authority, 'a')
  const b = await nodeOf(t, authority, 'b')
  const { address } = await listening(t, b.network)
  await dial(t, a.network, address, toNodeId('b'))
  t.same(await b.credentials.readRevocations(false), { lists: [], denied: [] }, 'no file yet')
  const { revocationFile } = await revoke(authority.directory, { peer: nodePeer('a') }, validity())
  const list = await readFile(revocationFile, 'utf8')
  await writeFile(b.place.revocationFile, `# stolen\nnode x # a laptop\nclient app\n${list}`)
  const file = await b.credentials.readRevocations(false)
  t.same(file?.denied, [
    { kind: 'node', name: 'x' },
    { kind: 'client', name: 'app' }
  ])
  const serials = file?.lists[0]?.serialNumbers
  t.ok(serials?.has(a.credentials.current.own.serialNumber))
  t.equal(await b.credentials.readRevocations(false), null, 'unchanged')
  b.credentials.setJudge((_, { serialNumber }) => (serials?.has(serialNumber) ? 'revoked' : null))
  await t.rejects(dial(t, a.network, address, toNodeId('b')), { code: 'ERR_SKEIN_DIAL_FAILED' })
  t.equal(b.network.counters.get('refused_revoked'), 1)
  const atA = await listening(t, a.network)
  await t.rejects(dial(t, b.network, atA.address, toNodeId('a')), {
    code: 'ERR_SKEIN_PEER_IDENTITY'
  })
  for (const wrong of ['node A', 'serial xyz', 'user x', 'node a b']) {
    await writeFile(b.place.revocationFile, `node fine\n${wrong}\n`)
    await t.rejects(b.credentials.readRevocations(false), {
      code: 'ERR_SKEIN_CERTIFICATE',
      message: /line 2/
    })
  }
  const other = await TestAuthority.make(t, clusterName)
  await other.issue(nodePeer('b'))
  const foreign = await revoke(other.directory, { peer: nodePeer('b') }, validity())
  await writeFile(b.place.revocationFile, await readFile(foreign.revocationFile))
  await t.rejects(b.credentials.readRevocations(false), { message: /no authority/ })
})
