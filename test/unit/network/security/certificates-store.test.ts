import { execFileSync } from 'node:child_process'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type PeerIdentity, toNodeId, type WallMs } from '../../../../src/core/index.js'
import {
  authorityClusterName,
  authorityFiles,
  createAuthority,
  inspectCertificate,
  issuePeer
} from '../../../../src/network/index.js'
import { readTlsMaterial } from '../../../../src/runtime/index.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

type Tap = { teardown(handler: () => unknown): void }

const dayMs = 86_400_000
const clusterName = 'flock'
const node: PeerIdentity = { kind: 'node', nodeId: toNodeId('a'), clusterName }
const client: PeerIdentity = { kind: 'client', name: 'app', clusterName }
const validity = { now: Date.now() as WallMs, days: 10 }

async function authority(t: Tap): Promise<string> {
  const directory = await temporaryDirectory(t)
  await createAuthority(directory, clusterName, validity)
  return directory
}

t.test('an authority, a gossip key and a token are made, secrets for their owner', async (t) => {
  const files = authorityFiles(await authority(t))
  for (const file of [files.caKeyFile, files.gossipKeyFile, files.tokenFile]) {
    t.equal((await stat(file)).mode & 0o777, 0o600, file)
  }
  t.match(await readFile(files.gossipKeyFile, 'utf8'), /^[0-9a-f]{64}\n$/)
  t.match(await readFile(files.tokenFile, 'utf8'), /^[0-9a-f]{64}\n$/)
  const facts = await inspectCertificate(files.caFile)
  t.match(facts, { subject: clusterName, isAuthority: true, uris: [] })
})

t.test('a node certificate says who, where and how long', async (t) => {
  const directory = await authority(t)
  const files = await issuePeer(directory, { peer: node, hosts: ['db1', '10.0.0.7'] }, validity)
  const facts = await inspectCertificate(files.certificateFile)
  t.same(facts.uris, ['spiffe://flock/node/a'])
  t.equal(facts.isAuthority, false)
  t.ok(facts.notBefore < validity.now && facts.notBefore > validity.now - 10 * 60_000)
  t.ok(Math.abs(facts.notAfter - validity.now - 10 * dayMs) < 1_000)
  const leaf = new X509Certificate(await readFile(files.certificateFile))
  t.match(leaf.subjectAltName, /DNS:localhost, DNS:db1, IP Address:127\.0\.0\.1/)
  t.match(leaf.subjectAltName, /IP Address:10\.0\.0\.7/)
  t.equal((await stat(files.keyFile)).mode & 0o777, 0o600)
  const root = new X509Certificate(await readFile(authorityFiles(directory).caFile))
  t.ok(leaf.verify(createPublicKey(root.publicKey.export({ type: 'spki', format: 'pem' }))))
  t.ok(leaf.checkIssued(root))
})

t.test('openssl verifies the chain for its purposes', async (t) => {
  const directory = await authority(t)
  const { caFile } = authorityFiles(directory)
  for (const [peer, purposes] of [
    [node, ['sslserver', 'sslclient']],
    [client, ['sslclient']]
  ] as const) {
    const { certificateFile } = await issuePeer(directory, { peer }, validity)
    for (const purpose of purposes) {
      const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', caFile]
      t.match(execFileSync('openssl', [...args, certificateFile]).toString(), /: OK/)
    }
  }
})

t.test('serial numbers differ; issuing again replaces', async (t) => {
  const directory = await authority(t)
  const serials = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const files = await issuePeer(directory, { peer: node }, validity)
    const { serialNumber } = await inspectCertificate(files.certificateFile)
    t.match(serialNumber, /^[4-7][0-9a-f]{31}$/)
    serials.add(serialNumber)
    const material = { ...files, caFile: authorityFiles(directory).caFile }
    t.same((await readTlsMaterial(material, validity.now)).peer, node)
  }
  t.equal(serials.size, 20)
})

t.test('an authority is never replaced', async (t) => {
  const directory = await authority(t)
  const before = await readFile(authorityFiles(directory).caFile, 'utf8')
  await t.rejects(createAuthority(directory, clusterName, validity), {
    code: 'ERR_SKEIN_CERTIFICATE',
    message: /has an authority/
  })
  t.equal(await readFile(authorityFiles(directory).caFile, 'utf8'), before)
  t.equal(await authorityClusterName(directory), clusterName)
})

t.test('what cannot be issued is refused by name', async (t) => {
  const directory = await authority(t)
  const certificateError = { code: 'ERR_SKEIN_CERTIFICATE' }
  const argumentError = { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  const empty = await temporaryDirectory(t)
  await t.rejects(issuePeer(empty, { peer: node }, validity), {
    ...certificateError,
    message: /skein certs init/
  })
  const foreign = { ...node, clusterName: 'other' }
  await t.rejects(issuePeer(directory, { peer: foreign }, validity), certificateError)
  await t.rejects(issuePeer(directory, { peer: node }, { ...validity, days: 0 }), argumentError)
  const bad: PeerIdentity = { ...client, name: '../x' }
  await t.rejects(issuePeer(directory, { peer: bad }, validity), argumentError)
  await t.rejects(createAuthority(empty, 'Bad Name', validity), argumentError)
  await writeFile(authorityFiles(directory).caKeyFile, 'no key')
  await t.rejects(issuePeer(directory, { peer: node }, validity), certificateError)
})

t.test('X-47 files that do not fit together are refused with their name', async (t) => {
  const directory = await authority(t)
  const { caFile, caKeyFile } = authorityFiles(directory)
  const a = { ...(await issuePeer(directory, { peer: node }, validity)), caFile }
  const other = { ...node, nodeId: toNodeId('b') }
  const b = { ...(await issuePeer(directory, { peer: other }, validity)), caFile }
  const stranger = authorityFiles(await authority(t)).caFile
  const open = join(directory, 'open.key')
  await writeFile(open, await readFile(a.keyFile))
  await chmod(open, 0o644)
  const refused = (files: typeof a, message: RegExp, now = validity.now) =>
    t.rejects(readTlsMaterial(files, now), { code: 'ERR_SKEIN_CERTIFICATE', message })
  await refused({ ...a, keyFile: b.keyFile }, /is not the key of/)
  await refused({ ...a, caFile: stranger }, /was not issued by/)
  await refused({ ...a, caFile: b.certificateFile }, /no certificate of an authority/)
  await refused({ ...a, certificateFile: a.keyFile }, /no PEM certificate/)
  await refused({ ...a, keyFile: open }, /others may read it/)
  await refused({ ...a, keyFile: join(directory, 'missing') }, /ENOENT/)
  await refused(a, /expired/, (validity.now + 11 * dayMs) as WallMs)
  await refused(a, /not valid before/, (validity.now - dayMs) as WallMs)
  const asLeaf = { certificateFile: caFile, keyFile: caKeyFile, caFile }
  await refused(asLeaf, /authority certificate/)
})
