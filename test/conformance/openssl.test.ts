/** Our certificates, revocation lists and listeners, as OpenSSL's own tool sees them. */
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLogger, toNodeId, type WallMs } from '../../src/core/index.js'
import { authorityFiles, revoke } from '../../src/network/index.js'
import { nodeClock, readTlsMaterial, TlsStreamNetwork } from '../../src/runtime/index.js'
import { readCertificates, readRevocationList } from '../../src/runtime/revocation-list.js'
import { hasOpenssl, OpensslAuthority, openssl, opensslOk } from '../support/openssl.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { TestAuthority } from '../support/test-authority.js'

const clusterName = 'conformance'
const nodePeer = (id: string) => ({ kind: 'node', nodeId: toNodeId(id), clusterName }) as const
const skip = hasOpenssl ? false : 'openssl is not on the path'
const clock = nodeClock()
const validity = () => ({ now: Date.now() as WallMs, days: 30 })
const acceptance = 'skein 1 accepted'

/** A node that lets go of whoever it let in. */
async function listening(t: Test, authority: TestAuthority) {
  const material = await authority.material(nodePeer('b'))
  const network = new TlsStreamNetwork(
    { clock, logger: silentLogger },
    { material, handshakeTimeoutMs: 10_000, handshakesMax: 64 }
  )
  const listener = await network.listen('127.0.0.1:0', (stream) => {
    stream.attach({ onData() {}, onDrain() {}, onClose() {} })
    stream.end()
  })
  t.teardown(() => listener.close())
  return { network, port: Number(listener.address.split(':')[1]) }
}

interface Files {
  readonly certificateFile: string
  readonly keyFile: string
}

/** What `openssl s_client` was told. */
const client = (port: number, files: Files | null, more: readonly string[] = []) =>
  openssl([
    ...['s_client', '-connect', `127.0.0.1:${port}`, '-alpn', 'skein/1', '-ign_eof'],
    ...(files === null ? [] : ['-cert', files.certificateFile, '-key', files.keyFile]),
    ...more
  ])

t.test('s_client with our certificate speaks TLS 1.3 and gets no ticket', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const files = await authority.issue(nodePeer('a'))
  const { network, port } = await listening(t, authority)
  const { stdout } = await client(port, files, ['-CAfile', files.caFile, '-verify_return_error'])
  t.match(stdout, 'Verify return code: 0 (ok)')
  t.match(stdout, 'New, TLSv1.3')
  t.match(stdout, 'ALPN protocol: skein/1')
  t.match(stdout, acceptance)
  t.notMatch(stdout, 'Early data was accepted')
  t.equal(network.counters.get('handshakes_accepted'), 1)
})

t.test('X-01 X-02 older TLS, other protocols and nobody are refused', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const files = await authority.issue(nodePeer('a'))
  const { network, port } = await listening(t, authority)
  for (const [given, more] of [
    [files, ['-tls1_2']],
    [files, ['-alpn', 'h2']],
    [null, []]
  ] as const) {
    const { stdout } = await client(port, given, more)
    t.notMatch(stdout, acceptance)
  }
  const { refused_version, refused_no_certificate, handshakes_accepted } =
    network.counters.snapshot()
  t.same([refused_version, refused_no_certificate, handshakes_accepted], [2, 1, 0])
})

t.test('X-11 s_client cannot resume a session of ours', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const files = await authority.issue(nodePeer('a'))
  const { port } = await listening(t, authority)
  const session = join(await temporaryDirectory(t), 'session.pem')
  await client(port, files, ['-sess_out', session])
  const again = await client(port, files, ['-sess_in', session])
  t.match(again.stdout || again.stderr, /New, TLSv1\.3|Can't open session|unable to load/i)
  t.notMatch(again.stdout, 'Reused, TLSv1.3')
})

const uri = `subjectAltName=URI:spiffe://${clusterName}/node/a`
const usual = {
  constraints: 'basicConstraints=critical,CA:false',
  usage: 'keyUsage=critical,digitalSignature',
  purpose: 'extendedKeyUsage=clientAuth,serverAuth',
  name: uri
}
const with_ = (change: Partial<Record<keyof typeof usual, string | null>>): string[] =>
  Object.values({ ...usual, ...change }).filter((line): line is string => line !== null)
const rsa = (bits: number): string[] => [`rsa:${bits}`]
const san = (...names: string[]) => `subjectAltName=${names.join(',')}`
const spiffe = `spiffe://${clusterName}/node`

/** Name → what is wrong with a leaf that the right authority signed; null: nothing. */
const leaves: Readonly<
  Record<string, { extensions: string[]; newKey?: string[]; digest?: string; right?: boolean }>
> = {
  'nothing wrong': { extensions: with_({}), right: true },
  'RSA of 2,048 bits': { extensions: with_({}), newKey: rsa(2_048), right: true },
  'X-06 no URI': { extensions: with_({ name: null }) },
  'X-06 two URIs': { extensions: with_({ name: san(`URI:${spiffe}/a`, `URI:${spiffe}/b`) }) },
  'X-06 another scheme': { extensions: with_({ name: san(`URI:https://${clusterName}/node/a`) }) },
  'X-06 an upper-case domain': {
    extensions: with_({ name: san('URI:spiffe://Conformance/node/a') })
  },
  'X-06 dots': { extensions: with_({ name: san(`URI:${spiffe}/../node/a`) }) },
  'X-06 an empty segment': { extensions: with_({ name: san(`URI:${spiffe}//a`) }) },
  'X-06 a trailing slash': { extensions: with_({ name: san(`URI:${spiffe}/a/`) }) },
  'X-06 an escape': { extensions: with_({ name: san(`URI:${spiffe}/%2e`) }) },
  'X-06 a port': { extensions: with_({ name: san(`URI:spiffe://${clusterName}:1/node/a`) }) },
  'X-06 a query': { extensions: with_({ name: san(`URI:${spiffe}/a?x=1`) }) },
  'X-06 2,049 bytes': { extensions: with_({ name: san(`URI:${spiffe}/${'a'.repeat(2_049)}`) }) },
  'X-05 another cluster': { extensions: with_({ name: san('URI:spiffe://elsewhere/node/a') }) },
  'X-07 an authority': { extensions: with_({ constraints: 'basicConstraints=critical,CA:true' }) },
  'X-07 keyCertSign': {
    extensions: with_({ usage: 'keyUsage=critical,digitalSignature,keyCertSign' })
  },
  'X-07 cRLSign': { extensions: with_({ usage: 'keyUsage=critical,digitalSignature,cRLSign' }) },
  'X-07 no digitalSignature': { extensions: with_({ usage: 'keyUsage=critical,keyAgreement' }) },
  'X-07 no key usage': { extensions: with_({ usage: null }) },
  'X-07 no clientAuth': { extensions: with_({ purpose: 'extendedKeyUsage=serverAuth' }) },
  'X-07 no serverAuth': { extensions: with_({ purpose: 'extendedKeyUsage=clientAuth' }) },
  'X-09 RSA of 1,024 bits': { extensions: with_({}), newKey: rsa(1_024) },
  'X-09 SHA-1': { extensions: with_({}), digest: 'sha1' },
  'X-09 an unusual curve': {
    extensions: with_({}),
    newKey: ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']
  }
}

t.test(
  'X-05…X-09 leaves that the right authority should never have signed',
  { skip },
  async (t) => {
    const authority = await TestAuthority.make(t, clusterName)
    const { caFile, caKeyFile } = authorityFiles(authority.directory)
    const maker = new OpensslAuthority(await temporaryDirectory(t), caFile, caKeyFile)
    const { network, port } = await listening(t, authority)
    let accepted = 0
    for (const [name, { right = false, ...wish }] of Object.entries(leaves)) {
      const files = await maker.issue({ name: name.replaceAll(/[^a-z0-9]/gi, '-'), ...wish })
      const { stdout } = await client(port, files)
      t.equal(stdout.includes(acceptance), right, name)
      if (right) accepted++
    }
    t.equal(network.counters.get('handshakes_accepted'), accepted)
  }
)

t.test('X-08 intermediates that may not sign what they signed', { skip }, async (t) => {
  const directory = await temporaryDirectory(t)
  const at = (name: string) => join(directory, name)
  await opensslOk([
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', at('root.key'), '-out', at('root.crt'), '-subj', '/CN=root', '-days', '3'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  ])
  const root = new OpensslAuthority(directory, at('root.crt'), at('root.key'))
  const signs = 'keyUsage=critical,keyCertSign,cRLSign'
  const chains: Readonly<Record<string, readonly (readonly string[])[]>> = {
    'a right intermediate': [['basicConstraints=critical,CA:true,pathlen:0', signs]],
    'an intermediate without basicConstraints': [[signs]],
    'an intermediate that is no authority': [['basicConstraints=critical,CA:false', signs]],
    'one more than pathlen allows': [
      ['basicConstraints=critical,CA:true,pathlen:0', signs],
      ['basicConstraints=critical,CA:true', signs]
    ],
    'names that the intermediate may not give': [
      [
        'basicConstraints=critical,CA:true',
        signs,
        'nameConstraints=critical,permitted;URI:.example.org'
      ]
    ]
  }
  const own = await root.issue({
    name: 'listener',
    extensions: with_({ name: san(`URI:${spiffe}/b`) })
  })
  const files = { ...own, caFile: at('root.crt') }
  const material = await readTlsMaterial(files, clock.wallNow())
  const network = new TlsStreamNetwork(
    { clock, logger: silentLogger },
    { material, handshakeTimeoutMs: 10_000, handshakesMax: 16 }
  )
  const listener = await network.listen('127.0.0.1:0', (stream) => stream.end())
  t.teardown(() => listener.close())
  const port = Number(listener.address.split(':')[1])
  for (const [i, [name, links]] of Object.entries(chains).entries()) {
    let signer = root
    const chain: string[] = []
    for (const [k, extensions] of links.entries()) {
      const made = await signer.issue({ name: `chain-${i}-${k}`, extensions })
      chain.unshift(made.certificateFile)
      signer = new OpensslAuthority(directory, made.certificateFile, made.keyFile)
    }
    const leaf = await signer.issue({ name: `chain-${i}-leaf`, extensions: with_({}) })
    const between = at(`chain-${i}.pem`)
    const texts = await Promise.all(chain.map((file) => readFile(file, 'utf8')))
    await writeFile(between, texts.join(''))
    const { stdout } = await client(port, leaf, ['-cert_chain', between])
    t.equal(stdout.includes(acceptance), i === 0, name)
  }
})

t.test('X-10 a hundred certificates are refused before they are verified', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const leaf = await authority.issue(nodePeer('a'))
  const ca = await readFile(leaf.caFile, 'utf8')
  const { network, port } = await listening(t, authority)
  const directory = await temporaryDirectory(t)
  /** Of the node's process alone: OpenSSL is another. */
  const costOf = async (copies: number): Promise<number> => {
    const chain = join(directory, `${copies}.pem`)
    await writeFile(chain, ca.repeat(copies))
    const began = process.cpuUsage()
    const { stdout } = await client(port, leaf, ['-cert_chain', chain])
    const { user, system } = process.cpuUsage(began)
    if (copies === 1_500) t.notMatch(stdout, acceptance, 'a chain of more than 100 KiB')
    return (user + system) / 1_000
  }
  await costOf(1)
  const sound = await costOf(1)
  for (const copies of [100, 1_500]) {
    const spentMs = await costOf(copies)
    t.comment(`${copies} copies: ${spentMs} ms of CPU, a sound one ${sound} ms`)
  }
  const accepted = network.counters.get('handshakes_accepted')
  t.ok(accepted <= 3)
  await costOf(1)
  t.equal(network.counters.get('handshakes_accepted'), accepted + 1, 'a sound one is let in still')
})

t.test('our revocation list is one that OpenSSL verifies and obeys', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const { directory } = authority
  const { caFile } = authorityFiles(directory)
  const good = await authority.issue(nodePeer('good'))
  const bad = await authority.issue(nodePeer('bad'))
  await authority.issue(nodePeer('bad'))
  const { revocationFile, serialNumbers } = await revoke(
    directory,
    { peer: nodePeer('bad') },
    validity()
  )
  t.equal(serialNumbers.length, 2, 'every certificate that was issued to it')
  const verified = await openssl([
    'crl',
    '-in',
    revocationFile,
    '-CAfile',
    caFile,
    '-verify',
    '-noout'
  ])
  t.match(verified.stderr, 'verify OK')
  const text = await opensslOk(['crl', '-in', revocationFile, '-text', '-noout'])
  t.match(text, 'Version 2')
  t.match(text, /X509v3 CRL Number:\s+1/)
  for (const serial of serialNumbers) t.match(text.toLowerCase(), `serial number: ${serial}`)
  const check = (file: string) =>
    openssl(['verify', '-crl_check', '-CAfile', caFile, '-CRLfile', revocationFile, file])
  t.match(await check(good.certificateFile), { status: 0, stdout: /OK/ })
  t.match(await check(bad.certificateFile), { stderr: /certificate revoked/ })
  const { number } = await revoke(directory, { peer: nodePeer('good') }, validity())
  t.equal(number, 2)
  t.match(await check(good.certificateFile), { stderr: /certificate revoked/ })
  const roots = readCertificates(await readFile(caFile, 'utf8'), caFile)
  const read = readRevocationList(await readFile(revocationFile), roots)
  t.match(read, { number: 2 })
  t.equal(read.serialNumbers.size, 3)
})

t.test('a revocation list that OpenSSL made is read', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const { caFile, caKeyFile } = authorityFiles(authority.directory)
  const { certificateFile } = await authority.issue(nodePeer('a'))
  const directory = await temporaryDirectory(t)
  const at = (name: string) => join(directory, name)
  await writeFile(at('index.txt'), '')
  await writeFile(at('crlnumber'), '2A\n')
  await writeFile(
    at('ca.conf'),
    `[ca]\ndefault_ca = us\n[us]\ndatabase = ${at('index.txt')}\ncrlnumber = ${at('crlnumber')}\n` +
      `default_md = sha384\ndefault_crl_days = 2\n` +
      `certificate = ${caFile}\nprivate_key = ${caKeyFile}\n` +
      'crl_extensions = crl_ext\n[crl_ext]\nauthorityKeyIdentifier = keyid\n'
  )
  await opensslOk([
    'ca',
    '-config',
    at('ca.conf'),
    '-revoke',
    certificateFile,
    '-crl_reason',
    'keyCompromise'
  ])
  await opensslOk(['ca', '-config', at('ca.conf'), '-gencrl', '-out', at('made.crl')])
  const roots = readCertificates(await readFile(caFile, 'utf8'), caFile)
  const list = readRevocationList(await readFile(at('made.crl')), roots)
  const material = await authority.material(nodePeer('b'))
  t.equal(list.number, 42)
  t.equal(list.serialNumbers.size, 1)
  t.notOk(list.serialNumbers.has(material.facts.serialNumber))
  const other = await TestAuthority.make(t, clusterName)
  const foreign = readCertificates(
    await readFile(authorityFiles(other.directory).caFile, 'utf8'),
    'other'
  )
  const made = await readFile(at('made.crl'))
  t.throws(() => readRevocationList(made, foreign), { code: 'ERR_SKEIN_CERTIFICATE' })
  for (const [offset, broken] of [
    [0, made.subarray(0, 60)],
    [1, Buffer.from(list.bytes).subarray(0, -1)],
    [2, Buffer.concat([list.bytes, Buffer.from([0])])],
    [3, Buffer.from(list.bytes).fill(7, 60, 61)]
  ] as const) {
    t.throws(
      () => readRevocationList(broken, roots),
      { code: 'ERR_SKEIN_CERTIFICATE' },
      `${offset}`
    )
  }
})

t.test('X-15 names of the server, asked for or not, change nothing', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const files = await authority.issue(nodePeer('a'))
  const { network, port } = await listening(t, authority)
  for (const more of [
    ['-noservername'],
    ['-servername', 'a.example'],
    ['-servername', 'x'.repeat(255)],
    ['-servername', '\u00fc\u4e16\u754c'],
    ['-servername', '../../etc/passwd']
  ]) {
    const { stdout } = await client(port, files, more)
    t.match(stdout, acceptance, more.join(' ').slice(0, 40))
  }
  t.equal(network.counters.get('handshakes_accepted'), 5)
})

t.test('X-17 new keys again and again close the connection', { skip }, async (t) => {
  const authority = await TestAuthority.make(t, clusterName)
  const { certificateFile, keyFile } = await authority.issue(nodePeer('a'))
  const network = new TlsStreamNetwork(
    { clock, logger: silentLogger },
    {
      material: await authority.material(nodePeer('b')),
      handshakeTimeoutMs: 10_000,
      handshakesMax: 4
    }
  )
  const listener = await network.listen('127.0.0.1:0', (stream) => {
    t.teardown(() => stream.destroy())
    stream.attach({ onData() {}, onDrain() {}, onClose() {} })
  })
  t.teardown(() => listener.close())
  const child = spawn('openssl', [
    ...['s_client', '-connect', listener.address, '-alpn', 'skein/1'],
    ...['-cert', certificateFile, '-key', keyFile]
  ])
  t.teardown(() => child.kill())
  child.stdin.on('error', () => {})
  const closed = new Promise((resolve) => child.once('close', resolve))
  // The tool renews its keys once for each line that begins with this letter, one per read.
  child.stdout.once('data', () => {
    const timer = setInterval(() => child.stdin.write('k\n'), 5)
    t.teardown(() => clearInterval(timer))
  })
  child.stdout.resume()
  await closed
  t.equal(network.counters.get('refused_key_updates'), 1)
})
