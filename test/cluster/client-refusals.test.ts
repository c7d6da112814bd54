/** Who is not let in as a client, who is cut off, and how certificates are renewed. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type ConnectOptions, SkeinClient } from '../../lib/client.js'
import { ClusterNetworkManager } from '../../lib/index.js'
import { sqliteEngine } from '../../lib/sqlite.js'
import { type PeerIdentity, toNodeId } from '../../src/core/index.js'
import { authorityFiles } from '../../src/network/index.js'
import { until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'
import { TestAuthority } from '../support/test-authority.js'

const clusterName = 'lake'
const node: PeerIdentity = { kind: 'node', nodeId: toNodeId('n1'), clusterName }
const clientOf = (name: string, cluster = clusterName): PeerIdentity => ({
  kind: 'client',
  name,
  clusterName: cluster
})

const authority = await TestAuthority.make(t, clusterName)
const directory = t.testdir()
const revocationFile = join(directory, 'denied')
const { gossipKeyFile } = authorityFiles(authority.directory)
const files = await authority.issue(node)
const manager = ClusterNetworkManager.create({
  preset: 'local',
  engine: sqliteEngine(),
  config: {
    node: { id: 'n1', listenAddress: '127.0.0.1:0', dataDirectory: join(directory, 'n1') },
    cluster: { name: clusterName, bootstrap: { voters: ['n1'] } },
    security: { ...files, gossipKeyFile, revocationFile }
  }
})
t.teardown(() => manager.stop({ drain: false }))
await manager.start()

type Given = Omit<ConnectOptions, 'addresses' | 'clusterName'> & { readonly clusterName?: string }

const connect = (given: Given) =>
  SkeinClient.connect({
    addresses: [manager.getClusterView().address],
    clusterName,
    connectTimeoutMs: 1_500,
    ...given
  })

t.test('a client with a certificate of the cluster, in files or as texts', async (t) => {
  const issued = await authority.issue(clientOf('app'))
  const { certificateFile, keyFile, caFile } = issued
  const fromFiles = await connect({ certificateFile, keyFile, caFile })
  t.teardown(() => fromFiles.close())
  t.same((await fromFiles.query('SELECT 1 AS one')).rows, [[1]])
  const [certificate, key, ca] = await Promise.all(
    [certificateFile, keyFile, caFile].map((file) => readFile(file, 'utf8'))
  )
  const fromTexts = await connect({ certificate, key, ca })
  t.teardown(() => fromTexts.close())
  t.same((await fromTexts.query('SELECT 2 AS two')).rows, [[2]])
})

t.test('skein query asks a node itself, with a client certificate', async (t) => {
  const { certificateFile, keyFile, caFile } = await authority.issue(clientOf('operator'))
  const { status, stdout, stderr } = await skein(
    ...[
      'query',
      'SELECT ? AS big, NULL AS none',
      '--params',
      '[{"$int":"9007199254740993"}]',
      '--json'
    ],
    ...['--connect', manager.getClusterView().address, '--ca-file', caFile],
    ...['--cert-file', certificateFile, '--key-file', keyFile]
  )
  t.equal(status, 0, stderr)
  t.match(JSON.parse(stdout), { rows: [[{ $int: '9007199254740993' }, null]], node: 'n1' })
})

t.test('X-02: without a certificate nobody is a client', async (t) => {
  await t.rejects(connect({}), { code: 'ERR_SKEIN_INVALID_CONFIG' })
  await t.rejects(connect({ insecure: true }), { code: 'ERR_SKEIN_JOIN_FAILED' })
})

t.test('a certificate of another cluster, or of a node, is refused', async (t) => {
  const foreign = await TestAuthority.make(t, clusterName)
  const ofStranger = await foreign.issue(clientOf('app'))
  await t.rejects(connect(ofStranger), { code: 'ERR_SKEIN_JOIN_FAILED' }, 'by another authority')
  const { caFile } = await authority.issue(clientOf('unused'))
  await t.rejects(connect({ ...ofStranger, caFile }), { code: 'ERR_SKEIN_CERTIFICATE' })
  const pond = await TestAuthority.make(t, 'pond')
  const ofNode = await pond.issue({ kind: 'node', nodeId: toNodeId('n1'), clusterName: 'pond' })
  await t.rejects(connect(ofNode), { code: 'ERR_SKEIN_CERTIFICATE' })
  await t.rejects(connect(files), { code: 'ERR_SKEIN_CERTIFICATE' }, 'a node is no client')
  const other = await pond.issue(clientOf('app', 'pond'))
  await t.rejects(connect({ ...other, clusterName: 'pond' }), { code: 'ERR_SKEIN_JOIN_FAILED' })
})

t.test('a revoked client is cut off, and let in again when the list says so', async (t) => {
  const issued = await authority.issue(clientOf('thief'))
  const client = await connect({ ...issued, timeoutMs: 1_000 })
  t.teardown(() => client.close())
  t.same((await client.query('SELECT 1 AS one')).rows, [[1]])
  await writeFile(revocationFile, 'client thief\n')
  await manager.security.reloadCertificates()
  await until('it is cut off', 5_000, async () => {
    const cut = await client.query('SELECT 1 AS one').then(
      () => false,
      () => true
    )
    return cut
  })
  await t.rejects(connect(issued), { code: 'ERR_SKEIN_JOIN_FAILED' })
  await writeFile(revocationFile, '')
  await manager.security.reloadCertificates()
  await until('it is let in again', 10_000, async () => {
    const { rows } = await client.query('SELECT 1 AS one')
    return rows.length === 1
  })
})

t.test('a renewed certificate is taken without a pause; another name is not', async (t) => {
  const issued = await authority.issue(clientOf('app'))
  const client = await connect(issued)
  t.teardown(() => client.close())
  await authority.issue(clientOf('app'))
  await client.reloadCertificates()
  t.same((await client.query('SELECT 1 AS one')).rows, [[1]])
  const another = await authority.issue(clientOf('other'))
  await writeFile(issued.certificateFile, await readFile(another.certificateFile))
  await writeFile(issued.keyFile, await readFile(another.keyFile))
  await t.rejects(client.reloadCertificates(), { code: 'ERR_SKEIN_CERTIFICATE' })
  t.same((await client.query('SELECT 1 AS one')).rows, [[1]])
})
