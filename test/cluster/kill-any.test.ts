/** SIGKILL of each node in turn, the leader among them, while the others are asked and watched. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import type { ClusterAnswer } from '../../src/cli/status-command.js'
import { mainFile } from '../support/main-file.js'
import { ProcessCluster, pause, shippedEngine, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'
import { looksAtAll } from '../support/thoroughness.js'

/** Between a client's operations: the processors are for those who elect and catch up. */
const thinkMs = 40
const noticedWithinMs = 15_000
const caughtUpWithinMs = 20_000

const cluster = await ProcessCluster.start(t, 3, { engine: shippedEngine })
await cluster.run(await cluster.leader(), 'CREATE TABLE event (id INTEGER PRIMARY KEY)')

const connection = (id: string) => [
  '--admin',
  cluster.node(id).options.admin,
  '--token-file',
  cluster.workspace.authority.tokenFile,
  '--json'
]

/** What `skein status` prints on one node. */
async function statusOf(id: string): Promise<ClusterAnswer> {
  const { status, stdout, stderr } = await skein('status', ...connection(id))
  if (status === 0) return JSON.parse(stdout)
  throw new Error(stderr)
}

/** `skein status --watch`, line by line, until the test ends. */
function watch(t: Test, id: string): ClusterAnswer[] {
  const child = spawn(process.execPath, [mainFile, 'status', '--watch', ...connection(id)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await gone
  })
  const seen: ClusterAnswer[] = []
  createInterface({ input: child.stdout }).on('line', (line) => seen.push(JSON.parse(line)))
  return seen
}

const livenessOf = (view: ClusterAnswer | undefined, id: string): string | undefined =>
  view?.members.find(({ nodeId }) => nodeId === id)?.liveness

/** Writes and reads through one node until stopped; each must be done, however long it waits. */
function traffic(node: string, firstId: number) {
  const acknowledged: number[] = []
  const faults: unknown[] = []
  let reads = 0
  let isStopped = false
  const loop = async () => {
    for (let id = firstId; !isStopped; id++) {
      const written = await cluster.query(node, `INSERT INTO event VALUES (${id})`)
      if (written.kind === 'answer') acknowledged.push(id)
      else faults.push({ node, id, written })
      const read = await cluster.query(node, `SELECT id FROM event WHERE id = ${id}`)
      if (read.kind === 'answer') reads++
      else faults.push({ node, id, read })
      await pause(thinkMs)
    }
  }
  const done = loop()
  return {
    acknowledged,
    faults,
    get reads() {
      return reads
    },
    stop() {
      isStopped = true
      return done
    }
  }
}

const victims = ['leader', 'follower', ...(looksAtAll ? ['leader', 'leader'] : [])]

for (const [round, role] of victims.entries()) {
  t.test(`kill -9 of a ${role}: the others go on, see it, and take it back`, async (t) => {
    const leader = await cluster.leader()
    const victim = role === 'leader' ? leader : (cluster.others(leader)[0] as string)
    const rest = cluster.others(victim)
    const seen = watch(t, rest[0] as string)
    await until('status is watched', 10_000, async () => seen.length > 0)
    const clients = rest.map((node, i) => traffic(node, (round + 1) * 1_000_000 + i * 100_000))
    t.teardown(() => Promise.all(clients.map((client) => client.stop())))
    t.teardown(() => {
      if (t.passing()) return
      const facts = clients.map(({ acknowledged, reads, faults }) => ({
        writes: acknowledged.length,
        reads,
        faults
      }))
      t.comment(JSON.stringify(facts))
    })
    await until('writes are under way', 10_000, async () =>
      clients.every(({ acknowledged }) => acknowledged.length > 10)
    )

    await cluster.kill(victim)
    const killedAt = performance.now()
    const before = clients.map(({ acknowledged, reads }) => [acknowledged.length, reads] as const)
    await until('reads and writes go on through each', 10_000, async () =>
      clients.every(
        ({ acknowledged, reads }, i) =>
          acknowledged.length > (before[i]?.[0] ?? 0) + 20 && reads > (before[i]?.[1] ?? 0) + 20
      )
    )
    const wentOnMs = performance.now() - killedAt
    for (const node of rest) {
      await until(`${node} says that it is dead`, noticedWithinMs, async () => {
        const view = await cluster.view(node)
        const { leader: named } = view.groups[0] ?? {}
        return livenessOf(view, victim) === 'dead' && named !== victim && named !== null
      })
      const told = await statusOf(node)
      t.equal(livenessOf(told, victim), 'dead', `skein status of ${node} says so`)
    }
    await until(
      'so does the one that is watched',
      noticedWithinMs,
      async () => livenessOf(seen.at(-1), victim) === 'dead'
    )

    await cluster.node(victim).start()
    const target = (await cluster.group(rest[0] as string)).commitIndex
    await until('it has caught up', caughtUpWithinMs, async () => {
      const group = await cluster.group(victim)
      return group.appliedIndex >= target && (await cluster.supervisor.isReady(victim))
    })
    for (const client of clients) await client.stop()
    t.same(
      clients.flatMap(({ faults }) => faults),
      [],
      'not one read or write failed'
    )
    await until('all see it alive', noticedWithinMs, async () => {
      const views = await Promise.all(cluster.ids.map((id) => cluster.view(id)))
      return views.every((view) => livenessOf(view, victim) === 'alive')
    })
    await until('all replicas are the same', caughtUpWithinMs, async () => {
      const sums = await Promise.all(cluster.ids.map((id) => cluster.checksum(id)))
      return new Set(sums.map(({ index, hash }) => `${index} ${hash}`)).size === 1
    })
    const { rows } = await cluster.run(victim, 'SELECT id FROM event')
    const present = new Set(rows.map(([id]) => id))
    const acknowledged = clients.flatMap((client) => client.acknowledged)
    t.same(
      acknowledged.filter((id) => !present.has(id)),
      [],
      `each of ${acknowledged.length} acknowledged writes is there`
    )
    t.same(cluster.unexpectedExits, [])
    t.comment(`20 more reads and writes through each survivor after ${Math.round(wentOnMs)} ms`)
  })
}
