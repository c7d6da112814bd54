/**
 * Certificates, revocation and gossip keys of a cluster of real processes, changed under load by
 * the commands that an operator uses.
 */
import { copyFile, readFile, rename } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { type GossipKeysReport, toNodeId, type WallMs } from '../../src/core/index.js'
import { inspectCertificate, issuePeer, peerFiles, revoke } from '../../src/network/index.js'
import { nodeClock, readTlsMaterial } from '../../src/runtime/index.js'
import { ProcessCluster, pause, until } from '../support/process-cluster.js'
import { RawPeer } from '../support/raw-peer.js'
import { skein } from '../support/run-skein.js'

const clusterName = 'demo'
/** Far above the five seconds that `unit/network/security/trust.test.ts` proves by virtual time. */
const noticedWithinMs = 30_000
/** Between a client's requests: without it they take all there is of the processors. */
const thinkMs = 100
/** Of a record with a ClientHello of 508 bytes: who gets no further is refused by time alone. */
const helloBegins = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]
const clock = nodeClock()

const consensus = { electionTimeoutMinMs: 2_000, electionTimeoutMaxMs: 4_000 }
const revocationFile = 'revoked.pem'
const cluster = await ProcessCluster.start(t, 4, (directory) => ({
  consensus,
  security: { linkAgeMaxMs: 4_000, revocationFile: join(directory, revocationFile) }
}))
const certificates = cluster.certificates()
const leader = await cluster.leader()
const [n1, n2, victim] = [leader, ...cluster.others(leader)] as [string, string, string, string]
const sleeper = cluster.others(n1, n2, victim)[0] as string
await cluster.run(leader, 'CREATE TABLE event (id INTEGER PRIMARY KEY, note TEXT)')

const nodePeer = (id: string) => ({ kind: 'node', nodeId: toNodeId(id), clusterName }) as const
const connectionTo = (id: string): string[] => [
  '--admin',
  cluster.node(id).options.admin,
  '--token-file',
  cluster.workspace.authority.tokenFile
]
const security = (id: string, name: string) => cluster.metric(id, 'security', name)
const communication = (id: string, name: string) => cluster.metric(id, 'communication', name)

/** Writes and reads through every node until `stop`; answers what failed. */
function load(t: { teardown(handler: () => void): void }, ids: readonly string[]) {
  let isOver = false
  t.teardown(() => {
    isOver = true
  })
  let asked = 0
  const failures: unknown[] = []
  const worker = async (id: string) => {
    for (let i = 0; !isOver; i++) {
      const sql =
        i % 2 === 0
          ? "INSERT INTO event (note) VALUES ('load')"
          : 'SELECT count(*) FROM event WHERE note = 1'
      asked++
      const outcome = await cluster.query(id, sql)
      if (outcome.kind !== 'answer') failures.push({ id, sql, outcome })
      await pause(thinkMs)
    }
  }
  const workers = ids.flatMap((id) => [worker(id), worker(id), worker(id)])
  return {
    async stop() {
      isOver = true
      await Promise.all(workers)
      return { asked, failures }
    }
  }
}

t.test('X-50 certificates rotated under load: no request fails, no link is dropped', async (t) => {
  const before = await Promise.all(
    cluster.ids.map(async (id) => ({
      id,
      errors: await communication(id, 'connection_errors'),
      renewed: await communication(id, 'connections_renewed'),
      serial: (await inspectCertificate(peerFiles(certificates, nodePeer(id)).certificateFile))
        .serialNumber
    }))
  )
  const running = load(t, cluster.ids)
  const rotated = await skein(
    ...['certs', 'rotate', '--dir', certificates, '--tell', '--json'],
    ...connectionTo(n1)
  )
  t.equal(rotated.status, 0, rotated.stderr)
  t.match(JSON.parse(rotated.stdout), { told: { nodes: 4, responses: 4, errors: [] } })
  await until('every link was replaced', 30_000, async () => {
    const now = await Promise.all(cluster.ids.map((id) => communication(id, 'connections_renewed')))
    return now.every((renewed, i) => renewed >= (before[i]?.renewed ?? 0) + 6)
  })
  const { asked, failures } = await running.stop()
  t.same(failures, [], `${asked} requests`)
  t.comment(`${asked} requests while certificates were rotated and links replaced`)
  for (const { id, errors, serial } of before) {
    t.equal(await communication(id, 'connection_errors'), errors, `${id} dropped no link`)
    t.equal(await security(id, 'certificate_reloads'), 1)
    const { certificateFile } = peerFiles(certificates, nodePeer(id))
    t.not((await inspectCertificate(certificateFile)).serialNumber, serial)
  }
  t.same(cluster.unexpectedExits, [])
})

t.test('a pair that does not fit is refused by the node, which goes on', async (t) => {
  const { certificateFile } = peerFiles(certificates, nodePeer(n1))
  const other = peerFiles(certificates, nodePeer(n2))
  await copyFile(certificateFile, `${certificateFile}.kept`)
  await copyFile(other.certificateFile, `${certificateFile}.wrong`)
  await rename(`${certificateFile}.wrong`, certificateFile)
  await until('it is noticed', 10_000, async () => {
    return (await security(n1, 'certificate_reloads_failed')) >= 1
  })
  const report = await skein('health', ...connectionTo(n1))
  t.equal(report.status, 1)
  t.match(report.stdout, /certificate.*not taken/)
  t.match(await cluster.run(n1, 'SELECT 1'), { rows: [[1]] })
  await rename(`${certificateFile}.kept`, certificateFile)
  await until('it is well again', 10_000, async () => {
    return (await skein('health', ...connectionTo(n1))).stdout.includes('ends in')
  })
})

t.test('X-49 X-28 gossip keys rotated by one command, resumed by another', async (t) => {
  const begun = await skein('keys', 'install', '--json', ...connectionTo(n1))
  t.equal(begun.status, 0, begun.stderr)
  const rotated = await skein('keys', 'rotate', '--json', ...connectionTo(n2))
  t.equal(rotated.status, 0, rotated.stderr)
  const report = JSON.parse(rotated.stdout) as GossipKeysReport
  t.match(report, { nodes: 4, responses: 4, errors: [], rotating: null })
  t.equal(report.keys.length, 1)
  t.match(
    rotated.stderr,
    /installed [0-9a-f]{8}\nusing [0-9a-f]{8}\n(removed [0-9a-f]{8}\n){2}only/
  )
  for (const id of cluster.ids) {
    t.equal(await security(id, 'datagrams_refused_wrong_key'), 0, `${id} understood everything`)
    const view = await cluster.view(id)
    t.same(
      view.members.filter(({ liveness }) => liveness !== 'alive'),
      []
    )
  }
  const primary = await skein('keys', 'remove', report.primary, ...connectionTo(n1))
  t.equal(primary.status, 1)
  t.match(primary.stderr, 'ERR_SKEIN_KEY_CHANGE_REFUSED')
})

t.test('X-16 half-open connections, dribbling and many: members are not disturbed', async (t) => {
  const running = load(t, [n1, n2])
  const port = cluster.port(n1)
  const before = await security(n1, 'refused_too_many')
  const sockets = Array.from({ length: 400 }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => socket.destroy())
    socket.resume()
    return socket
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  let dribbled = 0
  const dribble = setInterval(() => {
    const byte = Buffer.from([helloBegins[dribbled++] ?? 0])
    for (const socket of sockets) if (socket.writable) socket.write(byte)
  }, 200)
  t.teardown(() => clearInterval(dribble))
  await Promise.all(
    sockets.map(
      (socket) => socket.closed || new Promise((resolve) => socket.once('close', resolve))
    )
  )
  clearInterval(dribble)
  const { failures } = await running.stop()
  t.same(failures, [])
  t.ok((await security(n1, 'refused_too_many')) > before)
})

t.test('X-11 X-12 a client is cut by the file of the node that it is connected to', async (t) => {
  const app = { kind: 'client', name: 'app', clusterName } as const
  const validity = { now: Date.now() as WallMs, days: 1 }
  const files = await issuePeer(certificates, { peer: app }, validity)
  const { caFile } = cluster.workspace.authority
  const material = await readTlsMaterial({ ...files, caFile }, clock.wallNow())
  const target = { material, address: cluster.node(n1).options.address, nodeId: toNodeId(n1) }
  const peer = await RawPeer.connect(t, target)
  await peer.opened
  const { revocationFile: list } = await revoke(certificates, { peer: app }, validity)
  const place = join(cluster.workspace.directory, n1, revocationFile)
  await copyFile(list, `${place}.new`)
  const began = clock.now()
  await rename(`${place}.new`, place)
  await peer.closed
  const tookMs = clock.now() - began
  t.comment(`cut after ${Math.round(tookMs)} ms`)
  await t.rejects(RawPeer.connect(t, target))
  t.equal(await security(n1, 'refused_revoked'), 1)
  await until('the others have it too', noticedWithinMs, async () => {
    const taken = await Promise.all(cluster.ids.map((id) => security(id, 'revocation_lists_taken')))
    return taken.every((count) => count >= 1)
  })
})

t.test('X-14 a removed node has no vote left, though its certificate is good', async (t) => {
  const removed = await skein('members', 'remove', victim, '--json', ...connectionTo(n1))
  t.equal(removed.status, 0, removed.stderr)
  await until('no group of any other counts it', 20_000, async () => {
    const views = await Promise.all([n1, n2, sleeper].map((id) => cluster.view(id)))
    return views.every(({ groups }) =>
      groups.every(({ voters }) => !voters.includes(toNodeId(victim)))
    )
  })
  const { term } = await cluster.group(n1)
  const countAt = async (id: string) =>
    Number((await cluster.run(id, 'SELECT count(*) FROM event')).rows[0]?.[0])
  const before = await countAt(n1)
  const asked = await cluster.run(victim, "INSERT INTO event (note) VALUES ('by way of it')")
  t.equal(asked.rowsAffected, 1, 'still a member: it passes requests on')
  t.equal(await countAt(n1), before + 1)
  t.equal((await cluster.group(n1)).term, term, 'it stands for no election')
})

t.test('X-11 X-14 a revoked node is cut everywhere in time, also by who was down', async (t) => {
  await cluster.kill(sleeper)
  const began = clock.now()
  const told = await skein(
    ...['certs', 'revoke', '--dir', certificates, '--node', victim, '--tell', '--json'],
    ...connectionTo(n1)
  )
  const { told: report } = JSON.parse(told.stdout)
  t.ok(report.responses >= 2, told.stdout)
  t.ok(report.errors.some(({ nodeId }: { nodeId: string }) => nodeId === sleeper))
  await until('both have cut it', noticedWithinMs, async () => {
    const cuts = await Promise.all([n1, n2].map((id) => security(id, 'links_cut_revoked')))
    return cuts.every((count) => count >= 1)
  })
  const tookMs = clock.now() - began
  t.comment(`cut everywhere ${Math.round(tookMs)} ms after the command was typed`)
  await until('it is refused when it tries again', 20_000, async () => {
    const refused = await Promise.all(
      [n1, n2].map(
        async (id) =>
          (await security(id, 'refused_revoked')) + (await security(id, 'dials_refused_identity'))
      )
    )
    return refused.every((count) => count >= 1)
  })
  await cluster.node(sleeper).start()
  await until('who was down knows it', 20_000, async () => {
    return (await security(sleeper, 'revoked_certificates_current')) >= 2
  })
  await until('and the others go on without the victim', 30_000, async () => {
    const { rowsAffected } = await cluster.run(n2, "INSERT INTO event (note) VALUES ('after')")
    return rowsAffected === 1
  })
  const list = await readFile(join(cluster.workspace.directory, sleeper, 'security/revocations'))
  t.ok(list.length > 100, 'on its disk')
})
