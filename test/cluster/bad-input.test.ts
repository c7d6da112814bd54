/**
 * Everything that may reach a node and should not have been sent: each gets its coded answer or
 * none, is counted, and changes nothing. Three real processes; a follower is attacked and the
 * leader too.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import {
  type ClusterId,
  type PeerIdentity,
  Priorities,
  silentLogger,
  toNodeId,
  type WallMs
} from '../../src/core/index.js'
import { issuePeer, readGossipKeys } from '../../src/network/index.js'
import { PacketWriter } from '../../src/network/membership/messages.js'
import { DatagramSealer } from '../../src/network/security/datagram-sealer.js'
import { issueLeaf } from '../../src/network/security/x509-store.js'
import { placement } from '../../src/routing/messages.js'
import {
  nodeClock,
  nodeCrypto,
  readTlsMaterial,
  type TlsMaterial,
  TlsStreamNetwork
} from '../../src/runtime/index.js'
import { declareMessage, declareRequest, openStruct, u32 } from '../../src/wire/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { RawPeer } from '../support/raw-peer.js'
import { skein, skeinProcess } from '../support/run-skein.js'
import { TestAuthority } from '../support/test-authority.js'

const clusterName = 'demo'
const dayMs = 86_400_000
const countedWithinMs = 10_000

// Unhurried, so that a busy machine alone elects nobody: terms are compared.
const consensus = { electionTimeoutMinMs: 2_000, electionTimeoutMaxMs: 4_000 }
const cluster = await ProcessCluster.start(t, 3, { consensus })
const leader = await cluster.leader()
const [follower, otherFollower] = cluster.others(leader) as [string, string]
await cluster.run(leader, 'CREATE TABLE event (id INTEGER PRIMARY KEY, note TEXT)')
const { caFile, caKeyFile, gossipKeyFile } = cluster.workspace.authority
let eventIds = 0
/** Of each kind. */
const namesTried = 64

const nodePeer = (id: string): PeerIdentity => ({
  kind: 'node',
  nodeId: toNodeId(id),
  clusterName
})
const clientPeer: PeerIdentity = { kind: 'client', name: 'app', clusterName }
const stranger = await material(nodePeer('stranger'))
const client = await material(clientPeer)

/** Of the cluster's own authority. */
async function material(peer: PeerIdentity, at = Date.now(), days = 30): Promise<TlsMaterial> {
  const validity = { now: at as WallMs, days }
  const files = await issuePeer(cluster.certificates(), { peer }, validity)
  return readTlsMaterial({ ...files, caFile }, at as WallMs)
}

interface State {
  readonly checksums: unknown
  readonly terms: unknown
  readonly members: unknown
}

async function stateOf(): Promise<State> {
  await until('all replicas are the same', 10_000, async () => {
    const sums = await Promise.all(cluster.ids.map((id) => cluster.checksum(id)))
    return new Set(sums.map(({ index, hash }) => `${index} ${hash}`)).size === 1
  })
  const views = await Promise.all(cluster.ids.map((id) => cluster.view(id)))
  return {
    checksums: await Promise.all(cluster.ids.map((id) => cluster.checksum(id))),
    terms: views.map(({ groups: [data] }) => ({ term: data?.term, leader: data?.leader })),
    members: views.map(({ members }) =>
      members.map(({ nodeId, liveness, lifecycle }) => `${nodeId} ${liveness} ${lifecycle}`).sort()
    )
  }
}

/** Runs an attack; the cluster must be what it was, and take a write afterwards. */
function attack(name: string, run: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = await stateOf()
    await run(t)
    t.same(await stateOf(), before, 'nothing has changed')
    const { rowsAffected } = await cluster.run(
      follower,
      `INSERT INTO event VALUES (${++eventIds}, 'after')`
    )
    t.equal(rowsAffected, 1, 'a write works')
    t.same(cluster.unexpectedExits, [])
  })
}

type Expected = Readonly<Record<string, number>>

/** Runs it and waits until each counter of the category has risen by so much, and not more. */
async function counted(
  t: Test,
  at: { readonly node: string; readonly category: string; readonly expected: Expected },
  run: () => Promise<void>
): Promise<void> {
  const { node, category, expected } = at
  const names = Object.keys(expected)
  const read = async () => (await cluster.metrics(node))[category] ?? {}
  const before = await read()
  const risen = async (): Promise<Record<string, number>> => {
    const after = await read()
    return Object.fromEntries(
      names.map((name) => [name, (after[name] ?? Number.NaN) - (before[name] ?? Number.NaN)])
    )
  }
  await run()
  let last = {}
  await until(`${node} counts ${JSON.stringify(expected)}`, countedWithinMs, async () => {
    last = await risen()
    return JSON.stringify(last) === JSON.stringify(expected)
  }).catch(() => {})
  t.same(last, expected, `counted by ${node}`)
}

t.test('a wrong configuration lists all its faults at once and ends with 2', async (t) => {
  const file = join(t.testdir(), 'wrong.json')
  const own = JSON.parse(await readFile(cluster.configFile(follower), 'utf8'))
  const wrong = {
    ...own,
    node: { ...own.node, id: 'A B', listenAdress: 'typo' },
    consensus: { heartbeatIntervalMs: 'soon', clientAnswersMax: 16 },
    routing: { strategy: 'fastest', retriesMax: -1 },
    security: { certificateFile: own.security.certificateFile },
    admin: { listenAddress: '0.0.0.0:0' }
  }
  await writeFile(file, JSON.stringify(wrong))
  const { status, stderr } = await skeinProcess('node', '--config', file)
  t.equal(status, 2)
  t.match(stderr, 'ERR_SKEIN_INVALID_CONFIG')
  for (const path of [
    'node.id',
    'listenAdress',
    'consensus.heartbeatIntervalMs',
    'consensus.clientAnswersMax',
    'routing.strategy',
    'routing.retriesMax',
    'security',
    'admin.tokenFile'
  ]) {
    t.match(stderr, path, path)
  }
})

t.test('a node with a certificate or key that is not right does not start', async (t) => {
  const directory = t.testdir()
  const own = JSON.parse(await readFile(cluster.configFile(follower), 'utf8'))
  const other = JSON.parse(await readFile(cluster.configFile(otherFollower), 'utf8'))
  const open = join(directory, 'open.key')
  await copyFile(own.security.keyFile, open)
  await chmod(open, 0o644)
  const expiredAt = Date.now() - 10 * dayMs
  const expired = await issuePeer(
    cluster.certificates(),
    { peer: nodePeer('expired') },
    { now: expiredAt as WallMs, days: 5 }
  )
  const { certificateFile, keyFile } = other.security
  const cases = {
    foreign: { certificateFile, keyFile },
    mixed: { certificateFile },
    open: { keyFile: open },
    expired,
    missing: { gossipKeyFile: join(directory, 'nothing.key') }
  }
  const start = async ([name, change]: readonly [string, object]) => {
    const file = join(directory, `${name}.json`)
    const dataDirectory = join(directory, name)
    const node = { ...own.node, listenAddress: '127.0.0.1:0', dataDirectory }
    const admin = { ...own.admin, listenAddress: '127.0.0.1:0' }
    const security = { ...own.security, ...change }
    await writeFile(file, JSON.stringify({ ...own, node, admin, security }))
    const { status, stderr } = await skeinProcess('node', '--config', file)
    t.equal(status, 1, name)
    t.match(stderr, 'skein: ERR_SKEIN_CERTIFICATE', name)
  }
  await Promise.all(Object.entries(cases).map(start))
})

/** A TLS peer that none of the product made, until its connection is closed. */
function strangeTls(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['skein/1'],
    ...options
  })
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.on('error', () => socket.destroy())
  return new Promise((resolve) => socket.once('close', () => resolve(received)))
}

function strangeTcp(port: number, bytes: Buffer): Promise<void> {
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => socket.destroy())
  socket.resume()
  socket.write(bytes)
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

const credentials = ({ certificate, key }: TlsMaterial) => ({ cert: certificate, key })

/** Signed by the cluster's own authority, in the name of another cluster's node. */
async function foreignName(): Promise<ConnectionOptions> {
  const [certificate, key] = await Promise.all([readFile(caFile), readFile(caKeyFile)])
  const issued = await issueLeaf(
    { certificate: new X509Certificate(certificate), key: createPrivateKey(key) },
    {
      commonName: leader,
      uri: `spiffe://elsewhere/node/${leader}`,
      dnsNames: [],
      ipAddresses: [],
      listens: true
    },
    { now: Date.now() as WallMs, days: 1 }
  )
  return { cert: issued.certificate, key: issued.key }
}

attack('X-01…X-05 peers whose TLS is not right are not let in', async (t) => {
  const other = await TestAuthority.make(t, clusterName)
  const old = await material(nodePeer('expired'), Date.now() - 10 * dayMs, 5)
  for (const node of [leader, follower]) {
    const port = cluster.port(node)
    const none = { node, category: 'security' }
    const tls = async (name: string, options: ConnectionOptions) => {
      await counted(t, { ...none, expected: { [name]: 1, handshakes_accepted: 0 } }, async () => {
        t.equal(await strangeTls(port, options), '', `${name}: not a byte is said`)
      })
    }
    await tls('refused_untrusted', credentials(await other.material(nodePeer(otherFollower))))
    await tls('refused_no_certificate', {})
    await tls('refused_expired', credentials(old))
    await tls('refused_version', {
      ...credentials(stranger),
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2'
    })
    await tls('refused_version', { ...credentials(stranger), ALPNProtocols: ['h2'] })
    await tls('refused_identity', await foreignName())
    await counted(t, { ...none, expected: { refused_protocol: 2 } }, async () => {
      await strangeTcp(port, Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'))
      await strangeTcp(port, Buffer.alloc(4_096, 0xff))
    })
  }
  const slow = { node: follower, category: 'security', expected: { refused_timeout: 1 } }
  await counted(t, slow, async () => {
    // The beginning of a longer record, of which no more comes.
    await strangeTcp(cluster.port(follower), Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]))
  })
})

const fourGiB = new Uint8Array(64).fill(0xff)

attack('X-18 a length of 4 GiB closes the connection before anything is allocated', async (t) => {
  for (const [node, own] of [
    [leader, stranger],
    [follower, client]
  ] as const) {
    const target = {
      material: own,
      address: cluster.node(node).options.address,
      nodeId: toNodeId(node)
    }
    const expected = { protocol_errors: 2, connection_errors: 2 }
    await counted(t, { node, category: 'communication', expected }, async () => {
      const unspoken = await RawPeer.connect(t, { ...target, speaks: false })
      unspoken.sendBytes(fourGiB)
      await unspoken.closed
      const peer = await RawPeer.connect(t, target)
      await peer.opened
      peer.sendBytes(fourGiB)
      await peer.closed
      t.match(peer.lastWords?.message, /frame length 4294967295, allowed 28 to 65532/)
    })
  }
})

attack('X-12 a Hello in another name than the certificate is refused', async (t) => {
  const expected = { handshakes_refused: 3 }
  await counted(t, { node: leader, category: 'communication', expected }, async () => {
    for (const claim of [
      nodePeer(follower),
      { ...nodePeer('stranger'), clusterName: 'elsewhere' },
      clientPeer
    ] as const) {
      const peer = await RawPeer.connect(t, {
        material: stranger,
        address: cluster.node(leader).options.address,
        nodeId: toNodeId(leader),
        claim
      })
      await peer.closed
      t.match(peer.lastWords, { code: /ERR_SKEIN_(PEER_IDENTITY|HANDSHAKE_REFUSED)/ })
    }
  })
})

const unknownRequest = declareRequest({
  number: 0x7ffe,
  name: 'Unheard',
  priority: Priorities.Normal,
  senders: ['client'],
  body: openStruct({ count: u32 }),
  answer: openStruct({}),
  about: 'For tests.'
})
/** The number of a message between members. */
const forbidden = declareMessage({
  number: 0x0200,
  name: 'Forbidden',
  priority: Priorities.Normal,
  senders: ['client'],
  body: openStruct({ count: u32 }),
  about: 'For tests.'
})

attack('X-20, X-27 unknown messages and those of another role are answered by code', async (t) => {
  for (const node of [leader, follower]) {
    const target = { address: cluster.node(node).options.address, nodeId: toNodeId(node) }
    const peer = await RawPeer.connect(t, { ...target, material: client })
    await peer.opened
    const unknown = { unknown_messages: 1, protocol_errors: 0 }
    await counted(t, { node, category: 'communication', expected: unknown }, async () => {
      await t.rejects(peer.request(unknownRequest, { count: 1 }), {
        code: 'ERR_SKEIN_UNKNOWN_MESSAGE'
      })
    })
    t.match(await peer.request(placement, {}), { groups: [{ leader }] }, 'the connection goes on')
    const unauthorized = { unauthorized_messages: 3, connection_errors: 1 }
    await counted(t, { node, category: 'communication', expected: unauthorized }, async () => {
      peer.send(forbidden, { count: 1 })
      peer.send(forbidden, { count: 2 })
      await until('both are answered', 5_000, async () => peer.rejected.length === 2)
      await t.rejects(peer.request({ ...unknownRequest, number: 0x0202 }, { count: 3 }))
      await peer.closed
    })
    t.same(
      peer.rejected.map(({ code }) => code),
      Array(2).fill('ERR_SKEIN_NOT_AUTHORIZED')
    )
    t.match(peer.lastWords?.message, /a client may not send/)
  }
})

attack('X-28, X-29, X-30 datagrams that are not a member’s change nothing', async (t) => {
  const keys = await readGossipKeys(gossipKeyFile)
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  const { clusterId } = await cluster.view(leader)
  const accusation = new PacketWriter()
    .write(clusterId as ClusterId, [
      {
        kind: 'dead',
        nodeId: toNodeId(otherFollower),
        incarnation: 9 as never,
        accuser: toNodeId(follower)
      }
    ])
    .slice()
  const boot = Date.now() + 3_600_000
  const sealerOf = (change: object, bootNumber = boot) =>
    new DatagramSealer(
      nodeCrypto(),
      { nodeId: toNodeId('stranger'), clusterName, gossipKeys: keys, ...change },
      bootNumber
    )
  for (const node of [leader, follower]) {
    const send = (bytes: Uint8Array) =>
      new Promise<void>((resolve, reject) => {
        socket.send(bytes, cluster.port(node), '127.0.0.1', (error) =>
          error ? reject(error) : resolve()
        )
      })
    // Sealed with the right key: opened once, and no part of it makes sense.
    const nonsense = sealerOf({}).seal(new Uint8Array(200).fill(0xee)).slice()
    const genuine = sealerOf({}, boot + 2)
      .seal(accusation)
      .slice()
    const flipped = genuine.with(genuine.length - 1, (genuine.at(-1) as number) ^ 1)
    const expected = {
      datagrams_refused_wrong_key: 2,
      datagrams_refused_malformed: 1,
      datagrams_refused_replayed: 2,
      datagrams_refused_truncated: 2,
      datagrams_refused_forged: 2,
      datagrams_refused_foreign_cluster: 1,
      datagrams_refused_oversized: 1,
      datagrams_refused_unknown_version: 1,
      datagrams_refused_reflected: 1,
      datagrams_refused_old_boot: 1
    }
    await counted(t, { node, category: 'security', expected }, async () => {
      await send(sealerOf({ gossipKeys: [new Uint8Array(32).fill(8)] }).seal(accusation))
      await send(sealerOf({ gossipKeys: null }).seal(accusation))
      await send(nonsense)
      await send(nonsense)
      await send(nonsense)
      await send(genuine.subarray(0, 20))
      await send(new Uint8Array(0))
      await send(flipped.with(flipped.length - 1, 1 ^ (flipped.at(-1) as number)).with(60, 0xff))
      await send(
        sealerOf({}, boot + 1)
          .seal(accusation)
          .slice(0, -1)
      )
      await send(sealerOf({ clusterName: 'elsewhere' }).seal(accusation))
      await send(new Uint8Array(1_500).fill(1))
      await send(new Uint8Array(100).fill(0x77))
      await send(sealerOf({ nodeId: toNodeId(node) }).seal(accusation))
      await send(sealerOf({}, 1).seal(accusation))
    })
  }
})

/** What is not taken, and the code that says so. */
const refusedStatements: readonly (readonly [sql: string, code: string])[] = [
  ["ATTACH 'other.db' AS other", 'ERR_SKEIN_SQL_REFUSED'],
  ['DETACH main', 'ERR_SKEIN_SQL_REFUSED'],
  ['VACUUM', 'ERR_SKEIN_SQL_REFUSED'],
  ["VACUUM INTO '/tmp/copy.db'", 'ERR_SKEIN_SQL_REFUSED'],
  ['REINDEX', 'ERR_SKEIN_SQL_REFUSED'],
  ['PRAGMA writable_schema = 1', 'ERR_SKEIN_SQL_REFUSED'],
  ['PRAGMA journal_mode = DELETE', 'ERR_SKEIN_SQL_REFUSED'],
  ['PRAGMA foreign_keys(0)', 'ERR_SKEIN_SQL_REFUSED'],
  ['BEGIN', 'ERR_SKEIN_SQL_REFUSED'],
  ['COMMIT', 'ERR_SKEIN_SQL_REFUSED'],
  ['ROLLBACK', 'ERR_SKEIN_SQL_REFUSED'],
  ['SAVEPOINT s', 'ERR_SKEIN_SQL_REFUSED'],
  ["SELECT load_extension('evil.so')", 'ERR_SKEIN_SQL_REFUSED'],
  ['SELECT "load_extension"(\'evil.so\')', 'ERR_SKEIN_SQL_REFUSED'],
  ['CREATE TEMP TABLE secret (id)', 'ERR_SKEIN_SQL_REFUSED'],
  ['CREATE TEMPORARY VIEW secret AS SELECT 1', 'ERR_SKEIN_SQL_REFUSED'],
  ['CREATE VIRTUAL TABLE words USING fts5(body)', 'ERR_SKEIN_SQL_REFUSED'],
  ['DELETE FROM event; DELETE FROM event', 'ERR_SKEIN_SQL_REFUSED'],
  ['SELECT 1; DROP TABLE event', 'ERR_SKEIN_SQL_REFUSED'],
  ['SELECT * FROM _skein_system', 'ERR_SKEIN_SQL_REFUSED'],
  ['DELETE FROM "_skein_system"', 'ERR_SKEIN_SQL_REFUSED'],
  ['DROP TABLE _skein_state', 'ERR_SKEIN_SQL_REFUSED'],
  ['DELETE FROM sqlite_sequence', 'ERR_SKEIN_SQL_REFUSED'],
  ["UPDATE sqlite_schema SET sql = ''", 'ERR_SKEIN_SQL_REFUSED'],
  ['INSERT OR ROLLBACK INTO event VALUES (1, 0)', 'ERR_SKEIN_SQL_REFUSED'],
  ['CREATE TABLE late (a REFERENCES event DEFERRABLE INITIALLY DEFERRED)', 'ERR_SKEIN_SQL_REFUSED'],
  [
    'CREATE TRIGGER g AFTER INSERT ON event BEGIN SELECT 1; END; DROP TABLE event',
    'ERR_SKEIN_SQL_REFUSED'
  ],
  ['ALTER TABLE event RENAME TO _skein_event', 'ERR_SKEIN_SQL_REFUSED'],
  ['EXPLAIN DROP TABLE event', 'ERR_SKEIN_SQL_REFUSED']
]
const wrongStatements: readonly (readonly [sql: string, code: string])[] = [
  ['', 'ERR_SKEIN_INVALID_ARGUMENT'],
  [' ; -- nothing', 'ERR_SKEIN_SQL'],
  ['SELEC 1', 'ERR_SKEIN_SQL'],
  ['SELECT * FROM nowhere', 'ERR_SKEIN_SQL'],
  ['INSERT INTO event VALUES (1)', 'ERR_SKEIN_SQL'],
  ["INSERT INTO event VALUES ('no number', 0)", 'ERR_SKEIN_SQL'],
  ['INSERT INTO event SELECT id, 0 FROM event', 'ERR_SKEIN_SQL_CONSTRAINT'],
  ['SELECT hex(zeroblob(600000))', 'ERR_SKEIN_RESULT_TOO_LARGE'],
  [
    "INSERT INTO event VALUES (999, '') RETURNING hex(zeroblob(600000))",
    'ERR_SKEIN_RESULT_TOO_LARGE'
  ],
  ['INSERT INTO event VALUES (999, hex(zeroblob(500000)))', 'ERR_SKEIN_COMMAND_TOO_LARGE']
]

attack('SQL that is not taken, through the admin API of each node', async (t) => {
  for (const node of [leader, follower]) {
    const expected = { statements_refused: refusedStatements.length }
    await counted(t, { node, category: 'load_balancer', expected }, async () => {
      for (const [sql, code] of [...refusedStatements, ...wrongStatements]) {
        const outcome = await cluster.query(node, sql)
        t.match(outcome, { kind: 'refused', error: { code, retryable: false } }, sql)
      }
    })
    const list = { statements: [{ sql: 'DELETE FROM event' }, { sql: 'VACUUM' }] }
    const outcome = await cluster.admin(node).post('/v1/query', list, 5_000)
    t.match(outcome, { kind: 'refused', error: { code: 'ERR_SKEIN_SQL_REFUSED' } })
  }
})

attack('SQL that is not taken, through the command', async (t) => {
  const connection = [
    '--admin',
    cluster.node(follower).options.admin,
    '--token-file',
    cluster.workspace.authority.tokenFile
  ]
  // The rest goes through the admin API, which is what the command asks.
  const some = [refusedStatements[0], refusedStatements.at(-1), ['SELEC 1', 'ERR_SKEIN_SQL']]
  for (const [sql = '', code] of some as (typeof refusedStatements)[number][]) {
    const { status, stderr, stdout } = await skein('query', ...connection, sql)
    t.equal(status, 1, sql)
    t.match(stderr, `skein: ${code}: `, sql)
    t.equal(stdout, '')
  }
})

attack('requests that are not right, all their faults by field', async (t) => {
  const { token } = cluster.workspace
  const base = cluster.node(follower).options.admin
  const ask = async (path: string, init: RequestInit = {}, bearer = token) => {
    const headers = { authorization: `Bearer ${bearer}`, ...init.headers }
    const response = await fetch(`${base}${path}`, { ...init, headers })
    return { status: response.status, body: (await response.json()) as object }
  }
  const post = (body: string, path = '/v1/query', type = 'application/json') =>
    ask(path, { method: 'POST', body, headers: { 'content-type': type } })
  const expected = {
    requests_unauthenticated: 2,
    requests_invalid: 4,
    requests_too_large: 1,
    requests_not_found: 2,
    requests_method_not_allowed: 1,
    connections_malformed: 1
  }
  await counted(t, { node: follower, category: 'admin', expected }, async () => {
    const fields = { sql: 7, consistency: 'eventual', timeoutMs: 0, atLeastIndex: -1, colour: 1 }
    const all = await post(JSON.stringify({ ...fields, client: { clientId: '', serial: 0 } }))
    t.match(all, { status: 400, body: { code: 'ERR_SKEIN_INVALID_ARGUMENT' } })
    const { message } = all.body as { message: string }
    for (const field of ['sql', 'consistency', 'timeoutMs', 'atLeastIndex', 'colour', 'client']) {
      t.match(JSON.stringify(all.body), field, `${field} in ${message}`)
    }
    t.match(await post('{"sql":'), { status: 400, body: { code: 'ERR_SKEIN_INVALID_ARGUMENT' } })
    t.match(await post('[]', '/v1/route_query'), { status: 400 })
    t.match(await post('sql=SELECT 1', '/v1/query', 'application/x-www-form-urlencoded'), {
      status: 400
    })
    t.match(await post(JSON.stringify({ sql: 'x'.repeat(3_000_000) })), {
      status: 413,
      body: { code: 'ERR_SKEIN_MESSAGE_TOO_LARGE' }
    })
    for (const wrong of ['wrong', `${token}0`]) {
      t.match(await ask('/v1/cluster', {}, wrong), {
        status: 401,
        body: { code: 'ERR_SKEIN_UNAUTHENTICATED' }
      })
    }
    t.match(await ask('/v1/nothing'), { status: 404, body: { code: 'ERR_SKEIN_NOT_FOUND' } })
    t.match(await ask('/v1/members/nobody'), { status: 404 })
    t.match(await ask('/v1/query'), { status: 405, body: { code: 'ERR_SKEIN_METHOD_NOT_ALLOWED' } })
    await strangeTcp(Number(new URL(base).port), Buffer.alloc(256, 0x16))
  })
  const page = await fetch(`${base}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const text = await page.text()
  for (const name of [
    'admin_requests_unauthenticated',
    'security_refused_untrusted',
    'security_datagrams_refused_replayed',
    'communication_unauthorized_messages',
    'load_balancer_statements_refused'
  ]) {
    t.match(text, new RegExp(`\\nskein_${name}_total [1-9]`), `${name} in /metrics`)
  }
})

t.test('X-46 names that outsiders choose make no new series', async (t) => {
  const { token } = cluster.workspace
  const base = cluster.node(follower).options.admin
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const ask = async (path: string, method = 'GET', body?: object) => {
    const content = body === undefined ? {} : { body: JSON.stringify(body) }
    return (await fetch(`${base}${path}`, { method, headers, ...content })).text()
  }
  const series = async () => {
    const lines = (await ask('/metrics')).split('\n').filter((line) => /^[a-z]/.test(line))
    return lines.map((line) => line.replace(/ \S+$/, '')).sort()
  }
  const before = await series()
  t.ok(before.length > 200, `${before.length} series`)
  for (let i = 0; i < namesTried; i++) {
    await ask(`/v1/${i}/nothing`)
    await ask(`/v1/members/n-${i}`)
    await ask('/v1/routing_strategy', 'PUT', { strategy: `strategy-${i}` })
    await ask('/v1/clients', 'POST', { clientId: `client-${i}` })
    await ask('/v1/query', 'POST', { sql: 'SELECT 1', key: `key-${i}`, session: `session-${i}` })
  }
  const address = cluster.node(follower).options.address
  for (let i = 0; i < 4; i++) {
    const own = await material({ kind: 'client', name: `client-${i}`, clusterName })
    const peer = await RawPeer.connect(t, { material: own, address, nodeId: toNodeId(follower) })
    await peer.opened
    for (let type = 0; type < namesTried; type++) {
      const number = 0x7000 + i * namesTried + type
      const init = { number, name: `T${number}`, priority: Priorities.Normal, about: 'For tests.' }
      peer.send(declareMessage({ ...init, body: openStruct({ count: u32 }) }), { count: 1 })
    }
    await t.rejects(peer.request(unknownRequest, { count: 1 }), {
      code: 'ERR_SKEIN_UNKNOWN_MESSAGE'
    })
  }
  t.same(await series(), before)
  t.same(cluster.unexpectedExits, [])
})

t.test('X-12 another member at the address of one is not taken for it', async (t) => {
  const victim = otherFollower
  const before = await stateOf()
  const address = cluster.node(victim).options.address
  await cluster.kill(victim)
  const impostor = new TlsStreamNetwork(
    { clock: nodeClock(), logger: silentLogger },
    { material: stranger, handshakeTimeoutMs: 2_000, handshakesMax: 16 }
  )
  const listener = await impostor.listen(address, (stream) => stream.destroy())
  t.teardown(() => listener.close())
  const refused = () => cluster.metric(leader, 'security', 'dials_refused_identity')
  const count = await refused()
  await until('the leader dials and refuses it', 15_000, async () => (await refused()) > count)
  await until('the leader hears nothing of the member', 5_000, async () => {
    const { progress } = await cluster.group(leader)
    return progress.find(({ nodeId }) => nodeId === victim)?.active === false
  })
  await cluster.run(follower, `INSERT INTO event VALUES (${++eventIds}, 'meanwhile')`)
  await listener.close()
  await cluster.node(victim).start()
  await until('all are back', 20_000, async () => {
    const { terms, members } = await stateOf()
    return (
      JSON.stringify({ terms, members }) === JSON.stringify({ ...before, checksums: undefined })
    )
  })
  t.same(cluster.unexpectedExits, [])
})
