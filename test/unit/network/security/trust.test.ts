import t from 'tap'
import type { NodeId } from '../../../../src/core/ids.js'
import { CertificateError, peerNameOf, type WallMs } from '../../../../src/core/index.js'
import type {
  AuthorityFacts,
  Credentials,
  OwnCertificates,
  PeerJudge,
  RevocationFile,
  RevocationList
} from '../../../../src/core/ports/credentials.js'
import type { PeerCertificate } from '../../../../src/core/ports/stream-network.js'
import { type SecureNode, SecurityWorld } from './security-world.js'

const dayMs = 86_400_000
const start = 1_700_000_000_000
const certificate = (serialNumber: string, days = 100): PeerCertificate => ({
  serialNumber,
  notBefore: start as WallMs,
  notAfter: (start + days * dayMs) as WallMs
})
const authority = (id: string): AuthorityFacts => ({
  id,
  subject: `CN=${id}`,
  notAfter: (start + 1_000 * dayMs) as WallMs
})

/** A list is told by its bytes: authority, number, serial numbers; `x` is nobody's authority. */
const listOf = (authorityId: string, number: number, ...serials: string[]): RevocationList => ({
  authorityId,
  number,
  issuedAt: start as WallMs,
  serialNumbers: new Set(serials),
  bytes: new TextEncoder().encode([authorityId, number, ...serials].join(' '))
})

class FakeCredentials implements Credentials {
  current: OwnCertificates = { own: certificate('1'), authorities: [authority('ca')] }
  next: OwnCertificates | Error | null = null
  file: RevocationFile | Error | null = null
  judge: PeerJudge | null = null

  async reload(): Promise<boolean> {
    if (this.next instanceof Error) throw this.next
    if (this.next === null) return false
    this.current = this.next
    this.next = null
    return true
  }

  async readRevocations(): Promise<RevocationFile | null> {
    const { file } = this
    if (file instanceof Error) throw file
    this.file = null
    return file
  }

  verifyRevocationList(bytes: Uint8Array): RevocationList {
    const [id = '', number, ...serials] = new TextDecoder().decode(bytes).split(' ')
    if (this.current.authorities.every((one) => one.id !== id))
      throw new CertificateError('foreign')
    return listOf(id, Number(number), ...serials)
  }

  setJudge(judge: PeerJudge): void {
    this.judge = judge
  }
}

async function three(world: SecurityWorld, lastDays = 2) {
  const nodes: { node: SecureNode; credentials: FakeCredentials }[] = []
  const { hub } = world.transports
  hub.judge = (judging, judged) => {
    const own = nodes.find(({ node }) => judging.kind === 'node' && node.name === judging.nodeId)
    const shown = hub.certificates.get(peerNameOf(judged))
    return (shown && own?.credentials.judge?.(judged, shown)) ?? null
  }
  for (const [i, name] of ['n0', 'n1', 'n2'].entries()) {
    const peer = { kind: 'node', nodeId: name as NodeId, clusterName: 'test' } as const
    hub.certificates.set(peerNameOf(peer), certificate(`a${i}`, i === 2 ? lastDays : 100))
    const credentials = new FakeCredentials()
    const node = await world.secure(name, { credentials })
    nodes.push({ node, credentials })
    if (i > 0) await world.join(node, [nodes[0]?.node as SecureNode])
  }
  await world.clock.until(() => world.isConverged(), 10_000)
  for (const { node } of nodes) await world.clock.settle(node.security.listKeys())
  await world.clock.advance(2_000)
  for (const { node } of nodes) node.told.length = 0
  return nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]]
}

const typesOf = ({ told }: SecureNode): string[] => told.map(({ type }) => type)

t.test('X-11 one node is told, and all members cut the revoked one within seconds', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b, c] = await three(world)
  const report = await world.clock.settle(a.node.security.revoke(listOf('ca', 1, 'a2').bytes))
  t.match(report, { nodes: 3 })
  await world.clock.advance(5_000)
  for (const { node } of [a, b]) {
    t.match(node.security.metrics(), { links_cut_revoked: 1, revoked_certificates_current: 1 })
    t.equal(node.transport.isConnected('n2' as NodeId), false)
    t.match(node.told, [
      { type: 'RevocationsChanged', number: 1, revoked: 1 },
      { type: 'PeerCut', peer: 'node n2', serialNumber: 'a2' }
    ])
  }
  const peer = { kind: 'node', nodeId: 'n2' as NodeId, clusterName: 'test' } as const
  t.match(b.credentials.judge?.(peer, certificate('a2')), /revoked/)
  t.equal(b.credentials.judge?.(peer, certificate('b2')), null, 'a new certificate is welcome')
  t.equal(c.node.transport.isConnected('n0' as NodeId), false)
})

t.test('a list is kept on disk, older ones and foreign ones are not taken', async (t) => {
  const world = new SecurityWorld(t)
  const [a] = await three(world)
  await world.clock.settle(a.node.security.revoke(listOf('ca', 5, 'ff').bytes))
  await world.clock.settle(a.node.security.revoke(listOf('ca', 4).bytes))
  t.match(a.node.security.revocations().lists, [{ number: 5, revoked: 1 }])
  t.equal(
    await world.outcome(a.node.security.revoke(listOf('x', 9, 'a1').bytes)),
    'ERR_SKEIN_CERTIFICATE'
  )
  t.equal(a.node.security.metrics().revocations_refused, 1)
  await world.crash(a.node)
  const again = await world.secure('n0', { disk: a.node.disk, credentials: new FakeCredentials() })
  t.match(again.security.revocations().lists, [{ number: 5, revoked: 1 }])
})

t.test('who was down learns at its first link what it missed', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b] = await three(world)
  await world.crash(b.node)
  await world.clock.settle(a.node.security.revoke(listOf('ca', 1, 'ff').bytes))
  const again = await world.secure('n1', { disk: b.node.disk, credentials: new FakeCredentials() })
  t.same(again.security.revocations().lists, [])
  await world.join(again, [a.node])
  await world.clock.advance(1_000)
  t.match(again.security.revocations().lists, [{ number: 1, revoked: 1 }])
})

t.test('the file of one node denies on it alone; a list in it goes to all', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b] = await three(world)
  a.credentials.file = {
    lists: [listOf('ca', 1, 'ff')],
    denied: [{ kind: 'node', name: 'n2' }]
  }
  await world.clock.advance(5_000)
  t.equal(a.node.security.metrics().links_cut_revoked, 1)
  t.equal(a.node.transport.isConnected('n2' as NodeId), false)
  t.equal(b.node.transport.isConnected('n2' as NodeId), true)
  t.match(b.node.security.revocations(), { lists: [{ number: 1 }], denied: [] })
  a.credentials.file = new CertificateError('line 3')
  await world.clock.advance(10_000)
  t.match(a.node.security.revocations().denied, [{ name: 'n2' }], 'a broken file changes nothing')
})

t.test('X-04 a connection is cut when the certificate at its other end ends', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b] = await three(world, 30_000 / dayMs)
  t.equal(a.node.transport.isConnected('n2' as NodeId), true)
  await world.clock.advance(35_000)
  for (const { node } of [a, b]) {
    t.equal(node.transport.isConnected('n2' as NodeId), false)
    t.equal(node.security.metrics().links_cut_expired, 1)
    t.match(node.told, [{ type: 'PeerCut', reason: 'its certificate has expired' }])
  }
})

t.test('a certificate that ends soon is warned of, once, and fails the check', async (t) => {
  const world = new SecurityWorld(t)
  const [a] = await three(world)
  t.match(a.node.security.checks(), [{ name: 'certificate', ok: true, detail: /99 days/ }])
  a.credentials.next = { own: certificate('2', 6), authorities: [authority('ca')] }
  await world.clock.advance(10_000)
  t.same(typesOf(a.node), ['CertificateReloaded', 'CertificateExpiring'])
  t.match(a.node.told[1], { subject: 'this node', daysLeft: 5 })
  t.match(a.node.security.checks(), [{ ok: false, detail: /5 days/ }])
  t.equal(a.node.security.metrics().certificate_days_left, 5)
})

t.test(
  'X-47 files that do not fit: told once, when seen twice; the API tells at once',
  async (t) => {
    const world = new SecurityWorld(t)
    const [a] = await three(world)
    a.credentials.next = new CertificateError('the key of another')
    await world.clock.advance(2_500)
    t.same(typesOf(a.node), [], 'an operator may be between the two files')
    await world.clock.advance(10_000)
    t.same(typesOf(a.node), ['CertificateReloadFailed'])
    t.match(a.node.security.checks(), [{ ok: false, detail: /the key of another/ }])
    t.match(a.node.security.certificates(), { own: { serialNumber: '1' }, failure: /key/ })
    t.equal(await world.outcome(a.node.security.reloadCertificates()), 'ERR_SKEIN_CERTIFICATE')
    a.credentials.next = { own: certificate('2'), authorities: [authority('ca')] }
    t.match(await world.clock.settle(a.node.security.reloadCertificates()), {
      own: { serialNumber: '2' },
      failure: null
    })
    t.match(a.node.security.checks(), [{ ok: true }])
  }
)

t.test(
  'when an authority goes, connections are replaced soon, and its lists go with it',
  async (t) => {
    const world = new SecurityWorld(t)
    const [, a] = await three(world)
    await world.clock.settle(a.node.security.revoke(listOf('ca', 1, 'ff').bytes))
    const before = a.node.transport.counters.get('connections_renewed')
    a.credentials.next = { own: certificate('2'), authorities: [authority('new')] }
    await world.clock.advance(20_000)
    t.ok(a.node.transport.counters.get('connections_renewed') > before)
    t.same(a.node.security.revocations().lists, [])
  }
)

t.test('all members read their files again when one is asked', async (t) => {
  const world = new SecurityWorld(t)
  const nodes = await three(world)
  for (const { credentials } of nodes) {
    credentials.next = { own: certificate('2'), authorities: [authority('ca')] }
  }
  nodes[2].credentials.next = new CertificateError('broken')
  const report = await world.clock.settle(nodes[0].node.security.reloadEverywhere())
  t.match(report, {
    nodes: 3,
    responses: 2,
    errors: [{ nodeId: 'n2', code: 'ERR_SKEIN_CERTIFICATE' }]
  })
})
